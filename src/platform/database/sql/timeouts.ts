/** How long PostgreSQL is patient with the service, milliseconds; statements have `DB_STATEMENT_TIMEOUT`. */

/** A transaction that holds its locks and says nothing for so long is ended, with its session. */
export const IDLE_IN_TRANSACTION_TIMEOUT_MS = 30_000;

/** A lock is waited for less long than a statement may run, so that those who wait are not what fills the connections. */
export function lockTimeout(statementTimeout: number): number {
  return Math.min(statementTimeout, 5_000);
}
