import { rollback } from '../sql/in-transaction';
import type { Row, Statement } from '../sql/statement';
import { withMigrationLock } from './migration-lock';

/**
 * Reads rows of every tenant as the owner of the tables, for a check before a migration. Row-level security is forced
 * on the owner too: it is lifted in a transaction that is rolled back.
 * @returns no rows if the table does not exist yet
 */
export function readAsOwner<R extends Row>(url: string, table: string, { text, values }: Statement): Promise<R[]> {
  return withMigrationLock(url, async (client) => {
    const { rows: found } = await client.query<{ there: boolean; hidden: boolean }>(
      `select to_regclass($1) is not null as there,
              coalesce(row_security_active(to_regclass($1)::oid), false) as hidden`,
      [table],
    );
    if (!found[0]?.there) return [];
    await client.query(`begin; set local lock_timeout = '5s'`);
    try {
      if (found[0].hidden)
        await client.query(`alter table ${client.escapeIdentifier(table)} no force row level security`);
      return (await client.query<R>(text, [...values])).rows;
    } finally {
      await rollback(client);
    }
  });
}
