import { randomBytes, randomUUID } from 'node:crypto';
import type { TestDatabase } from './databases';

type Values = Record<string, unknown>;

interface Column {
  name: string;
  type: string;
  /** The first value that a `check (column in (…))` allows. */
  choice: string | null;
}

interface ForeignKey {
  columns: string[];
  parent: string;
  parent_columns: string[];
}

/** For a check constraint that requires more than a value of the column's type. */
const SPECIAL: Record<string, unknown> = {
  'orders.currency': 'USD',
  'idempotency_keys.status': 200,
  'memberships.role': 'owner',
  'api_keys.kind': 'personal',
};

const OF_TYPE: Record<string, () => unknown> = {
  uuid: randomUUID,
  text: () => `t${randomBytes(6).toString('hex')}`,
  bytea: () => randomBytes(32),
  integer: () => 1,
  smallint: () => 1,
  bigint: () => 1,
  numeric: () => '1.00',
  boolean: () => true,
  json: () => '{}',
  jsonb: () => '{}',
  'text[]': () => [],
  'timestamp with time zone': () => new Date(),
};

/** All tables of the public schema, or those with a `tenant_id`. */
export async function tablesOf(database: TestDatabase, which: 'all' | 'tenant' = 'tenant'): Promise<string[]> {
  const rows = await database.sql<{ name: string }>(
    `select c.relname as name from pg_class c
      where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
        and ($1 = 'all' or exists (select from pg_attribute a
                                    where a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped))
      order by 1`,
    [which],
  );
  return rows.map((row) => row.name);
}

/**
 * Writes one row of a new tenant into every table that has a `tenant_id`, and into those they refer to, made up from
 * the catalogue: a table that is added is filled as well.
 * @returns the tenant's id, and the row of each table
 */
export async function fillTenant(database: TestDatabase): Promise<{ tenantId: string; rows: Map<string, Values> }> {
  const tenantId = randomUUID();
  const rows = new Map<string, Values>();
  const rowOf = async (table: string): Promise<Values> => {
    const known = rows.get(table);
    if (known) return known;
    const values: Values = {};
    for (const key of await foreignKeysOf(database, table)) {
      const parent = await rowOf(key.parent);
      key.columns.forEach((column, at) => (values[column] = parent[key.parent_columns[at] as string]));
    }
    for (const column of await columnsOf(database, table)) {
      if (column.name in values) continue;
      values[column.name] = column.name === 'tenant_id' ? tenantId : valueOf(table, column, tenantId);
    }
    const row = await insertRow(database, table, values);
    rows.set(table, row);
    return row;
  };
  for (const table of await tablesOf(database)) await rowOf(table);
  return { tenantId, rows };
}

async function insertRow(database: TestDatabase, table: string, values: Values): Promise<Values> {
  const names = Object.keys(values);
  try {
    const [row] = await database.sql(
      `insert into ${table} (${names.join(', ')}) values (${names.map((_, at) => `$${at + 1}`).join(', ')}) returning *`,
      Object.values(values),
    );
    return row as Values;
  } catch (error) {
    throw new Error(
      `No row could be made up for ${table} (${String(error)}); see SPECIAL in test/harness/tenant-rows.ts`,
      { cause: error },
    );
  }
}

function valueOf(table: string, column: Column, tenantId: string): unknown {
  if (table === 'tenants' && column.name === 'id') return tenantId;
  if (`${table}.${column.name}` in SPECIAL) return SPECIAL[`${table}.${column.name}`];
  const make = OF_TYPE[column.type];
  if (!make) throw new Error(`add the type ${column.type} to OF_TYPE in test/harness/tenant-rows.ts`);
  return column.choice ?? make();
}

function columnsOf(database: TestDatabase, table: string): Promise<(Column & Values)[]> {
  return database.sql(
    `select a.attname as name, format_type(a.atttypid, null) as type,
            (select substring(pg_get_constraintdef(k.oid) from a.attname || ' = ANY \\(ARRAY\\[''([^'']+)''')
               from pg_constraint k where k.conrelid = a.attrelid and k.contype = 'c' and k.conkey = array[a.attnum]
              limit 1) as choice
       from pg_attribute a
      where a.attrelid = $1::regclass and a.attnum > 0 and not a.attisdropped
        and a.attidentity <> 'a' and a.attgenerated = ''
      order by a.attnum`,
    [table],
  );
}

function foreignKeysOf(database: TestDatabase, table: string): Promise<(ForeignKey & Values)[]> {
  return database.sql(
    `select k.confrelid::regclass::text as parent,
            (select array_agg(a.attname::text order by u.at) from unnest(k.conkey) with ordinality u (num, at)
               join pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.num) as columns,
            (select array_agg(a.attname::text order by u.at) from unnest(k.confkey) with ordinality u (num, at)
               join pg_attribute a on a.attrelid = k.confrelid and a.attnum = u.num) as parent_columns
       from pg_constraint k where k.conrelid = $1::regclass and k.contype = 'f' and k.confrelid <> k.conrelid
        and k.conparentid = 0`,
    [table],
  );
}
