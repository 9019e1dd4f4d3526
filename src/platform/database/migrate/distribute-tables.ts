/**
 * Tenants over several PostgreSQL servers: with the extension Citus installed, `migrate` distributes the tables after
 * the migrations. A reference table has a copy on every server. A distributed table is split by `tenant_id`, and all
 * parts of one tenant are on one server, so a tenant's transaction stays there. A local table is on the coordinator.
 */
import type { Client } from 'pg';
import { HAS_CITUS } from '../sql/citus';
import { DB_ROLES, OPERATOR_ROLE } from '../sql/db-roles';
import { inTransaction } from '../sql/in-transaction';
import type { Filling, Placement, Placements } from '../sql/tables';

/**
 * Distributes the tables that are not distributed yet; does nothing where Citus is not installed. A table is locked
 * while its rows move.
 * @returns the names of the tables that were distributed now
 */
export async function distributeTables(
  client: Client,
  placements: Placements,
  fillings: readonly Filling[],
): Promise<string[]> {
  const { rows } = await client.query<{ there: boolean }>(`select ${HAS_CITUS} as there`);
  if (!rows[0]?.there) return [];
  const { rows: spread } = await client.query<{ table: string }>(
    'select logicalrelid::regclass::text as table from pg_dist_partition',
  );
  const done = new Set(spread.map(({ table }) => table));
  await letRolesConnect(client);
  // One connection to a server at a time, since a foreign key takes part in the transaction that creates it.
  await client.query(`set citus.multi_shard_modify_mode to 'sequential'`);
  await client.query('set citus.enable_local_reference_table_foreign_keys to off');
  const now: string[] = [];
  // All distributed tables are co-located with one of them.
  let first = Object.keys(placements).find((table) => placements[table] === 'distributed' && done.has(table));
  const { rows: existing } = await client.query<{ table: string }>(
    'select name as table from unnest($1::text[]) as name where to_regclass(name) is not null',
    [Object.keys(placements)],
  );
  const tables = existing.map(({ table }) => table);
  for (const table of await referencedFirst(client, tables)) {
    const placement = placements[table];
    if (placement === undefined || placement === 'local' || done.has(table)) continue;
    const filling = fillings.find((one) => one.table === table);
    if (filling) await fill(client, filling);
    await distribute(client, table, placement, first);
    if (placement === 'distributed') first ??= table;
    now.push(table);
  }
  return now;
}

/**
 * The coordinator connects to the other servers as the current role of a transaction, so that each role of the service
 * has to be able to connect. Without a password no client can log in as it.
 */
async function letRolesConnect(client: Client): Promise<void> {
  const roles = [...Object.values(DB_ROLES), OPERATOR_ROLE];
  for (const role of roles) await client.query(`alter role ${role} login`);
  const { rows } = await client.query<{ name: string; owned: boolean }>(
    `select datname as name, pg_has_role(datdba, 'USAGE') as owned from pg_database where datname = current_database()`,
  );
  // Another owner of the database has closed it, and opens it to these roles.
  if (!rows[0]?.owned) return;
  await client.query(`grant connect on database ${client.escapeIdentifier(rows[0].name)} to ${roles.join(', ')}`);
}

/**
 * Distributes one table. Citus copies its rows with COPY, which forced row-level security forbids to the owner of the
 * table: it is not forced within this transaction, which locks the table. The service's roles own no table, so that
 * their policies stay in force.
 */
async function distribute(client: Client, table: string, placement: Placement, first?: string): Promise<void> {
  const name = client.escapeIdentifier(table);
  const { rows } = await client.query<{ forced: boolean }>(
    'select relforcerowsecurity as forced from pg_class where oid = $1::regclass',
    [table],
  );
  await inTransaction(client, async () => {
    if (rows[0]?.forced) await client.query(`alter table ${name} no force row level security`);
    if (placement === 'reference') await client.query('select create_reference_table($1)', [table]);
    else if (first === undefined) await client.query(`select create_distributed_table($1, 'tenant_id')`, [table]);
    else await client.query(`select create_distributed_table($1, 'tenant_id', colocate_with => $2)`, [table, first]);
    if (rows[0]?.forced) await client.query(`alter table ${name} force row level security`);
  });
}

/**
 * Fills in a table that is about to be distributed, also with rows that the previous release has written. Row-level
 * security is forced on the owner of both tables, so it is lifted meanwhile.
 */
async function fill(client: Client, { table, from, text }: Filling): Promise<void> {
  const names = [table, from].map((name) => client.escapeIdentifier(name));
  await inTransaction(client, async () => {
    for (const name of names) await client.query(`alter table ${name} no force row level security`);
    await client.query(text);
    for (const name of names) await client.query(`alter table ${name} force row level security`);
  });
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
