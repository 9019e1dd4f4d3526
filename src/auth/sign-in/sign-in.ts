import type { Client, Proof } from '../proofs/proof';
import { Injectable } from '@nestjs/common';
import { AuditLog } from '../../platform/audit/audit-log';
import { SignInDatabase } from '../../platform/database/roles/sign-in-database';
import { TenantDatabase, type TenantTransaction } from '../../platform/database/tenant-database';
import { NotFound, Unauthorized } from '../../platform/errors';
import { emailKey } from '../../platform/net/email-key';
import { Mailer } from '../../platform/mail/mailer';
import { tenantsToAsk } from '../../tenants/memberships';
import { findOwnMembership, listOwnMemberships, type OwnMembership } from '../../tenants/memberships.queries';
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

/** A person who has proved their identity, and the methods. */
export interface Proved {
  user: User;
  proof: Proof;
  client: Client;
  /** The person has never signed in from this network: a notice goes out with the session. */
  fromNewNetwork?: boolean;
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
  async complete({ user, proof, client }: Proved, tenantId?: string): Promise<SignedInView> {
    const membership = user.eraseAt ? undefined : await this.membershipFor(user.id, tenantId);
    // The network counts as known from here on: what could refuse the sign-in comes first.
    const fromNewNetwork = await this.limits.complete(user.id, user.email, client.network);
    const proved = { user, proof, client, fromNewNetwork };
    if (user.factorResetAt && proof.acr === 'aal2') await this.cancelFactorReset(user);
    if (user.eraseAt) return this.withoutTenant(proved, 'restore');
    if (!membership || membership.status === 'unconfirmed') return this.withoutTenant(proved, 'account');
    const tenant = await this.tenant(membership.tenantId);
    if (tenant.newOwnerAt && membership.role === 'owner' && membership.status === 'active') {
      await this.database.transaction({ tenantId: tenant.id }, (tx) => cancelOwnerChange(tx, this.audit, user.id));
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

  private notifyOfNewNetwork(tx: TenantTransaction, { user, client }: Proved): void {
    const data = { at: new Date().toISOString(), network: client.network, userAgent: client.userAgent };
    const to = { address: user.email, name: user.name };
    this.mailer.send(tx, { to, template: 'new_sign_in', data, tenantId: tx.tenantId });
  }

  /** Begins a session in a tenant that takes the person. */
  async intoTenant(proved: Proved, tenant: Tenant, role: string): Promise<SignedInToTenant> {
    const { user, proof, client } = proved;
    const begun = await this.database.transaction({ tenantId: tenant.id }, async (tx) => {
      tx.defer(touchMembership(tenant.id, user.id, new Date()));
      const session = this.sessions.begin(tx, { userId: user.id, kind: 'tenant', proof, client });
      this.record(tx, session.sessionId, proved);
      if (proved.fromNewNetwork) this.notifyOfNewNetwork(tx, proved);
      return session;
    });
    await this.assertStillProved(user, proof, tenant.id, begun.sessionId);
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
  async withoutTenant(proved: Proved, kind: 'account' | 'restore', refused?: RefusedView): Promise<SignedInView> {
    const { user, proof, client } = proved;
    const begun = await this.database.transaction({ tenantId: user.id }, (tx) => {
      if (proved.fromNewNetwork) this.notifyOfNewNetwork(tx, proved);
      return Promise.resolve(this.sessions.begin(tx, { userId: user.id, kind, proof, client }));
    });
    await this.assertStillProved(user, proof, user.id, begun.sessionId);
    const pair = await this.pair({ ...begun, userId: user.id, tenantId: null, role: null });
    return { user: userView(user), tenant: null, ...(refused ? { refused } : {}), ...pair };
  }

  /**
   * A revocation ends the sessions that it finds, so a session that begins at the same moment could outlive it: once it
   * has begun, its password or the session that it descends from must still be good.
   * @throws Unauthorized after ending it again
   */
  private async assertStillProved(user: User, { parent }: Proof, home: string, sessionId: string): Promise<void> {
    const isProved = await this.signInDatabase.transaction({ userId: user.id }, async (tx) => {
      const proved =
        parent === undefined ? await this.users.isUnchanged(tx, user) : await this.sessions.isLive(tx, parent);
      if (!proved) this.sessions.abandon(tx, { home, userId: user.id, id: sessionId });
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

  /** The membership to sign in by: in the named tenant, else the last used one. @throws NotFound */
  private async membershipFor(userId: string, tenantId: string | undefined): Promise<OwnMembership | undefined> {
    if (tenantId === undefined) return this.lastUsed(userId);
    const membership = await this.membership(userId, tenantId);
    if (!membership) throw new NotFound('Tenant', tenantId);
    return membership;
  }

  /** The person's membership in a tenant. */
  async membership(userId: string, tenantId: string): Promise<OwnMembership | undefined> {
    const [membership] = await this.signInDatabase.transaction({ userId }, (tx) =>
      tx.query<OwnMembership>(findOwnMembership(userId, tenantId)),
    );
    return membership;
  }

  /** The person's memberships, the last used one first. @throws Unavailable if the server of one is away */
  membershipsOf(userId: string): Promise<OwnMembership[]> {
    return this.signInDatabase.transaction({ userId }, async (tx) =>
      tx.query<OwnMembership>(listOwnMemberships(userId, await tenantsToAsk(tx, userId))),
    );
  }

  /** The last used membership that needs no confirmation, among those that can be read. */
  private async lastUsed(userId: string): Promise<OwnMembership | undefined> {
    const memberships = await this.signInDatabase.readHomes<OwnMembership>(
      userId,
      (tx) => tenantsToAsk(tx, userId),
      (tenantIds) => listOwnMemberships(userId, tenantIds),
    );
    return memberships
      .filter(({ status }) => status !== 'unconfirmed')
      .reduce<OwnMembership | undefined>(
        (last, one) => (last && last.lastUsedAt >= one.lastUsedAt ? last : one),
        undefined,
      );
  }
}
