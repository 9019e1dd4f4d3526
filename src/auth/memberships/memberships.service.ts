import { Injectable, type OnModuleInit } from '@nestjs/common';
import type { AuditedCaller } from '../../platform/audit/audit-entry';
import { AuditLog } from '../../platform/audit/audit-log';
import { SignInDatabase } from '../../platform/database/roles/sign-in-database';
import { TenantDatabase, type TenantTransaction } from '../../platform/database/tenant-database';
import { Conflict, Forbidden, InsufficientAuthentication, NotFound, Unauthorized } from '../../platform/errors';
import { Hooks } from '../../platform/hooks/hooks';
import { TenantContents } from '../../platform/hooks/tenant-contents';
import type { Person, Session } from '../../platform/http/requests/caller';
import type { PageDto } from '../../platform/http/requests/page.dto';
import { type JsonPage } from '../../platform/http/responses/results';
import { Cursors } from '../../platform/http/responses/pagination';
import { Epochs } from '../../platform/revocation/epochs';
import { CompanyService } from '../../tenants/company/company.service';
import type { MemberRow } from '../../tenants/members/members.queries';
import { MembersService } from '../../tenants/members/members.service';
import { Membership } from '../../tenants/membership.entity';
import { endMembership, tenantsToAsk } from '../../tenants/memberships';
import { findOwnMembership } from '../../tenants/memberships.queries';
import { Tenant } from '../../tenants/tenant.entity';
import { assertOwnerRemains, lockMembers } from '../../tenants/tenant-lock';
import { otherActiveOwner } from '../../tenants/tenants.queries';
import { Users } from '../../users/users';
import type { Client } from '../proofs/proof';
import { proofOf, Sessions } from '../sessions/sessions';
import { SecondFactors } from '../second-factor/second-factors';
import { endByRules, isAllowed } from '../sessions/tenant-rules';
import type { SignedInView } from '../sign-in/auth.views';
import { SignIn } from '../sign-in/sign-in';
import type { MembershipContentsView, MembershipView } from './memberships.views';
import { confirmMembership, countOtherMembers, listMemberships, type MembershipRow } from './memberships.queries';

/** The tenants of a person: listing, confirming, declining, switching. */
@Injectable()
export class MembershipsService implements OnModuleInit {
  constructor(
    private readonly signInDatabase: SignInDatabase,
    private readonly database: TenantDatabase,
    private readonly users: Users,
    private readonly signIn: SignIn,
    private readonly sessions: Sessions,
    private readonly contents: TenantContents,
    private readonly cursors: Cursors,
    private readonly hooks: Hooks,
    private readonly epochs: Epochs,
    private readonly audit: AuditLog,
    private readonly members: MembersService,
    private readonly company: CompanyService,
    private readonly factors: SecondFactors,
  ) {}

  onModuleInit(): void {
    this.contents.register('other_members', countOtherMembers);
    this.hooks.membershipEnded.on((tx, { userId }) => this.sessions.revokeMember(tx, userId, 'membership_ended'));
    this.hooks.sessionsEnded.on((tx, { userId }) => this.sessions.revokeMember(tx, userId, 'ended_by_member'));
  }

  /** A page of the person's tenants. @throws AppError `invalid_cursor` */
  list({ userId }: Person, page: PageDto): Promise<JsonPage> {
    const scope = { tenant: { tenantId: userId }, list: 'own-tenants', filters: {} };
    return this.cursors.page(scope, page, async (afterId, count) => {
      const read = await this.signInDatabase.readHomes<MembershipRow>(
        userId,
        (tx) => tenantsToAsk(tx, userId),
        (tenantIds) => listMemberships(userId, tenantIds, afterId, count),
      );
      const rows = read.sort((a, b) => (a.tenant_id < b.tenant_id ? 1 : -1)).slice(0, count);
      return Promise.all(
        rows.map(async (row) => ({ id: row.tenant_id, json: JSON.stringify(await this.viewOf(row)) })),
      );
    });
  }

  /** Confirms a membership that a claim left open. @throws NotFound; Conflict without a membership to confirm */
  async confirm({ userId, session }: Person, tenantId: string): Promise<void> {
    await this.signInDatabase.transaction({ userId }, async (tx) => {
      const [confirmed] = await tx.query(confirmMembership(userId, tenantId));
      if (!confirmed) {
        const [membership] = await tx.query(findOwnMembership(userId, tenantId));
        if (!membership) throw new NotFound('Tenant', tenantId);
        throw new Conflict('There is nothing to confirm.');
      }
      this.epochs.raisePerson(tx, userId, [tenantId]);
      const caller = { tenantId, actor: { type: 'user', id: userId }, session: { id: session.id } };
      const changes = { status: ['unconfirmed', 'active'] as const };
      this.audit.record(tx, caller, { action: 'member.confirmed', target: { type: 'user', id: userId }, changes });
    });
  }

