import { Injectable } from '@nestjs/common';
import { AuditLog } from '../../platform/audit/audit-log';
import { MembersDatabase } from '../../platform/database/roles/members-database';
import { TenantDatabase, type TenantScope, type TenantTransaction } from '../../platform/database/tenant-database';
import { AppError, Conflict, type FieldFault, NotFound, RateLimited, ValidationFailed } from '../../platform/errors';
import { Hooks } from '../../platform/hooks/hooks';
import type { Caller } from '../../platform/http/requests/caller';
import { assertMayGrant, assertNotAbove } from '../../platform/http/requests/grants';
import type { PageDto } from '../../platform/http/requests/page.dto';
import { Idempotency, type IdempotentRequest } from '../../platform/http/responses/idempotency';
import type { Precondition } from '../../platform/http/responses/conditional-requests';
import { type JsonPage, Outcome, Representation, type WriteResult } from '../../platform/http/responses/results';
import { Cursors } from '../../platform/http/responses/pagination';
import { newTimedId } from '../../platform/ids/ids';
import { Mailer } from '../../platform/mail/mailer';
import { emailKey, isPlainAddress } from '../../platform/net/email-key';
import { Outbox } from '../../platform/outbox/outbox';
import { findMember, findMemberByEmail, type MemberRow } from '../members/members.queries';
import { findRole, permissionsOf } from '../roles/role-catalogue';
import { lockMembers } from '../tenant-lock';
import { Tenant } from '../tenant.entity';
import { newInvitationToken } from './invitation-token';
import type { CreateInvitationDto } from './invitations.requests';
import { viewOf } from './invitations.views';
import * as queries from './invitations.queries';

const LIFE_MS = 7 * 24 * 60 * 60 * 1000;
const MAX_PENDING = 1_000;
const RETRY_SECONDS = 60 * 60;

/** Invitations for members who manage members; accepting them is in `joining.service.ts`. */
@Injectable()
export class InvitationsService {
  constructor(
    private readonly database: TenantDatabase,
    private readonly people: MembersDatabase,
    private readonly idempotency: Idempotency,
    private readonly cursors: Cursors,
    private readonly outbox: Outbox,
    private readonly audit: AuditLog,
    private readonly mailer: Mailer,
    private readonly hooks: Hooks,
  ) {}

  /**
   * Invites an address; only the mail contains the token.
   * @throws ValidationFailed; Forbidden for a role with more than the caller has; Conflict for a pending invitation or
   * a member of the address; AppError `business_rule_violation` without mail, or for one too many; RateLimited
   */
  async create(caller: Caller, input: CreateInvitationDto, request?: IdempotentRequest): Promise<WriteResult> {
    this.assertMail();
    const key = emailKey(input.email);
    if (!isPlainAddress(input.email))
      throw invalid('email', 'must not have letters that only look like others', 'email');
    const [member] = await this.people.query(caller, findMemberByEmail(caller.tenantId, key));
    const inviter = await this.inviterName(caller);
    await this.assertMailAllowed(caller, input.email);
    return this.idempotency.transaction(caller, request, async (tx) => {
      if (member) throw new Conflict('A person with this address is a member already.');
      await lockMembers(tx);
      await this.assertGrantable(tx, caller, input.role);
      const { id, at } = newTimedId();
      await tx.query(queries.deleteExpiredOf(tx.tenantId, key, at));
      const [counted] = await tx.query<{ count: number }>(queries.countPendingInvitations(tx.tenantId, at));
      if ((counted?.count ?? 0) >= MAX_PENDING) {
        throw new AppError('business_rule_violation', `A tenant has at most ${MAX_PENDING} pending invitations.`);
      }
      const row: queries.InvitationRow = {
        tenantId: tx.tenantId,
        id,
        email: input.email,
        emailKey: key,
        role: input.role,
        invitedBy: caller.actor.id,
        version: 1,
        createdAt: at,
        expiresAt: new Date(at.getTime() + LIFE_MS),
      };
      const [pending] = await tx.query(findPendingOf(tx.tenantId, key));
      if (pending) throw new Conflict('This address has a pending invitation: send it again, or withdraw it.');
      const token = newInvitationToken(tx.tenantId);
      await tx.query(queries.insertInvitation(row, token.hash));
      await this.send(tx, row, token.text, inviter);
      this.audit.record(tx, caller, {
        action: 'member.invited',
        target: { type: 'invitation', id },
        changes: { role: [null, row.role] },
      });
      const body = JSON.stringify(viewOf(row));
      this.outbox.publish(tx, [{ type: 'member.invited', data: body, aggregateId: id }]);
      return new Outcome(body, { id, version: 1 });
    });
  }

