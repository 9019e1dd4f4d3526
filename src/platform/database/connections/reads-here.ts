/**
 * Reads on the server of Citus that has the rows. There they are pipelined, as on plain PostgreSQL: the settings are a
 * statement, which Citus does not forward. If the rows are on another server, their policies find no tenant
 * there and refuse the statement. No policy without the tenant depends on the server.
 */
import type { DataSource } from 'typeorm';
import { sqlState } from '../sql/errors';
import type { Row, Statement } from '../sql/statement';
import type { Pipeline } from './pipeline';
import type { TransactionSettings } from './transaction-settings';

/** SQLSTATEs of a policy that finds no tenant: the setting is unknown, or empty. */
const WITHOUT_TENANT: ReadonlySet<string> = new Set(['42704', '22P02']);

/** Whether the coordinator has all rows, since it is the only server. */
export async function isOnlyServer(dataSource: DataSource): Promise<boolean> {
  const rows = await dataSource.query<{ only: boolean }[]>(
    `select count(*) < 2 as only from pg_dist_node where noderole = 'primary'`,
  );
  return rows[0]?.only ?? false;
}

/** Runs the statements pipelined; if their rows are elsewhere, by `otherwise`. */
export async function readHere(
  reads: Pipeline,
  txSettings: TransactionSettings,
  statements: readonly Statement[],
  otherwise: () => Promise<Row[][]>,
): Promise<Row[][]> {
  try {
    return await reads.run(txSettings, statements);
  } catch (error) {
    if (!WITHOUT_TENANT.has(sqlState(error) ?? '')) throw error;
    return otherwise();
  }
}
