import type { SqlValue, Statement } from './statement';

/**
 * Rows of one statement. Few sizes, so that a connection prepares few texts; the remaining rows use the next smaller
 * size.
 */
const SIZES = [64, 8, 1];
/** The same where tables are distributed: a statement costs more there than a text, so that few rows are one. */
const DISTRIBUTED_SIZES = [64, 32, 16, 8, 7, 6, 5, 4, 3, 2, 1];

/** The columns and rows to insert. Names and types come from the code, never from a caller. */
export interface InsertedRows {
  /** Of the statements, to which the number of rows is added. */
  name: string;
  table: string;
  /** Columns with one value for all rows, with their types. */
  shared: Readonly<Record<string, readonly [type: string, value: SqlValue]>>;
  /** The other columns, with their types, in the order of a row's values. */
  columns: Readonly<Record<string, string>>;
  rows: readonly (readonly SqlValue[])[];
  /** The end of the statement, such as `on conflict … do nothing`. */
  suffix?: string;
}

/** The texts of both forms by table and name: the columns of one name are always the same. */
const texts = new Map<string, string>();

/**
 * A statement that inserts any number of rows by arrays, with the statements of {@link insertValues} in its place where
 * tables are distributed.
 */
export function insertRows(insert: InsertedRows): Statement {
  const { name, table, shared, rows } = insert;
  const key = `${table} ${name}`;
  let text = texts.get(key);
  if (text === undefined) texts.set(key, (text = textOf(insert)));
  const values = Object.values(shared).map(([, value]) => value);
  const count = Object.keys(insert.columns).length;
  for (let i = 0; i < count; i++) values.push(rows.map((row) => inArray(row[i] as SqlValue)));
  return { name, text, values, distributed: () => insertValues(insert, DISTRIBUTED_SIZES) };
}

function textOf({ table, suffix = '', ...insert }: InsertedRows): string {
  const shared = Object.entries(insert.shared);
  const columns = Object.entries(insert.columns);
  const constants = shared.map(([, [type]], index) => `$${index + 1}::${type}`);
  // An array of bytes is one of texts: `pg` has no form for a buffer in an array.
  const arrays = columns.map(([, type], index) => `$${shared.length + index + 1}::${arrayType(type)}[]`);
  const cells = columns.map(([column, type]) => (type === 'bytea' ? `decode(r.${column}, 'hex')` : `r.${column}`));
  const names = columns.map(([column]) => column).join(', ');
  return `insert into ${table} (${[...shared.map(([column]) => column), names].join(', ')})
           select ${[...constants, ...cells].join(', ')} from unnest(${arrays.join(', ')}) as r (${names}) ${suffix}`.trim();
}

const arrayType = (type: string): string => (type === 'bytea' ? 'text' : type);

function inArray(value: SqlValue): string | number | null {
  if (value instanceof Date) return value.toISOString();
  if (value instanceof Buffer) return value.toString('hex');
  return value as string | number | null;
}

/**
 * Statements that insert rows by VALUES. If tables are distributed, each goes to the tenant's shard, while INSERT …
 * SELECT of arrays is executed on the coordinator and locks the metadata of all shards.
 */
export function insertValues(insert: InsertedRows, sizes: readonly number[] = SIZES): Statement[] {
  const statements: Statement[] = [];
  let at = 0;
  for (const size of sizes) {
    for (; insert.rows.length - at >= size; at += size) {
      statements.push(insertChunk(insert, insert.rows.slice(at, at + size)));
    }
  }
  return statements;
}

function insertChunk(insert: InsertedRows, rows: InsertedRows['rows']): Statement {
  const name = `${insert.name}_${rows.length}`;
  const key = `${insert.table} ${name}`;
  let text = texts.get(key);
  if (text === undefined) texts.set(key, (text = valuesTextOf(insert, rows.length)));
  const values = Object.values(insert.shared).map(([, value]) => value);
  for (const row of rows) values.push(...row);
  return { name, text, values };
}

function valuesTextOf({ table, shared, columns, suffix = '' }: InsertedRows, count: number): string {
  const constants = Object.values(shared).map(([type], index) => `$${index + 1}::${type}`);
  let parameters = constants.length;
  const tuples = Array.from({ length: count }, () => {
    const cells = Object.values(columns).map((type) => `$${++parameters}::${type}`);
    return `(${[...constants, ...cells].join(', ')})`;
  });
  const names = [...Object.keys(shared), ...Object.keys(columns)].join(', ');
  return `insert into ${table} (${names}) values ${tuples.join(', ')} ${suffix}`.trim();
}
