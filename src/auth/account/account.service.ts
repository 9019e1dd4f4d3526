import { Injectable } from '@nestjs/common';
import { SignInDatabase } from '../../platform/database/roles/sign-in-database';
import { TenantDatabase } from '../../platform/database/tenant-database';
import { Unauthorized } from '../../platform/errors';
import { Hooks } from '../../platform/hooks/hooks';
import type { Person, Principal, Session } from '../../platform/http/requests/caller';
import { Mailer } from '../../platform/mail/mailer';
import { Membership } from '../../tenants/membership.entity';
import { Tenant } from '../../tenants/tenant.entity';
import { assertOwnerRemains } from '../../tenants/tenant-lock';
import { User } from '../../users/user.entity';
import { Users } from '../../users/users';
import { MembershipsService } from '../memberships/memberships.service';
import type { Client } from '../proofs/proof';
import { proofOf, Sessions } from '../sessions/sessions';
import { findOwnSessions, type OwnSessionRow } from '../sessions/sessions.queries';
import type { MeView, SignedInView } from '../sign-in/auth.views';
import { AuthService } from '../sign-in/auth.service';
import { SignIn } from '../sign-in/sign-in';
import { userView } from '../sign-in/views';
import { OneTimeTokens } from '../tokens/one-time-tokens';
import { AccountAudit } from './account-audit';
import { personalDataOf } from './personal-data.queries';
import type { UpdateMeDto } from './account.requests';

const ERASED_AFTER_MS = 30 * 24 * 60 * 60_000;

/** A person's own account: its name, its end, and all data stored about the person. */
@Injectable()
export class AccountService {
  constructor(
    private readonly signInDatabase: SignInDatabase,
    private readonly database: TenantDatabase,
    private readonly users: Users,
    private readonly auth: AuthService,
    private readonly signIn: SignIn,
    private readonly memberships: MembershipsService,
    private readonly sessions: Sessions,
    private readonly tokens: OneTimeTokens,
    private readonly hooks: Hooks,
    private readonly mailer: Mailer,
    private readonly audit: AccountAudit,
  ) {}

  /** Changes the given fields; without a difference, nothing changes. */
  async update(principal: Principal, person: Person, input: UpdateMeDto): Promise<MeView> {
    const { userId, session } = person;
    const { name } = input;
    if (name !== undefined) {
      await this.signInDatabase.transaction({ userId }, async (tx) => {
        const user = await tx.repository(User).findOneByOrFail({ id: userId });
        if (user.name === name) return;
        await tx.repository(User).update({ id: userId }, { name });
        const changes = { name: { userId, personal: [user.name, name] as const } };
        await this.audit.record(tx, userId, 'user.changed', changes, session.id);
      });
    }
    return this.auth.me(principal);
  }

  /**
   * Leaves every tenant immediately; the account is erased after 30 days, and can be restored until then.
   * @throws AppError `business_rule_violation` for the last active owner of an open tenant: then nothing has changed
   */
  async delete({ userId, session }: Person): Promise<void> {
    const memberships = await this.ownMemberships(userId);
    for (const { tenantId, role } of memberships) {
      if (role === 'owner') await this.assertMayLeave(tenantId, userId);
    }
    for (const { tenantId } of memberships) await this.memberships.leaveTenant(userId, tenantId, session);
    const eraseAt = new Date(new Date().getTime() + ERASED_AFTER_MS);
    await this.signInDatabase.transaction({ userId }, async (tx) => {
      await tx.repository(User).update({ id: userId }, { eraseAt });
      await this.sessions.revokePerson(tx, userId, 'account_deleted');
      await this.tokens.void(tx, userId, ['reset', 'verification', 'email_change']);
      await this.hooks.userLeft.run(tx, { userId, tenantIds: memberships.map(({ tenantId }) => tenantId) });
      const user = await tx.repository(User).findOneByOrFail({ id: userId });
      const to = { address: user.email, name: user.name };
      this.mailer.send(tx, { to, template: 'account_deleted', data: { erasedAt: eraseAt.toISOString() } });
    });
    await this.leaveAgain(userId, session);
  }

  /**
   * Leaves the tenants that the person has joined during the deletion. An acceptance that ends later than this sees the
   * deletion and undoes itself.
   * @throws AppError `business_rule_violation` for the last active owner: then the account stays
   */
  private async leaveAgain(userId: string, session: Session): Promise<void> {
    try {
      for (const { tenantId } of await this.ownMemberships(userId)) {
        await this.memberships.leaveTenant(userId, tenantId, session);
      }
    } catch (error) {
      await this.signInDatabase.transaction({ userId }, (tx) =>
        tx.repository(User).update({ id: userId }, { eraseAt: null }),
      );
      throw error;
    }
  }

  private ownMemberships(userId: string): Promise<Membership[]> {
    return this.signInDatabase.transaction({ userId }, (tx) => tx.repository(Membership).findBy({ userId }));
  }

  /**
   * Cancels the deletion: the account remains, without its memberships.
   * @throws Unauthorized if the account was erased meanwhile
   */
  async restore({ userId, session }: Person, client: Client): Promise<SignedInView> {
    const user = await this.users.get(userId);
    await this.signInDatabase.transaction({ userId }, async (tx) => {
      const { affected } = await tx.repository(User).update({ id: userId }, { eraseAt: null });
      if (affected === 0) throw new Unauthorized();
      await this.sessions.revokePerson(tx, userId, 'account_restored');
    });
    // The session has just ended with all others.
    const proof = { ...proofOf(session), parent: undefined };
    return this.signIn.withoutTenant({ user: { ...user, eraseAt: null }, proof, client }, 'account');
  }

  /** All data stored about the person. */
  async export({ userId }: Person): Promise<object> {
    const user = await this.users.get(userId);
    const [memberships, sessions] = await Promise.all([
      this.signIn.membershipsOf(userId),
      this.signInDatabase.transaction({ userId }, (tx) => tx.query<OwnSessionRow>(findOwnSessions(userId))),
    ]);
    const more: Record<string, unknown> = {};
    await this.signInDatabase.transaction({ userId }, async (tx) => {
      for (const [kind, statement] of personalDataOf(userId)) more[kind] = await tx.query(statement);
      await this.hooks.userExported.run(tx, { userId, data: more });
    });
    return {
      user: {
        ...userView(user),
        email_verified_at: user.emailVerifiedAt?.toISOString() ?? null,
        erase_at: user.eraseAt?.toISOString() ?? null,
        factor_reset_at: user.factorResetAt?.toISOString() ?? null,
      },
      memberships: memberships.map((membership) => ({
        tenant_id: membership.tenantId,
        role: membership.role,
        status: membership.status,
        joined_at: membership.createdAt.toISOString(),
        last_used_at: membership.lastUsedAt.toISOString(),
      })),
      sessions: sessions.map((row) => ({
        id: row.id,
        tenant_id: row.kind === 'tenant' ? row.tenant_id : null,
        created_at: row.created_at.toISOString(),
        last_seen_at: row.last_seen_at?.toISOString() ?? null,
        network: row.network,
        user_agent: row.user_agent,
        amr: row.amr,
      })),
      ...more,
    };
  }

  /** @throws AppError `business_rule_violation` */
  private async assertMayLeave(tenantId: string, userId: string): Promise<void> {
    await this.database.transaction({ tenantId }, async (tx) => {
      const tenant = await tx.repository(Tenant).findOneByOrFail({ id: tenantId });
      if (!tenant.closedAt) await assertOwnerRemains(tx, userId);
    });
  }
}
