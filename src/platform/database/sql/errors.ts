import { isNativeError } from 'node:util/types';
import { AppError, Unavailable } from '../../errors';

interface PostgresError extends Error {
  code: string;
  constraint?: string;
}

/** SQLSTATEs that say "not now" rather than "not so": connection trouble, shutdown, too many clients, timeouts, deadlocks. */
const NOT_NOW = /^(08...|57P0.|53...|57014|55P03|40001|40P01|25P0[34]|58...)$/;
/** SQLSTATEs after which a connection is of no more use: its server shuts down, lacks resources, or fails itself. */
const CLOSES = /^(08...|57P0.|53...|25P0[34]|58...)$/;
const SOCKET = /^(ECONN|EPIPE|ETIMEDOUT|EHOST|ENET|ENOTFOUND|EAI_|ENOENT|EADDR)/;
/** What `pg` and its pool say, without a code, of a connection that is gone or cannot be had. */
const CONNECTION_LOST =
  /Connection terminated|not queryable|Query read timeout|timeout expired|timeout exceeded when trying to connect|Client has already been|Client was closed|Cannot use a pool after/;
const READ_ONLY_TRANSACTION = '25006';
const FEATURE_NOT_SUPPORTED = '0A000';
const INVALID_STATEMENT_NAME = '26000';

function driverError(error: unknown): PostgresError | undefined {
  const translated = error instanceof Unavailable ? error.cause : error;
  const inner = (translated as { driverError?: unknown } | undefined)?.driverError ?? translated;
  return isNativeError(inner) ? (inner as PostgresError) : undefined;
}

/**
 * The same error in the service's terms: what PostgreSQL could not do now becomes {@link Unavailable} (503, and the
 * caller may try again); everything else stays what it is, a fault of ours (500).
 * @param readOnly whether the transaction was made read-only by the service itself: then a refused write is its fault
 */
export function translateDatabaseError(error: unknown, readOnly = false): unknown {
  if (error instanceof AppError) return error;
  const inner = driverError(error);
  if (!inner) return error;
  const code = typeof inner.code === 'string' ? inner.code : '';
  const refused = readOnly ? isInRecovery(inner) : isReadOnlyServer(inner);
  if (NOT_NOW.test(code) || SOCKET.test(code) || CONNECTION_LOST.test(inner.message) || refused || isStale(inner)) {
    return new Unavailable(`database: ${code} ${inner.message}`, { cause: error });
  }
  return error;
}

/** The SQLSTATE of an error, if it is PostgreSQL's. */
export function sqlState(error: unknown): string | undefined {
  return driverError(error)?.code;
}

/**
 * Whether the connection on which PostgreSQL reported this is to be closed: the server goes away, or is not the primary,
 * or the statements that were prepared there no longer fit. A new connection may lead to a server that is all right.
 */
export function closesConnection(error: unknown): boolean {
  const inner = driverError(error);
  return inner !== undefined && (CLOSES.test(inner.code ?? '') || isReadOnlyServer(inner) || isStale(inner));
}

/**
 * Whether a write was refused because the server, or its default, is read-only: it was the primary once, or its disk is
 * full. In a transaction that the service made read-only itself this says nothing about the server.
 */
export function isReadOnlyServer(error: unknown): boolean {
  const inner = driverError(error);
  return (
    inner?.code === READ_ONLY_TRANSACTION || /^cannot execute .* in a read-only transaction$/.test(inner?.message ?? '')
  );
}

/** The server is a standby. PostgreSQL has one SQLSTATE for this and for a transaction that is read-only. */
function isInRecovery(error: PostgresError): boolean {
  return error.code === READ_ONLY_TRANSACTION && error.message.includes('during recovery');
}

/**
 * Whether a prepared statement no longer fits the schema: a migration has changed the type of a column that it gives, or
 * the statement is gone. Nothing was done, and the same text works once it is prepared anew.
 */
export function isStaleStatement(error: unknown): boolean {
  const inner = driverError(error);
  return inner !== undefined && isStale(inner);
}

function isStale({ code, message }: PostgresError): boolean {
  return code === INVALID_STATEMENT_NAME || (code === FEATURE_NOT_SUPPORTED && message.includes('cached plan'));
}

/**
 * Whether the error is a violation of this unique constraint. Citus names constraints on shards with a suffix
 * (`orders_pkey_102069`) and reports them in the message alone, so both places are looked at.
 */
export function isUniqueViolation(error: unknown, constraint: string): boolean {
  const inner = driverError(error);
  if (inner?.code !== '23505') return false;
  const named = inner.constraint ?? /constraint "([^"]+)"/.exec(inner.message)?.[1] ?? '';
  return named.replace(/_\d{6,}$/, '') === constraint;
}
