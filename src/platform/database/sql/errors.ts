import { isNativeError } from 'node:util/types';
import { AppError, Unavailable } from '../../errors';

interface PostgresError extends Error {
  code: string;
  constraint?: string;
}

/** SQLSTATEs of temporary failures: connection trouble, shutdown, too many clients, timeouts, deadlocks. */
const NOT_NOW = /^(08...|57P0.|53...|57014|55P03|40001|40P01|25P0[34]|58...)$/;
const SOCKET = /^(ECONN|EPIPE|ETIMEDOUT|EHOST|ENET|ENOTFOUND|EAI_|ENOENT|EADDR)/;
/** Messages of `pg` and its pool, without a code, for a lost or unavailable connection. */
const CONNECTION_LOST =
  /Connection terminated|not queryable|Query read timeout|timeout expired|timeout exceeded when trying to connect|Client has already been|Client was closed|Cannot use a pool after/;

function driverError(error: unknown): PostgresError | undefined {
  const inner = (error as { driverError?: unknown } | undefined)?.driverError ?? error;
  return isNativeError(inner) ? (inner as PostgresError) : undefined;
}

/**
 * The same error in the service's terms: a temporary failure becomes {@link Unavailable} (503, the caller may try
 * again); every other error stays as it is, a fault of ours (500).
 */
export function translateDatabaseError(error: unknown): unknown {
  if (error instanceof AppError) return error;
  const inner = driverError(error);
  if (!inner) return error;
  const code = typeof inner.code === 'string' ? inner.code : '';
  if (NOT_NOW.test(code) || SOCKET.test(code) || CONNECTION_LOST.test(inner.message)) {
    return new Unavailable(`database: ${code} ${inner.message}`, { cause: error });
  }
  return error;
}

/** The SQLSTATE of an error, if it is PostgreSQL's. */
export function sqlState(error: unknown): string | undefined {
  return driverError(error)?.code;
}

/**
 * Whether a prepared statement is stale: a migration has changed the type of a returned column, or the statement is
 * gone. Nothing was done, and the same text works once it is prepared again.
 */
export function isStaleStatement(error: unknown): boolean {
  const inner = driverError(error);
  return inner?.code === '26000' || (inner?.code === '0A000' && inner.message.includes('cached plan'));
}

/**
 * Whether the error violates this unique constraint. Citus adds a suffix to constraints on shards
 * (`orders_pkey_102069`) and reports them in the message alone, so both places are checked.
 */
export function isUniqueViolation(error: unknown, constraint: string): boolean {
  const inner = driverError(error);
  if (inner?.code !== '23505') return false;
  const named = inner.constraint ?? /constraint "([^"]+)"/.exec(inner.message)?.[1] ?? '';
  return named.replace(/_\d{6,}$/, '') === constraint;
}
