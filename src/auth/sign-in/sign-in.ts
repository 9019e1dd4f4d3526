import type { Client, Proof } from '../proofs/proof';
import { Injectable } from '@nestjs/common';
import { AuditLog } from '../../platform/audit/audit-log';
import { SignInDatabase } from '../../platform/database/roles/sign-in-database';
import { TenantDatabase, type TenantTransaction } from '../../platform/database/tenant-database';
import { NotFound, Unauthorized } from '../../platform/errors';
import { emailKey } from '../../platform/net/email-key';
import { Mailer } from '../../platform/mail/mailer';
import { Membership } from '../../tenants/membership.entity';
import { Tenant } from '../../tenants/tenant.entity';
import { cancelOwnerChange } from '../../tenants/members/operator-owners.service';
import { User } from '../../users/user.entity';
import { Users } from '../../users/users';
import { type AccessSubject, AccessTokens } from '../tokens/access-tokens';
import type { RefusedView, SignedInView, TenantView, TokensView } from './auth.views';
import { type ContinuedSession, Sessions } from '../sessions/sessions';
import { touchMembership } from '../sessions/sessions.queries';
import { isAllowed } from '../sessions/tenant-rules';
import { SignInLimits } from './sign-in-limits';
import { tenantView, userView } from './views';

const MAX_MEMBERSHIPS = 100;

/** A person who has proved their identity, and the methods. */
export interface Proved {
  user: User;
  proof: Proof;
  client: Client;
}

/** A session that began in a tenant. */
export type SignedInToTenant = SignedInView & { tenant: TenantView };

/** Begins sessions of persons who have proved their identity: in a tenant, or without one if no tenant accepts them. */
@Injectable()
export class SignIn {
  constructor(
    private readonly signInDatabase: SignInDatabase,
    private readonly database: TenantDatabase,
    private readonly sessions: Sessions,
    private readonly tokens: AccessTokens,
    private readonly limits: SignInLimits,
    private readonly users: Users,
    private readonly mailer: Mailer,
    private readonly audit: AuditLog,
  ) {}

  /**
   * Signs in to the named tenant, otherwise to the last used one; if that refuses the person, to none.
   * @throws NotFound for a tenant that is not theirs
   */
  async complete(proved: Proved, tenantId?: string): Promise<SignedInView> {
    const { user, client } = proved;
    const fromNewNetwork = await this.limits.complete(user.id, user.email, client.network);
    if (fromNewNetwork) await this.notifyOfNewNetwork(user, client);
    if (user.factorResetAt && proved.proof.acr === 'aal2') await this.cancelFactorReset(user);
    if (user.eraseAt) return this.withoutTenant(proved, 'restore');
    const memberships = await this.membershipsOf(user.id, tenantId);
    if (tenantId !== undefined && memberships.length === 0) throw new NotFound('Tenant', tenantId);
    const [membership] = memberships.filter(({ status }) => status !== 'unconfirmed');
    if (!membership) return this.withoutTenant(proved, 'account');
    const tenant = await this.tenant(membership.tenantId);
    if (tenant.newOwnerAt && membership.role === 'owner' && membership.status === 'active') {
      await this.database.transaction(membership, (tx) => cancelOwnerChange(tx, this.audit, user.id));
    }
    if (tenant.suspendedAt || membership.status === 'suspended') {
      return this.withoutTenant(proved, 'account', { tenant_id: tenant.id, reason: 'suspended' });
    }
    if (!isAllowed(tenant.allowedCidrs, client.address ?? client.network)) {
      return this.withoutTenant(proved, 'account', { tenant_id: tenant.id, reason: 'network' });
    }
    return this.intoTenant(proved, tenant, membership.role);
  }

  /** Cancels the operator's reset of second factors: the person has one. */
  private async cancelFactorReset({ id }: User): Promise<void> {
    await this.signInDatabase.transaction({ userId: id }, (tx) =>
      tx.repository(User).update({ id }, { factorResetAt: null }),
    );
  }

