import type { Client } from 'pg';
import { Conflict } from '../../errors';

/** An index that PostgreSQL does not use, since its `create index concurrently` was interrupted. */
export interface InvalidIndex {
  /** Quoted and with its schema where SQL needs that. */
  sqlName: string;
  /** Its bare name. */
  name: string;
  table: string;
}

/** The invalid indexes of the schema `public` that no session builds now. */
export async function invalidIndexes(client: Client): Promise<InvalidIndex[]> {
  const { rows } = await client.query<InvalidIndex>(
    `select i.indexrelid::regclass::text as "sqlName", c.relname as name, i.indrelid::regclass::text as "table"
       from pg_index i join pg_class c on c.oid = i.indexrelid
      where not i.indisvalid and c.relkind = 'i' and c.relnamespace = to_regnamespace('public')
        and not exists (select from pg_stat_progress_create_index p
                         where p.datname = current_database() and p.index_relid = i.indexrelid)
      order by c.relname`,
  );
  return rows;
}

/**
 * Drops the invalid indexes that one of these statements creates: with `if not exists` the statement would accept the
 * index of an interrupted run.
 */
export async function dropInvalidIndexes(client: Client, statements: readonly string[]): Promise<void> {
  for (const { name, sqlName } of await invalidIndexes(client)) {
    const isMade = statements.some((text) => /create\s+(unique\s+)?index/i.test(text) && mentions(text, name));
    if (isMade) await client.query(`drop index concurrently if exists ${sqlName}`);
  }
}

/** @throws Conflict naming each invalid index and the statement that repairs it */
export async function assertIndexesValid(client: Client): Promise<void> {
  const invalid = await invalidIndexes(client);
  if (invalid.length > 0) throw new Conflict(invalid.map(describeInvalid).join('\n'));
}

/** An invalid index and the statement that repairs it, for the operator. */
export function describeInvalid({ sqlName, table }: InvalidIndex): string {
  return `invalid index: ${sqlName} of ${table}; run: reindex index concurrently ${sqlName}`;
}

function mentions(text: string, name: string): boolean {
  return new RegExp(`(^|[^\\w$])${name.replace(/[$]/g, '\\$&')}($|[^\\w$])`).test(text);
}
