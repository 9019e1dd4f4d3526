import type { TestDatabase } from './databases';
import { tablesOf } from './tenant-rows';

/** A checksum of every row of every table: the same as before, if nothing was changed. */
export async function contentsOf(database: TestDatabase): Promise<Record<string, string>> {
  const contents: Record<string, string> = {};
  for (const table of await tablesOf(database, 'all')) {
    const [row] = await database.sql<{ sum: string }>(
      `select count(*) || ' ' || coalesce(md5(string_agg(t::text, '|' order by t::text)), '') as sum from ${table} t`,
    );
    contents[table] = row?.sum ?? '';
  }
  return contents;
}
