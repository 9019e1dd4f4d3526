/** The statements that read the audit log. */
import type { Row, SqlValue, Statement } from '../platform/database/sql/statement';
import { firstIdAt } from '../platform/ids/ids';
import type { AuditEntryView } from './audit-entry.views';

/** An entry with its personal values. */
export interface EntryRow extends Row {
  id: string;
  occurred_at: Date;
  actor_type: string;
  actor_id: string | null;
  actor_via: string | null;
  action: string;
  target_type: string;
  target_id: string | null;
  changes: Record<string, unknown>;
  request_id: string | null;
  session_id: string | null;
  outcome: string;
  count: number;
  personal: Record<string, string>[] | null;
}

export const ENTRY_COLUMNS = `l.id, l.occurred_at, l.actor_type, l.actor_id, l.actor_via, l.action, l.target_type, l.target_id, l.changes,
                 l.request_id, l.session_id, l.outcome, l.count,
                 (select json_agg(p.data) from audit_personal p where p.tenant_id = $1 and p.entry_id = l.id) as personal`;

/** Which entries a list has. */
export interface EntryFilter {
  actorId?: string;
  action?: string;
  targetType?: string;
  targetId?: string;
  since?: Date;
  until?: Date;
}

/** Entries of a filter after an id, newest first. */
export function listEntries(
  tenantId: string,
  filter: EntryFilter,
  afterId: string | undefined,
  limit: number,
): Statement {
  const values: SqlValue[] = [tenantId];
  const names: string[] = [];
  const conditions = ['l.tenant_id = $1'];
  const where = (name: string, condition: string, value: SqlValue | undefined): void => {
    if (value === undefined) return;
    values.push(value);
    names.push(name);
    conditions.push(`${condition} $${values.length}`);
  };
  where('actor', 'l.actor_id =', filter.actorId);
  where('action', 'l.action =', filter.action);
  where('type', 'l.target_type =', filter.targetType);
  where('target', 'l.target_id =', filter.targetId);
  where('since', 'l.id >=', filter.since && firstIdAt(filter.since.getTime()));
  // The page's own bound is the tighter one: one condition, so that the index is entered at the right place.
  const until = filter.until && firstIdAt(filter.until.getTime());
  where('before', 'l.id <', [afterId, until].filter((id) => id !== undefined).sort()[0]);
  values.push(limit);
  return {
    name: ['audit_list', ...names].join('_'),
    text: `select ${ENTRY_COLUMNS} from audit_log l where ${conditions.join(' and ')} order by l.id desc limit $${values.length}`,
    values,
  };
}

/** Entries by their ids, oldest first. */
export function findEntries(tenantId: string, ids: readonly string[]): Statement {
  return {
    name: 'audit_find',
    text: `select ${ENTRY_COLUMNS} from audit_log l where l.tenant_id = $1 and l.id = any ($2::uuid[]) order by l.id`,
    values: [tenantId, ids],
  };
}

export interface ProvenRow extends Row {
  canonical: Buffer;
  leaf_index: string | null;
  leaf_hash: Buffer | null;
  salts: Record<string, string>[] | null;
}

/** The data of an entry's proof. */
export function findProven(tenantId: string, id: string): Statement {
  return {
    name: 'audit_find_proven',
    text: `select l.canonical, f.leaf_index, f.hash as leaf_hash,
                  (select json_agg(p.salts) from audit_personal p where p.tenant_id = $1 and p.entry_id = l.id) as salts
             from audit_log l left join audit_leaves f on f.tenant_id = $1 and f.entry_id = l.id
            where l.tenant_id = $1 and l.id = $2`,
    values: [tenantId, id],
  };
}

export interface PublicKeyRow extends Row {
  id: string;
  public_key: Buffer;
  created_at: Date;
}

/** The public keys of all signatures, the newest first. */
export function listPublicKeys(): Statement {
  return {
    name: 'audit_keys_public',
    text: 'select id, public_key, created_at from audit_keys order by id desc limit 100',
    values: [],
  };
}

/** The entry as the API shows it. */
export function entryView(row: EntryRow): AuditEntryView {
  const personal = Object.assign({}, ...(row.personal ?? [])) as Record<string, string>;
  const changes: Record<string, unknown> = { ...row.changes };
  for (const [name, value] of Object.entries(personal)) {
    if (name.startsWith('changes.')) changes[name.slice('changes.'.length)] = JSON.parse(value);
  }
  const email = personal['actor.email'];
  return {
    id: row.id,
    occurred_at: row.occurred_at.toISOString(),
    actor: {
      type: row.actor_type,
      id: row.actor_id,
      ...(email === undefined ? {} : { email }),
      ...(row.actor_via === null ? {} : { via: row.actor_via }),
    },
    action: row.action,
    target: { type: row.target_type, id: row.target_id },
    changes,
    network: personal.network ?? null,
    user_agent: personal.user_agent ?? null,
    request_id: row.request_id,
    session_id: row.session_id,
    outcome: row.outcome,
    count: row.count,
  };
}
