/**
 * Tenants over several PostgreSQL servers: with the extension Citus installed, `migrate` distributes the tables after
 * the migrations. A reference table has a copy on every server. A distributed table is split by `tenant_id`, and all
 * parts of one tenant are on one server, so a tenant's transaction stays there. A local table is on the coordinator.
 */
import type { Client } from 'pg';
import { HAS_CITUS } from '../sql/citus';
import { DB_ROLES, OPERATOR_ROLE } from '../sql/db-roles';
import type { Placements } from '../sql/tables';

/**
 * Distributes the tables that are not distributed yet; does nothing where Citus is not installed. A table with rows is
 * locked while they move.
 * @returns the names of the tables that were distributed now
 */
export async function distributeTables(client: Client, placements: Placements): Promise<string[]> {
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
  // All distributed tables are co-located with one of them.
  let first = Object.keys(placements).find((table) => placements[table] === 'distributed' && done.has(table));
  for (const table of await referencedFirst(client, Object.keys(placements))) {
    const placement = placements[table];
    if (placement === 'local' || done.has(table)) continue;
    if (placement === 'reference') await client.query('select create_reference_table($1)', [table]);
    else if (first === undefined) await client.query(`select create_distributed_table($1, 'tenant_id')`, [table]);
    else await client.query(`select create_distributed_table($1, 'tenant_id', colocate_with => $2)`, [table, first]);
    if (placement === 'distributed') first ??= table;
    now.push(table);
  }
  return now;
}

/** The tables, sorted so that a table comes after those that its foreign keys refer to. */
async function referencedFirst(client: Client, tables: readonly string[]): Promise<string[]> {
  const { rows } = await client.query<{ child: string; parent: string }>(
    `select conrelid::regclass::text as child, confrelid::regclass::text as parent
       from pg_constraint where contype = 'f' and conrelid <> confrelid`,
  );
  const ordered = new Set<string>();
  const visit = (table: string): void => {
    if (ordered.has(table)) return;
    for (const { child, parent } of rows) if (child === table) visit(parent);
    ordered.add(table);
  };
  for (const table of tables) visit(table);
  return [...ordered].filter((table) => tables.includes(table));
}
