/**
 * Tenants over several PostgreSQL servers: where the extension Citus is installed, `migrate` distributes the tables
 * after the migrations. A reference table has a copy on every server. A distributed table is split by `tenant_id`, and
 * all parts of one tenant are on one server, so a tenant's transaction stays there. A local table is on the coordinator
 * alone.
 */
import type { Client } from 'pg';
import { OPERATOR_ROLE, DB_ROLES } from './db-roles';
import type { Statement } from './statement';

/** How Citus stores a table. */
export type Placement = 'reference' | 'distributed' | 'local';

/** Every table of the schema `public`, referenced tables first. A test compares it with the schema. */
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
  totp_factors: 'local',
  recovery_codes: 'local',
  second_factor_challenges: 'local',
  sign_in_failures: 'local',
  one_time_tokens: 'local',
  address_reservations: 'local',
  known_networks: 'local',
  migrations: 'local',
};

/** The table that all distributed tables are co-located with. */
const FIRST_DISTRIBUTED = 'orders';

/** Whether the database has Citus. */
export const HAS_CITUS = `exists (select from pg_extension where extname = 'citus')`;

/**
 * Distributes the tables that are not distributed yet; does nothing where Citus is not installed. A table with rows is
 * locked while they move.
 * @returns the names of the tables that were distributed now
 */
export async function distributeTables(client: Client): Promise<string[]> {
  const { rows } = await client.query<{ there: boolean }>(`select ${HAS_CITUS} as there`);
  if (!rows[0]?.there) return [];
  const { rows: spread } = await client.query<{ table: string }>(
    'select logicalrelid::regclass::text as table from pg_dist_partition',
  );
  const done = new Set(spread.map(({ table }) => table));
  // The coordinator connects to the workers as the current role of a transaction. Without a password no client can log
  // in as it.
  for (const role of [...Object.values(DB_ROLES), OPERATOR_ROLE]) await client.query(`alter role ${role} login`);
  // One connection to a server at a time, since a foreign key takes part in the transaction that creates it.
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

/** An INSERT … SELECT without RETURNING. */
const INSERT_SELECT = /^\s*insert\s+into\b(?![^]*\breturning\b)[^]*\bselect\b/i;

/**
 * The statement in a form that Citus accepts: rows of a SELECT are sent to their servers by COPY, which row-level
 * security forbids, unless the INSERT has a RETURNING.
 */
export function forCitus(statement: Statement): Statement {
  return INSERT_SELECT.test(statement.text) ? { ...statement, text: `${statement.text} returning 1` } : statement;
}