  /** A page of invitations, newest first, including expired ones. @throws AppError `invalid_cursor` */
  list(caller: Caller, page: PageDto): Promise<JsonPage> {
    const scope = { tenant: caller, list: 'invitations', filters: {} };
    return this.cursors.page(scope, page, async (afterId, count) => {
      const statement = queries.listInvitations(caller.tenantId, afterId, count);
      const rows = await this.database.query<queries.InvitationRow>(caller, statement);
      return rows.map((row) => ({ id: row.id, json: JSON.stringify(viewOf(row)) }));
    });
  }

  /** @throws NotFound */
  async find(caller: Caller, id: string): Promise<Representation> {
    const [row] = await this.database.query<queries.InvitationRow>(caller, queries.findInvitation(caller.tenantId, id));
    if (!row) throw new NotFound('Invitation', id);
    return new Representation(JSON.stringify(viewOf(row)), row.version);
  }

  /** Withdraws an invitation. @throws NotFound; VersionConflict; Forbidden for a role with more than the caller has */
  async remove(caller: Caller, id: string, ifMatch?: Precondition): Promise<void> {
    await this.database.transaction(caller, async (tx) => {
      const row = await lock(tx, id, ifMatch);
      assertNotAbove(caller, await permissionsOf(tx, row.role));
      tx.defer(queries.deleteInvitation(tx.tenantId, id));
      this.audit.record(tx, caller, { action: 'member.invitation_withdrawn', target: { type: 'invitation', id } });
    });
  }

  /**
   * Sends a new token; the old one becomes invalid, and the caller becomes the inviter from now on.
   * @throws NotFound; Forbidden; RateLimited
   */
  async resend(caller: Caller, id: string): Promise<void> {
    this.assertMail();
    const inviter = await this.inviterName(caller);
    const [invited] = await this.database.query<queries.InvitationRow>(
      caller,
      queries.findInvitation(caller.tenantId, id),
    );
    if (!invited) throw new NotFound('Invitation', id);
    await this.assertMailAllowed(caller, invited.email);
    await this.database.transaction(caller, async (tx) => {
      await lockMembers(tx);
      const row = await lock(tx, id);
      await this.assertGrantable(tx, caller, row.role);
      const renewed = {
        ...row,
        invitedBy: caller.actor.id,
        version: row.version + 1,
        expiresAt: new Date(new Date().getTime() + LIFE_MS),
      };
      const token = newInvitationToken(tx.tenantId);
      await tx.query(queries.renewInvitation(tx.tenantId, renewed, token.hash));
      await this.send(tx, renewed, token.text, inviter);
      this.audit.record(tx, caller, { action: 'member.invitation_resent', target: { type: 'invitation', id } });
    });
  }

  private async send(
    tx: TenantTransaction,
    row: queries.InvitationRow,
    token: string,
    inviterName: string,
  ): Promise<void> {
    const tenant = await tx.repository(Tenant).findOneByOrFail({ id: tx.tenantId });
    this.mailer.send(tx, {
      to: { address: row.email },
      template: 'invitation',
      data: { token, tenantName: tenant.name, inviterName, role: row.role },
      tenantId: tx.tenantId,
    });
  }

  private async inviterName(caller: Caller): Promise<string> {
    const [row] = await this.people.query<MemberRow>(caller, findMember(caller.tenantId, caller.actor.id));
    return row?.name ?? row?.email ?? '';
  }

  private async assertGrantable(tx: TenantTransaction, caller: Caller, name: string): Promise<void> {
    const role = await findRole(tx, name);
    if (!role) throw invalid('role', 'is no role of this tenant', 'role');
    assertMayGrant(caller, role.permissions);
  }

  /**
   * Withdrawing and inviting again would otherwise fill the mailbox of a stranger. It is counted before the
   * transaction, which would hold its connection while it waits for another one.
   */
  private async assertMailAllowed({ tenantId }: TenantScope, email: string): Promise<void> {
    if (await this.hooks.mailAllowed.run({ tenantId, email })) return;
    throw new RateLimited('Too many mails to this address; try again later.', RETRY_SECONDS);
  }

  private assertMail(): void {
    if (this.mailer.isConfigured) return;
    throw new AppError('business_rule_violation', 'Mail is not configured: an invitation could not be sent.');
  }
}

function findPendingOf(tenantId: string, key: string) {
  return {
    name: 'invitation_find_pending',
    text: 'select id from invitations where tenant_id = $1 and email_key = $2',
    values: [tenantId, key],
  };
}

async function lock(tx: TenantTransaction, id: string, ifMatch?: Precondition): Promise<queries.InvitationRow> {
  const [row] = await tx.query<queries.InvitationRow>(queries.lockInvitation(tx.tenantId, id));
  if (!row) throw new NotFound('Invitation', id);
  ifMatch?.assertVersion(row.version);
  return row;
}

function invalid(field: string, message: string, code: string): ValidationFailed {
  return new ValidationFailed([{ field, message, code } satisfies FieldFault]);
}
