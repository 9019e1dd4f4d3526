/**
 * Tenants over several PostgreSQL servers: where the extension Citus is installed, `migrate` spreads the tables after it
 * has applied what was pending. A reference table has a copy on every server; a distributed one is split by `tenant_id`,
 * and the parts of one tenant are all on one server, so that a tenant's transaction stays there; what is local is on the
 * coordinator alone.
 */
import type { Client } from 'pg';
import { OPERATOR_ROLE, DB_ROLES } from './db-roles';
import type { Statement } from './statement';

/** How Citus keeps a table. */
export type Placement = 'reference' | 'distributed' | 'local';

/** Every table of the schema `public`, those that others refer to first. A test holds the schema against it. */
export const PLACEMENTS: Readonly<Record<string, Placement>> = {
  tenants: 'reference',
  users: 'reference',
  orders: 'distributed',
  order_items: 'distributed',
  order_history: 'distributed',
  idempotency_keys: 'distributed',
  memberships: 'distributed',
  sessions: 'distributed',
  refresh_tokens: 'distributed',
  events: 'distributed',
  outbox: 'distributed',
  webhook_event_types: 'distributed',
  webhook_endpoints: 'distributed',
  deliveries: 'distributed',
  delivery_attempts: 'distributed',
  tenant_auth_state: 'distributed',
  roles: 'distributed',
  invitations: 'distributed',
  api_keys: 'distributed',
  api_key_secrets: 'distributed',
  audit_log: 'distributed',
  audit_personal: 'distributed',
  audit_pending: 'distributed',
  audit_trees: 'distributed',
  audit_leaves: 'distributed',
  audit_nodes: 'distributed',
  audit_refusals: 'distributed',
  audit_erasures: 'distributed',
  mail_outbox: 'distributed',
  audit_keys: 'local',
  mail_suppressions: 'local',
  sign_in_failures: 'local',
  one_time_tokens: 'local',
  address_reservations: 'local',
  known_networks: 'local',
  migrations: 'local',
};

/** What all distributed tables are kept together with. */
const FIRST_DISTRIBUTED = 'orders';

/** Whether the database has Citus. */
export const HAS_CITUS = `exists (select from pg_extension where extname = 'citus')`;

/**
 * Spreads the tables that are not spread yet; does nothing where Citus is not installed. A table that has rows is locked
 * while they are moved.
 * @returns the names of those that were spread now
 */
export async function distributeTables(client: Client): Promise<string[]> {
  const { rows } = await client.query<{ there: boolean }>(`select ${HAS_CITUS} as there`);
  if (!rows[0]?.there) return [];
  const { rows: spread } = await client.query<{ table: string }>(
    'select logicalrelid::regclass::text as table from pg_dist_partition',
  );
  const done = new Set(spread.map(({ table }) => table));
  // The coordinator connects to the others as whoever a transaction runs as. Without a password that is nobody's way in.
  for (const role of [...Object.values(DB_ROLES), OPERATOR_ROLE]) await client.query(`alter role ${role} login`);
  // One connection to a server at a time, since a foreign key takes part in the transaction that makes it.
  await client.query(`set citus.multi_shard_modify_mode to 'sequential'`);
  await client.query('set citus.enable_local_reference_table_foreign_keys to off');
  const now: string[] = [];
  for (const [table, placement] of Object.entries(PLACEMENTS)) {
    if (placement === 'local' || done.has(table)) continue;
    if (placement === 'reference') await client.query('select create_reference_table($1)', [table]);
    else if (table === FIRST_DISTRIBUTED)
      await client.query(`select create_distributed_table($1, 'tenant_id')`, [table]);
    else {
      await client.query(`select create_distributed_table($1, 'tenant_id', colocate_with => $2)`, [
        table,
        FIRST_DISTRIBUTED,
      ]);
    }
    now.push(table);
  }
  return now;
}

/** An INSERT of what a SELECT gives, and no more than that. */
const INSERT_SELECT = /^\s*insert\s+into\b(?![^]*\breturning\b)[^]*\bselect\b/i;

/**
 * The statement as Citus takes it: rows that a SELECT gives are sent to their servers by COPY, which row-level security
 * forbids, unless the INSERT returns something.
 */
export function forCitus(statement: Statement): Statement {
  return INSERT_SELECT.test(statement.text) ? { ...statement, text: `${statement.text} returning 1` } : statement;
}
