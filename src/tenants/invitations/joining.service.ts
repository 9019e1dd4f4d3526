import { Injectable } from '@nestjs/common';
import { AuditLog } from '../../platform/audit/audit-log';
import { Refusals } from '../../platform/audit/refusals';
import { TenantDatabase, type TenantTransaction } from '../../platform/database/tenant-database';
import { AppError } from '../../platform/errors';
import { lacking } from '../../platform/permissions/permissions';
import { Mailer } from '../../platform/mail/mailer';
import { Outbox } from '../../platform/outbox/outbox';
import { viewOf } from '../members/members.views';
import { Membership, newMembership } from '../membership.entity';
import { beginMembership } from '../memberships';
import { findRole, permissionsOf } from '../roles/role-catalogue';
import { lockMembers } from '../tenant-lock';
import { findTenantName } from '../tenants.queries';
import { BY_OPERATOR, readInvitationToken } from './invitation-token';
import { findByToken, type OpenedInvitationRow, spendInvitation } from './invitations.queries';

/** An invitation that a token opens. */
export interface OpenInvitation {
  tenantId: string;
  tenantName: string;
  id: string;
  email: string;
  emailKey: string;
  role: string;
  expiresAt: Date;
  hash: Buffer;
}

/** The person who joins. */
export interface Joining {
  id: string;
  email: string;
  name: string | null;
}

/** The other end of an invitation: looking at one by its token, and joining by it. */
@Injectable()
export class JoiningService {
  constructor(
    private readonly database: TenantDatabase,
    private readonly outbox: Outbox,
    private readonly audit: AuditLog,
    private readonly mailer: Mailer,
    private readonly refusals: Refusals,
  ) {}

  /** Reads an invitation and does not use its token. @throws AppError `token_invalid` for any reason */
  async open(token: string, network?: string): Promise<OpenInvitation> {
    const read = readInvitationToken(token);
    if (!read) throw tokenInvalid();
    return this.database
      .transaction(read, (tx) => openIn(tx, read.hash))
      .catch((error: unknown) => {
        if (error instanceof AppError && error.code === 'token_invalid') void this.noteRefusal(read.tenantId, network);
        throw error;
      });
  }

  /** Counts a used, expired or invented token in the log of the tenant that it names, if there is one. */
  private async noteRefusal(tenantId: string, network: string | undefined): Promise<void> {
    const [tenant] = await this.database.query({ tenantId }, findTenantName(tenantId)).catch(() => []);
    if (!tenant) return;
    this.refusals.count({
      caller: { tenantId, actor: { type: 'anonymous', id: null }, network },
      entry: { action: 'invitation.refused', target: { type: 'invitation', id: null }, outcome: 'failure' },
    });
  }

  /**
   * Makes the person a member and uses the token, in one transaction: of several concurrent calls one wins.
   * @throws AppError `token_invalid` if it was used meanwhile, or is void
   */
  async join(invitation: OpenInvitation, person: Joining): Promise<string> {
    const { tenantId, hash } = invitation;
    return this.database.transaction({ tenantId }, async (tx) => {
      await lockMembers(tx);
      const { id, role } = await openIn(tx, hash);
      const [spent] = await tx.query(spendInvitation(tenantId, id, hash));
      if (!spent) throw tokenInvalid();
      const there = await tx.repository(Membership).findOneBy({ tenantId, userId: person.id });
      if (there) throw new AppError('conflict', 'You are a member of this tenant already.');
      const member = newMembership(tenantId, person.id, role, new Date());
      await beginMembership(tx, member);
      this.audit.record(
        tx,
        { tenantId, actor: { type: 'user', id: person.id } },
        { action: 'member.joined', target: { type: 'user', id: person.id }, changes: { role: [null, role] } },
      );
      const row = { ...member, email: person.email, name: person.name };
      this.outbox.publish(tx, [{ type: 'member.joined', data: JSON.stringify(viewOf(row)), aggregateId: person.id }]);
      this.mailer.notify(tx, {
        audience: { permission: 'members:manage' },
        template: 'member_added',
        data: { memberEmail: person.email, role },
      });
      return role;
    });
  }
}

/** The invitation of the token, if its tenant is open and its inviter may still grant its role. */
async function openIn(tx: TenantTransaction, hash: Buffer): Promise<OpenInvitation> {
  const [row] = await tx.query<OpenedInvitationRow>(findByToken(tx.tenantId, hash, new Date()));
  if (!row || row.suspended_at || row.closed_at) throw tokenInvalid();
  const role = await findRole(tx, row.role);
  if (!role) throw tokenInvalid();
  if (row.invitedBy !== BY_OPERATOR) {
    const held = await permissionsOf(tx, row.inviter_role ?? '');
    if (row.inviter_status !== 'active' || lacking(held, role.permissions).length > 0) throw tokenInvalid();
  }
  return {
    tenantId: tx.tenantId,
    tenantName: row.tenant_name,
    id: row.id,
    email: row.email,
    emailKey: row.emailKey,
    role: row.role,
    expiresAt: row.expiresAt,
    hash,
  };
}

function tokenInvalid(): AppError {
  return new AppError('token_invalid', 'The token is not valid (any more).');
}