  private notifyOfNewNetwork(user: User, client: Client): Promise<void> {
    return this.signInDatabase.transaction({ userId: user.id }, (tx) => {
      const data = { at: new Date().toISOString(), network: client.network, userAgent: client.userAgent };
      this.mailer.send(tx, { to: { address: user.email, name: user.name }, template: 'new_sign_in', data });
      return Promise.resolve();
    });
  }

  /** Begins a session in a tenant that takes the person. */
  async intoTenant({ user, proof, client }: Proved, tenant: Tenant, role: string): Promise<SignedInToTenant> {
    const begun = await this.database.transaction({ tenantId: tenant.id }, async (tx) => {
      tx.defer(touchMembership(tenant.id, user.id, new Date()));
      const session = this.sessions.begin(tx, { userId: user.id, kind: 'tenant', proof, client });
      this.record(tx, session.sessionId, { user, proof, client });
      return session;
    });
    await this.assertStillProved(user, proof, begun.sessionId);
    const pair = await this.pair({ ...begun, userId: user.id, tenantId: tenant.id, role });
    return { user: userView(user), tenant: tenantView(tenant), ...pair };
  }

  private record(tx: TenantTransaction, sessionId: string, { user, proof, client }: Proved): void {
    this.audit.record(
      tx,
      {
        tenantId: tx.tenantId,
        actor: { type: 'user', id: user.id },
        session: { id: sessionId },
        origin: { network: client.network, userAgent: client.userAgent },
        addressKey: emailKey(user.email),
      },
      {
        action: 'session.started',
        target: { type: 'user', id: user.id },
        changes: { amr: [null, proof.amr], acr: [null, proof.acr] },
      },
    );
  }

  /** Begins a session without a tenant. */
  async withoutTenant(
    { user, proof, client }: Proved,
    kind: 'account' | 'restore',
    refused?: RefusedView,
  ): Promise<SignedInView> {
    const begun = await this.database.transaction({ tenantId: user.id }, (tx) =>
      Promise.resolve(this.sessions.begin(tx, { userId: user.id, kind, proof, client })),
    );
    await this.assertStillProved(user, proof, begun.sessionId);
    const pair = await this.pair({ ...begun, userId: user.id, tenantId: null, role: null });
    return { user: userView(user), tenant: null, ...(refused ? { refused } : {}), ...pair };
  }

  /**
   * A revocation ends the sessions that it finds, so a session that begins at the same moment could outlive it: once it
   * has begun, its password or the session that it descends from must still be good.
   * @throws Unauthorized after ending it again
   */
  private async assertStillProved(user: User, { parentId }: Proof, sessionId: string): Promise<void> {
    const isProved = await this.signInDatabase.transaction({ userId: user.id }, async (tx) => {
      const proved =
        parentId === undefined
          ? await this.users.isUnchanged(tx, user)
          : await this.sessions.isLive(tx, user.id, parentId);
      if (!proved) this.sessions.abandon(tx, user.id, sessionId);
      return proved;
    });
    if (!isProved) throw new Unauthorized('The session has ended: sign in again.', { invalidToken: true });
  }

  /** The pair of tokens of a session. */
  async pair(session: ContinuedSession): Promise<TokensView> {
    const subject: AccessSubject = session;
    return {
      access_token: await this.tokens.sign(subject),
      refresh_token: session.refreshToken,
      token_type: 'Bearer',
      expires_in: this.tokens.lifetime,
    };
  }

  /** The tenant of a membership. */
  tenant(id: string): Promise<Tenant> {
    return this.database.transaction({ tenantId: id }, (tx) => tx.repository(Tenant).findOneByOrFail({ id }));
  }

  /** The person's memberships, the last used one first; of one tenant if it is named. */
  membershipsOf(userId: string, tenantId?: string): Promise<Membership[]> {
    return this.signInDatabase.transaction({ userId }, (tx) =>
      tx.repository(Membership).find({
        where: { userId, ...(tenantId ? { tenantId } : {}) },
        order: { lastUsedAt: 'DESC', tenantId: 'DESC' },
        take: MAX_MEMBERSHIPS,
      }),
    );
  }
}
