import { columnsOf, type RowOf, rowsOf } from '../../platform/database/columns';
import { insertValues } from '../../platform/database/sql/insert-values';
import type { Statement } from '../../platform/database/sql/statement';
import { Invitation } from './invitation.entity';

/** An invitation, without its token. */
export type InvitationRow = RowOf<Invitation>;

const COLUMNS = columnsOf(Invitation);

export function findInvitation(tenantId: string, id: string): Statement {
  return {
    name: 'invitation_find',
    text: `select ${COLUMNS} from invitations where tenant_id = $1 and id = $2`,
    values: [tenantId, id],
  };
}

export function lockInvitation(tenantId: string, id: string): Statement {
  return {
    name: 'invitation_lock',
    text: `select ${COLUMNS} from invitations where tenant_id = $1 and id = $2 for update`,
    values: [tenantId, id],
  };
}

export function listInvitations(tenantId: string, afterId: string | undefined, limit: number): Statement {
  return {
    name: 'invitations_list',
    text: `select ${COLUMNS} from invitations
            where tenant_id = $1 and ($2::uuid is null or id < $2) order by id desc limit $3`,
    values: [tenantId, afterId ?? null, limit],
  };
}

export function countPendingInvitations(tenantId: string, now: Date): Statement {
  return {
    name: 'invitations_count',
    text: 'select count(*)::int as count from invitations where tenant_id = $1 and expires_at > $2',
    values: [tenantId, now],
  };
}

export function insertInvitation(row: RowOf<Invitation>, tokenHash: Buffer): Statement {
  const [statement] = insertValues({
    name: 'invitation_insert',
    table: 'invitations',
    shared: { tenant_id: ['uuid', row.tenantId], token_hash: ['bytea', tokenHash] },
    ...rowsOf(Invitation, [row]),
  });
  return statement as Statement;
}

/** Takes an expired invitation of the address out of the way of a new one. */
export function deleteExpiredOf(tenantId: string, emailKey: string, now: Date): Statement {
  return {
    name: 'invitation_delete_expired',
    text: 'delete from invitations where tenant_id = $1 and email_key = $2 and expires_at <= $3',
    values: [tenantId, emailKey, now],
  };
}

/** Gives an invitation another token, inviter and end; the old token is dead. */
export function renewInvitation(tenantId: string, row: InvitationRow, tokenHash: Buffer): Statement {
  return {
    name: 'invitation_renew',
    text: `update invitations set token_hash = $3, invited_by = $4, expires_at = $5, version = $6
            where tenant_id = $1 and id = $2`,
    values: [tenantId, row.id, tokenHash, row.invitedBy, row.expiresAt, row.version],
  };
}

/** Withdraws the invitation of an address, if there is one. */
export function deleteInvitationOf(tenantId: string, emailKey: string): Statement {
  return {
    name: 'invitation_delete_of',
    text: 'delete from invitations where tenant_id = $1 and email_key = $2',
    values: [tenantId, emailKey],
  };
}

export function deleteInvitation(tenantId: string, id: string): Statement {
  return {
    name: 'invitation_delete',
    text: 'delete from invitations where tenant_id = $1 and id = $2',
    values: [tenantId, id],
  };
}

/** The invitation of a token, with the data that can make it void: its tenant's and its inviter's state. */
export type OpenedInvitationRow = RowOf<Invitation> & {
  tenant_name: string;
  suspended_at: Date | null;
  closed_at: Date | null;
  inviter_role: string | null;
  inviter_status: string | null;
};

export function findByToken(tenantId: string, tokenHash: Buffer, now: Date): Statement {
  return {
    name: 'invitation_find_by_token',
    text: `select ${columnsOf(Invitation, 'i')},
                  t.name as tenant_name, t.suspended_at, t.closed_at,
                  m.role as inviter_role, m.status as inviter_status
             from invitations i
             join tenants t on t.id = i.tenant_id
             left join memberships m on m.tenant_id = i.tenant_id and m.user_id = i.invited_by
            where i.tenant_id = $1 and i.token_hash = $2 and i.expires_at > $3`,
    values: [tenantId, tokenHash, now],
  };
}

/** Uses a token: of several concurrent calls one finds the row. */
export function spendInvitation(tenantId: string, id: string, tokenHash: Buffer): Statement {
  return {
    name: 'invitation_spend',
    text: 'delete from invitations where tenant_id = $1 and id = $2 and token_hash = $3 returning id',
    values: [tenantId, id, tokenHash],
  };
}
