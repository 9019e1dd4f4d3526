import { Injectable } from '@nestjs/common';
import type { AuditedCaller } from '../../platform/audit/audit-entry';
import { AuditLog } from '../../platform/audit/audit-log';
import { MembersDatabase } from '../../platform/database/roles/members-database';
import type { Row } from '../../platform/database/sql/statement';
import { TenantDatabase, type TenantScope, type TenantTransaction } from '../../platform/database/tenant-database';
import { Conflict, Forbidden, NotFound, ValidationFailed } from '../../platform/errors';
import { Hooks } from '../../platform/hooks/hooks';
import type { Caller } from '../../platform/http/requests/caller';
import type { Precondition } from '../../platform/http/responses/conditional-requests';
import { type JsonPage, Representation } from '../../platform/http/responses/results';
import { Cursors } from '../../platform/http/responses/pagination';
import type { Permission } from '../../platform/permissions/permissions';
import { Mailer } from '../../platform/mail/mailer';
import { Outbox } from '../../platform/outbox/outbox';
import { Epochs } from '../../platform/revocation/epochs';
import { assertMayGrant, assertNotAbove } from '../../platform/http/requests/grants';
import { Membership } from '../membership.entity';
import { endMembership } from '../memberships';
import { findRole, permissionsOf } from '../roles/role-catalogue';
import { assertOwnerRemains, lockMembers } from '../tenant-lock';
import { findTenantName } from '../tenants.queries';
import type { ListMembersDto, UpdateMemberDto } from './members.requests';
import { viewOf } from './members.views';
import { findMember, listMemberPage, type MemberRow } from './members.queries';

/** The rules of members. A change of a member is one transaction under the lock of the tenant. */
@Injectable()
export class MembersService {
  constructor(
    private readonly database: TenantDatabase,
    private readonly people: MembersDatabase,
    private readonly cursors: Cursors,
    private readonly outbox: Outbox,
    private readonly audit: AuditLog,
    private readonly epochs: Epochs,
    private readonly hooks: Hooks,
    private readonly mailer: Mailer,
  ) {}

  /** A page of members. @throws AppError `invalid_cursor` */
  list(caller: Caller, input: ListMembersDto): Promise<JsonPage> {
    const { limit, cursor, ...filters } = input;
    const scope = { tenant: caller, list: 'members', filters };
    return this.cursors.page(scope, { limit, cursor }, async (afterId, count) => {
      const statement = listMemberPage(caller.tenantId, filters, afterId, count);
      const rows = await this.people.query<MemberRow>(caller, statement);
      const factors = await this.secondFactors(caller, rows);
      return rows.map((row) => ({ id: row.userId, json: JSON.stringify(viewOf(row, factors?.has(row.userId))) }));
    });
  }

  /** @throws NotFound */
  async find(caller: Caller, userId: string): Promise<Representation> {
    return this.represent(caller, await this.read(caller, userId));
  }

  /**
   * Changes a member's role or status; without a difference, the version stays.
   * @throws NotFound; VersionConflict; Forbidden above the caller's own permissions; Conflict if only a directory or
   * the person may change it; AppError `business_rule_violation` for the last active owner
   */
  async update(
    caller: Caller,
    userId: string,
    input: UpdateMemberDto,
    ifMatch?: Precondition,
  ): Promise<Representation> {
    const before = await this.read(caller, userId);
    const after = await this.database.transaction(caller, async (tx) => {
      await lockMembers(tx);
      const member = await lockMember(tx, userId);
      ifMatch?.assertVersion(member.version);
      assertNotAbove(caller, await permissionsOf(tx, member.role));
      const role = input.role ?? member.role;
      const status = input.status ?? member.status;
      if (role === member.role && status === member.status) return member;
      assertOpenToOthers(member);
      if (role !== member.role) assertMayGrant(caller, await this.permissionsToGrant(tx, role));
      const ownsNow = member.role === 'owner' && member.status === 'active';
      if (ownsNow && (role !== 'owner' || status !== 'active')) await assertOwnerRemains(tx, userId);
      const version = member.version + 1;
      await tx.repository(Membership).update({ tenantId: tx.tenantId, userId }, { role, status, version });
      if (status === 'suspended') await this.hooks.membershipEnded.run(tx, { userId });
      this.epochs.raiseMember(tx, userId);
      this.audit.record(tx, caller, {
        action: 'member.changed',
        target: { type: 'user', id: userId },
        changes: {
          ...(role === member.role ? {} : { role: [member.role, role] }),
          ...(status === member.status ? {} : { status: [member.status, status] }),
        },
      });
      const changed = { ...before, role, status, version };
      this.publish(tx, 'member.changed', changed);
      if (role !== member.role) {
        const tenantName = await tenantNameIn(tx);
        this.mailer.send(tx, {
          ...mailTo(before, tx),
          template: 'role_changed',
          data: { tenantName, from: member.role, to: role },
        });
      }
      return changed;
    });
    return this.represent(caller, { ...before, role: after.role, status: after.status, version: after.version });
  }

  /**
   * Ends a membership; the caller's own without a permission.
   * @throws NotFound; VersionConflict; Forbidden; Conflict if a directory manages it; AppError
   * `business_rule_violation`
   */
  async remove(caller: Caller, userId: string, ifMatch?: Precondition): Promise<void> {
    const isOwn = caller.actor.type === 'user' && caller.actor.id === userId;
    if (!isOwn && !caller.permissions.has('members:manage')) {
      throw new Forbidden(`The role ${caller.role} may not do this: it lacks members:manage.`);
    }
    const row = await this.read(caller, userId);
    await this.database.transaction(caller, async (tx) => {
      await lockMembers(tx);
      const member = await lockMember(tx, userId);
      ifMatch?.assertVersion(member.version);
      if (!isOwn) assertNotAbove(caller, await permissionsOf(tx, member.role));
      assertNotOfDirectory(member);
      await this.end(tx, member);
      await this.reportEnd(tx, caller, row);
    });
  }

