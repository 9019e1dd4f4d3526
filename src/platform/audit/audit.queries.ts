/** The statements that write an audit entry. */
import type { Statement } from '../database/sql/statement';

/** A row of `audit_log`, as it is inserted. */
export interface AuditRow {
  tenantId: string;
  id: string;
  occurredAt: Date;
  actorType: string;
  actorId: string | null;
  actorVia: string | null;
  action: string;
  targetType: string;
  targetId: string | null;
  /** JSON text of the changes that are not personal. */
  changes: string;
  requestId: string | null;
  sessionId: string | null;
  outcome: string;
  count: number;
  canonical: Buffer;
}

export function insertAuditEntry(row: AuditRow): Statement {
  return {
    name: 'audit_insert',
    text: `insert into audit_log (tenant_id, id, occurred_at, actor_type, actor_id, actor_via, action, target_type, target_id,
                                  changes, request_id, session_id, outcome, count, canonical)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`,
    values: [
      row.tenantId,
      row.id,
      row.occurredAt,
      row.actorType,
      row.actorId,
      row.actorVia,
      row.action,
      row.targetType,
      row.targetId,
      row.changes,
      row.requestId,
      row.sessionId,
      row.outcome,
      row.count,
      row.canonical,
    ],
  };
}

/** Marks the entry as not appended to the tree yet. */
export function insertPending(tenantId: string, entryId: string): Statement {
  return {
    name: 'audit_pending_insert',
    text: 'insert into audit_pending (tenant_id, entry_id) values ($1, $2)',
    values: [tenantId, entryId],
  };
}

/** The personal values of one person in an entry. */
export interface PersonalRow {
  userId: string;
  data: Record<string, string>;
  salts: Record<string, string>;
}

export function insertPersonal(tenantId: string, entryId: string, row: PersonalRow): Statement {
  return {
    name: 'audit_personal_insert',
    text: 'insert into audit_personal (tenant_id, entry_id, user_id, data, salts) values ($1, $2, $3, $4, $5)',
    values: [tenantId, entryId, row.userId, JSON.stringify(row.data), JSON.stringify(row.salts)],
  };
}

/** Requests the erasure of all personal values of a user in a tenant's log. */
export function requestErasure(tenantId: string, userId: string): Statement {
  return {
    name: 'audit_erasure_insert',
    text: 'insert into audit_erasures (tenant_id, user_id) values ($1, $2) on conflict do nothing',
    values: [tenantId, userId],
  };
}