  /** Declines such a membership; if its person is the only owner, the tenant closes. @throws NotFound; Conflict */
  async decline({ userId, session }: Person, tenantId: string): Promise<void> {
    const row = await this.members.row({ tenantId }, userId);
    await this.database.transaction({ tenantId }, async (tx) => {
      await lockMembers(tx);
      const membership = await tx.repository(Membership).findOneBy({ tenantId, userId });
      if (!row || !membership) throw new NotFound('Tenant', tenantId);
      if (membership.status !== 'unconfirmed') throw new Conflict('There is nothing to decline.');
      const caller = { tenantId, actor: { type: 'user', id: userId }, session: { id: session.id } };
      await this.leave(tx, caller, { ...row, role: membership.role, status: membership.status }, 'member.declined');
      const [owner] = await tx.query(otherActiveOwner(tenantId, userId));
      if (membership.role === 'owner' && !owner) await this.company.closeIn(tx, caller);
    });
  }

  /**
   * Signs in to another tenant of the person, whose rules are checked again; the given session stays valid.
   * @throws NotFound for a tenant that is not theirs; Forbidden if it is suspended; InsufficientAuthentication if it
   * demands the second factor that the person has; Unauthorized if it demands a newer sign-in
   */
  async switch({ userId, session }: Person, tenantId: string, client: Client): Promise<SignedInView> {
    const membership = await this.signIn.membership(userId, tenantId);
    if (!membership || membership.status === 'unconfirmed') throw new NotFound('Tenant', tenantId);
    const tenant = await this.signIn.tenant(tenantId);
    if (tenant.suspendedAt || membership.status === 'suspended')
      throw new Forbidden('The tenant does not take you now.');
    if (!isAllowed(tenant.allowedCidrs, client.address ?? client.network)) {
      throw new Forbidden('The tenant does not take requests from this network.');
    }
    // The claims of one tenant's provider about a person count in that tenant alone.
    const isOfProvider = session.connectionId !== null && !session.amr.includes('pwd');
    if (isOfProvider) throw new InsufficientAuthentication();
    await this.assertStrongEnough(session, tenant);
    const user = await this.users.get(userId);
    return this.signIn.intoTenant({ user, proof: proofOf(session), client }, tenant, membership.role);
  }

  private async assertStrongEnough(session: Session, tenant: Tenant): Promise<void> {
    if (tenant.secondFactor === 'required' && session.acr === 'aal1' && session.connectionId === null) {
      const methods = await this.factors.methodsOf(session.userId);
      if (methods.length > 0) throw new InsufficientAuthentication({ secondFactor: true });
    }
    const rules = { session_idle_minutes: null, session_max_days: tenant.sessionMaxDays };
    const end = endByRules(rules, session.signedInAt, session.signedInAt);
    if (end && end <= new Date()) throw new Unauthorized('The tenant demands a newer sign-in: sign in again.');
  }

  /**
   * Ends a membership of the person, if there is one. @throws AppError `business_rule_violation` for the last active
   * owner of an open tenant
   */
  async leaveTenant(userId: string, tenantId: string, session?: Pick<Session, 'id'>): Promise<void> {
    const row = await this.members.row({ tenantId }, userId);
    await this.database.transaction({ tenantId }, async (tx) => {
      await lockMembers(tx);
      const membership = await tx.repository(Membership).findOneBy({ tenantId, userId });
      if (!row || !membership) return;
      const tenant = await tx.repository(Tenant).findOneByOrFail({ id: tenantId });
      if (membership.role === 'owner' && membership.status === 'active' && !tenant.closedAt) {
        await assertOwnerRemains(tx, userId);
      }
      const caller = {
        tenantId,
        actor: { type: 'user', id: userId },
        ...(session ? { session: { id: session.id } } : {}),
      };
      await this.leave(tx, caller, { ...row, role: membership.role, status: membership.status });
    });
  }

  /** Ends a membership in a transaction of its tenant, which holds the tenant's lock, and runs its hook. */
  async leave(tx: TenantTransaction, caller: AuditedCaller, row: MemberRow, action?: string): Promise<void> {
    const userId = row.userId;
    await this.hooks.membershipEnded.run(tx, { userId });
    await endMembership(tx, userId);
    this.epochs.raiseMember(tx, userId);
    await this.members.reportEnd(tx, caller, row, action);
  }

  private async viewOf(row: MembershipRow): Promise<MembershipView> {
    const { name } = await this.signIn.tenant(row.tenant_id);
    const view = {
      id: row.tenant_id,
      name,
      role: row.role,
      status: row.status,
      last_used_at: row.last_used_at.toISOString(),
    };
    if (row.status !== 'unconfirmed') return view;
    const counts = await this.contents.of(row.tenant_id);
    const empty: MembershipContentsView = { other_members: 0, tenant_keys: 0, endpoints: 0, pending_invitations: 0 };
    return { ...view, contents: { ...empty, ...counts } };
  }
}
