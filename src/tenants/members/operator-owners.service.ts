import { Injectable } from '@nestjs/common';
import { AuditLog } from '../../platform/audit/audit-log';
import { MembersDatabase } from '../../platform/database/roles/members-database';
import type { Row } from '../../platform/database/sql/statement';
import { TenantDatabase, type TenantTransaction } from '../../platform/database/tenant-database';
import { Conflict, NotFound } from '../../platform/errors';
import { Mailer } from '../../platform/mail/mailer';
import { emailKey } from '../../platform/net/email-key';
import { Outbox } from '../../platform/outbox/outbox';
import { Epochs } from '../../platform/revocation/epochs';
import { Membership } from '../membership.entity';
import { lockMembers } from '../tenant-lock';
import { Tenant } from '../tenant.entity';
import { findMember, findMemberByEmail, type MemberRow } from './members.queries';
import { viewOf } from './members.views';

/** The time between the announcement and the change, in which an owner can object by signing in. */
const OWNER_WAIT_MS = 24 * 60 * 60 * 1000;

/** The state of a change of owner: announced, or done. */
export interface OwnerChange {
  userId: string;
  effectiveAt: Date;
  done: boolean;
}

const OPERATOR = { type: 'operator', id: null } as const;

/**
 * Makes a member an owner for the operator, if the owners are gone: announced to the tenant's managers first, and done
 * by a second call a day later. A sign-in of an owner meanwhile cancels it.
 */
@Injectable()
export class OperatorOwners {
  constructor(
    private readonly database: TenantDatabase,
    private readonly people: MembersDatabase,
    private readonly audit: AuditLog,
    private readonly mailer: Mailer,
    private readonly outbox: Outbox,
    private readonly epochs: Epochs,
  ) {}

  /**
   * Announces the change, or executes an announcement of a day ago.
   * @throws NotFound for an unknown tenant or member; Conflict if the person is already an owner, or must confirm the
   * membership first
   */
  async set(tenantId: string, email: string): Promise<OwnerChange> {
    const member = await this.find(tenantId, email);
    return this.database.transaction({ tenantId }, async (tx) => {
      await lockMembers(tx);
      const tenant = await tx.repository(Tenant).findOneBy({ id: tenantId });
      if (!tenant) throw new NotFound('Tenant', tenantId);
      if (!member) throw new NotFound('Member', email);
      if (member.role === 'owner' && member.status === 'active') throw new Conflict('This member is an owner already.');
      if (member.status === 'unconfirmed') throw new Conflict('The person has to confirm this membership first.');
      const userId = member.userId;
      const now = new Date();
      const isAnnounced = tenant.newOwnerId === userId && tenant.newOwnerAt !== null;
      const effectiveAt = isAnnounced ? (tenant.newOwnerAt as Date) : new Date(now.getTime() + OWNER_WAIT_MS);
      if (!isAnnounced) await this.announce(tx, member, effectiveAt);
      else if (effectiveAt <= now) await this.promote(tx, member);
      return { userId, effectiveAt, done: isAnnounced && effectiveAt <= now };
    });
  }

  private async find(tenantId: string, email: string): Promise<MemberRow | undefined> {
    const byEmail = findMemberByEmail(tenantId, emailKey(email));
    const [found] = await this.people.query<{ user_id: string } & Row>({ tenantId }, byEmail);
    if (!found) return undefined;
    const [member] = await this.people.query<MemberRow>({ tenantId }, findMember(tenantId, found.user_id));
    return member;
  }

  private async announce(tx: TenantTransaction, member: MemberRow, effectiveAt: Date): Promise<void> {
    const change = { newOwnerId: member.userId, newOwnerAt: effectiveAt };
    await tx.repository(Tenant).update({ id: tx.tenantId }, change);
    this.audit.record(
      tx,
      { tenantId: tx.tenantId, actor: OPERATOR },
      {
        action: 'tenant.owner_change_announced',
        target: { type: 'user', id: member.userId },
        changes: { effective_at: [null, effectiveAt] },
      },
    );
    this.mailer.notify(tx, {
      audience: { permission: 'tenant:manage' },
      template: 'owner_change_announced',
      data: { memberEmail: member.email, effectiveAt: effectiveAt.toISOString() },
    });
  }

  private async promote(tx: TenantTransaction, before: MemberRow): Promise<void> {
    const { tenantId } = tx;
    const userId = before.userId;
    const change = { role: 'owner', status: 'active' as const, version: before.version + 1 };
    await tx.repository(Tenant).update({ id: tenantId }, { newOwnerId: null, newOwnerAt: null });
    await tx.repository(Membership).update({ tenantId, userId }, change);
    this.epochs.raiseMember(tx, userId);
    this.audit.record(
      tx,
      { tenantId, actor: OPERATOR },
      {
        action: 'member.changed',
        target: { type: 'user', id: userId },
        changes: { role: [before.role, 'owner'], status: [before.status, 'active'] },
      },
    );
    const data = JSON.stringify(viewOf({ ...before, ...change }));
    this.outbox.publish(tx, [{ type: 'member.changed', data, aggregateId: userId }]);
    this.mailer.notify(tx, {
      audience: { userId },
      template: 'role_changed',
      data: { from: before.role, to: 'owner' },
    });
  }
}

/** Forgets an announced owner: an owner has signed in. */
export async function cancelOwnerChange(tx: TenantTransaction, audit: AuditLog, ownerId: string): Promise<void> {
  const { tenantId } = tx;
  await tx.repository(Tenant).update({ id: tenantId }, { newOwnerId: null, newOwnerAt: null });
  audit.record(
    tx,
    { tenantId, actor: { type: 'user', id: ownerId } },
    { action: 'tenant.owner_change_cancelled', target: { type: 'tenant', id: tenantId } },
  );
}