  /**
   * The member as events and notices show it, before the transaction in which another feature ends the membership: it
   * is read as another role, on a connection of its own.
   */
  async row({ tenantId }: TenantScope, userId: string): Promise<MemberRow | undefined> {
    const [row] = await this.people.query<MemberRow>({ tenantId }, findMember(tenantId, userId));
    return row;
  }

  /** Writes the audit entry, the event and the notices of a membership that ends in this transaction. */
  async reportEnd(
    tx: TenantTransaction,
    caller: AuditedCaller,
    row: MemberRow,
    action = 'member.removed',
  ): Promise<void> {
    const userId = row.userId;
    const changes = { role: [row.role, null] as const, status: [row.status, null] as const };
    this.audit.record(tx, caller, { action, target: { type: 'user', id: userId }, changes });
    this.publish(tx, 'member.removed', row);
    const audience = { permission: 'members:manage' } as const;
    this.mailer.notify(tx, { audience, template: 'member_removed', data: { memberEmail: row.email } });
    if (caller.actor.type === 'user' && caller.actor.id === userId) return;
    const tenantName = await tenantNameIn(tx);
    this.mailer.send(tx, { ...mailTo(row, tx), template: 'removed_from_tenant', data: { tenantName } });
  }

  /** Ends the sessions of a member in this tenant. @throws NotFound; Forbidden */
  async endSessions(caller: Caller, userId: string): Promise<void> {
    await this.database.transaction(caller, async (tx) => {
      const member = await lockMember(tx, userId);
      assertNotAbove(caller, await permissionsOf(tx, member.role));
      await this.hooks.sessionsEnded.run(tx, { userId });
      this.epochs.raiseMember(tx, userId);
      this.audit.record(tx, caller, { action: 'member.sessions_ended', target: { type: 'user', id: userId } });
    });
  }

  /** Sends a member a reset of the password. @throws NotFound; Forbidden for a member with more than the caller has */
  async sendReset(caller: Caller, userId: string): Promise<void> {
    await this.database.transaction(caller, async (tx) => {
      const member = await lockMember(tx, userId);
      assertNotAbove(caller, await permissionsOf(tx, member.role));
    });
    // Persons are another role's, in a transaction of its own: inside the first one it would hold two connections.
    await this.hooks.resetForMember.run({ caller, userId });
  }

  /**
   * Deletes a membership under the tenant's lock, with its dependent rows.
   * @throws AppError `business_rule_violation` for the last active owner
   */
  private async end(tx: TenantTransaction, member: Membership): Promise<void> {
    const { userId, role, status } = member;
    if (role === 'owner' && status === 'active') await assertOwnerRemains(tx, userId);
    await this.hooks.membershipEnded.run(tx, { userId });
    await endMembership(tx, userId);
    this.epochs.raiseMember(tx, userId);
  }

  private async permissionsToGrant(tx: TenantTransaction, name: string): Promise<ReadonlySet<Permission>> {
    const role = await findRole(tx, name);
    if (!role) throw new ValidationFailed([{ field: 'role', message: 'is no role of this tenant', code: 'role' }]);
    return role.permissions;
  }

  private async read(caller: TenantScope, userId: string): Promise<MemberRow> {
    const row = await this.row(caller, userId);
    if (!row) throw new NotFound('Member', userId);
    return row;
  }

  private async represent(caller: Caller, row: MemberRow): Promise<Representation> {
    const factors = await this.secondFactors(caller, [row]);
    return new Representation(JSON.stringify(viewOf(row, factors?.has(row.userId))), row.version);
  }

  /** The members with a second factor; undefined for a caller who does not manage members. */
  private async secondFactors(caller: Caller, rows: readonly MemberRow[]): Promise<ReadonlySet<string> | undefined> {
    if (!caller.permissions.has('members:manage')) return undefined;
    return this.hooks.personsWithSecondFactor.run(rows.map((row) => row.userId));
  }

  private publish(tx: TenantTransaction, type: string, row: MemberRow): void {
    const data = JSON.stringify(viewOf(row));
    this.outbox.publish(tx, [{ type, data, aggregateId: row.userId }]);
  }
}

async function tenantNameIn(tx: TenantTransaction): Promise<string> {
  const [tenant] = await tx.query<{ name: string } & Row>(findTenantName(tx.tenantId));
  return tenant?.name ?? '';
}

function mailTo({ email, name }: MemberRow, { tenantId }: TenantTransaction) {
  return { to: { address: email, name }, tenantId };
}

async function lockMember(tx: TenantTransaction, userId: string): Promise<Membership> {
  const member = await tx
    .repository(Membership)
    .findOne({ where: { tenantId: tx.tenantId, userId }, lock: { mode: 'pessimistic_write' } });
  if (!member) throw new NotFound('Member', userId);
  return member;
}

function assertOpenToOthers(member: Membership): void {
  assertNotOfDirectory(member);
  if (member.status === 'unconfirmed') throw new Conflict('The person has to confirm this membership first.');
}

function assertNotOfDirectory(member: Membership): void {
  if (member.managedBy === 'directory') throw new Conflict('A directory manages this member: change it there.');
}
