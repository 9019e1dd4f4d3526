/** Timeouts of PostgreSQL for the service, milliseconds; statements have `DB_STATEMENT_TIMEOUT`. */

/** A transaction that holds its locks and is idle for so long is ended, with its session. */
export const IDLE_IN_TRANSACTION_TIMEOUT_MS = 30_000;

/** A wait for a lock ends sooner than a statement, so that waiting statements do not fill the connections. */
export function lockTimeout(statementTimeout: number): number {
  return Math.min(statementTimeout, 5_000);
}

/** A measurement of a backlog that takes longer is cancelled by PostgreSQL. */
export const BACKLOG_TIMEOUT = ['statement_timeout', '2000'] as const;
