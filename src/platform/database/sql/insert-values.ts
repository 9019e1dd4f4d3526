import type { SqlValue, Statement } from './statement';

/**
 * Rows of one statement. Few sizes, so that a connection prepares few texts; the remaining rows use the next smaller
 * size.
 */
const SIZES = [64, 8, 1];

/** The columns and rows to insert. Names and types are ours, never a caller's. */
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

/**
 * Statements that insert rows by VALUES. If tables are distributed, each goes to the tenant's shard, while INSERT …
 * SELECT of arrays is executed on the coordinator and locks the metadata of all shards.
 */
export function insertValues(insert: InsertedRows): Statement[] {
  const statements: Statement[] = [];
  let at = 0;
  for (const size of SIZES) {
    for (; insert.rows.length - at >= size; at += size) {
      statements.push(insertChunk(insert, insert.rows.slice(at, at + size)));
    }
  }
  return statements;
}

function insertChunk(
  { name, table, shared, columns, suffix = '' }: InsertedRows,
  rows: InsertedRows['rows'],
): Statement {
  const values: SqlValue[] = Object.values(shared).map(([, value]) => value);
  const constants = Object.values(shared).map(([type], index) => `$${index + 1}::${type}`);
  const types = Object.values(columns);
  const tuples = rows.map((row) => {
    const cells = row.map((value, index) => `$${values.push(value)}::${types[index]}`);
    return `(${[...constants, ...cells].join(', ')})`;
  });
  const names = [...Object.keys(shared), ...Object.keys(columns)].join(', ');
  return {
    name: `${name}_${rows.length}`,
    text: `insert into ${table} (${names}) values ${tuples.join(', ')} ${suffix}`.trim(),
    values,
  };
}
