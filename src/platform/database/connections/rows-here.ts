/**
 * Transactions on the server of Citus that has the rows. There they are pipelined, as on plain PostgreSQL: the settings
 * are a statement, which Citus does not forward. If the rows are on another server, their policies find no tenant
 * there and refuse the statement. No policy without the tenant depends on the server.
 */
import type { DataSource } from 'typeorm';
import { forCitus } from '../sql/citus';
import { sqlState } from '../sql/errors';
import { hasChangedMeanwhile } from '../sql/guarded-update';
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

/**
 * Whether writes may be pipelined: another server would refuse the first of them. The policies of a narrow role might
 * not, and that server would commit each statement by itself.
 */
export function areTenantsWrites({ settings }: TransactionSettings, statements: readonly Statement[]): boolean {
  const isTenants = settings.some(([name]) => name === 'app.tenant_id') && !settings.some(([name]) => name === 'role');
  return isTenants && statements.every((statement) => forCitus(statement) === statement);
}

/** Runs the statements pipelined; if their rows are elsewhere, by `otherwise`. */
export async function runHere(
  pipeline: Pipeline,
  txSettings: TransactionSettings,
  statements: readonly Statement[],
  otherwise: () => Promise<Row[][]>,
  wantRows = true,
): Promise<Row[][]> {
  try {
    return await pipeline.run(txSettings, statements, wantRows);
  } catch (error) {
    if (!WITHOUT_TENANT.has(sqlState(error) ?? '') || hasChangedMeanwhile(error)) throw error;
    return otherwise();
  }
}
