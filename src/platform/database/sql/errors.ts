import { isNativeError } from 'node:util/types';
import { AppError, Unavailable } from '../../errors';

interface PostgresError extends Error {
  code: string;
  constraint?: string;
}

/** SQLSTATEs of temporary failures: connection trouble, shutdown, too many clients, timeouts, deadlocks. */
const NOT_NOW = /^(08...|57P0.|53...|57014|55P03|40001|40P01|25P0[34]|58...)$/;
/** SQLSTATEs after which a connection is closed: its server shuts down, lacks resources, or has failed. */
const CLOSES = /^(08...|57P0.|53...|25P0[34]|58...)$/;
const SOCKET = /^(ECONN|EPIPE|ETIMEDOUT|EHOST|ENET|ENOTFOUND|EAI_|ENOENT|EADDR)/;
/** Messages of `pg` and its pool, without a code, for a lost or unavailable connection. */
const CONNECTION_LOST =
  /Connection terminated|not queryable|Query read timeout|timeout expired|timeout exceeded when trying to connect|Client has already been|Client was closed|Cannot use a pool after/;
/** Codes of Node and a message of `pg` for a TLS connection that could not be made. */
const TLS_CODE = /^(ERR_SSL_|ERR_TLS_|EPROTO|CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|HOSTNAME_MISMATCH|INVALID_CA)/;
const TLS_REFUSED = /does not support SSL connections|establishing an SSL connection/;
/** Internal errors of Citus while a server is away, or a shard moves or is split: soon the statement works again. */
const CITUS_NOT_NOW = /failure on connection marked as essential|could not find valid entry for shard/;
const READ_ONLY_TRANSACTION = '25006';
const FEATURE_NOT_SUPPORTED = '0A000';
const INVALID_STATEMENT_NAME = '26000';

function driverError(error: unknown): PostgresError | undefined {
  const translated = error instanceof Unavailable ? error.cause : error;
  const inner = (translated as { driverError?: unknown } | undefined)?.driverError ?? translated;
  return isNativeError(inner) ? (inner as PostgresError) : undefined;
}

/**
 * The same error in the service's terms: a temporary failure becomes {@link Unavailable} (503, the caller may retry);
 * every other error stays as it is, a bug (500).
 */
export function translateDatabaseError(error: unknown, readOnly = false): unknown {
  if (error instanceof AppError) return error;
  const inner = driverError(error);
  if (!inner) return error;
  const code = typeof inner.code === 'string' ? inner.code : '';
  const refused = readOnly ? isInRecovery(inner) : isReadOnlyServer(inner);
  const isConnection = SOCKET.test(code) || CONNECTION_LOST.test(inner.message) || isTlsFault(inner);
  if (NOT_NOW.test(code) || isConnection || refused || isStale(inner) || CITUS_NOT_NOW.test(inner.message)) {
    return new Unavailable(`database: ${code && `${code} `}${inner.message}`, { cause: error });
  }
  return error;
}

/** Whether an error means that no TLS connection was possible. */
function isTlsFault({ code, message }: Pick<PostgresError, 'code' | 'message'>): boolean {
  return TLS_CODE.test(code ?? '') || TLS_REFUSED.test(message);
}

/** The SQLSTATE of an error, if it is PostgreSQL's. */
export function sqlState(error: unknown): string | undefined {
  return driverError(error)?.code;
}

/**
 * Whether to close the connection that reported this error: the server shuts down or is not the primary, or its
 * prepared statements are stale. A new connection may lead to a healthy server.
 */
export function closesConnection(error: unknown): boolean {
  const inner = driverError(error);
  return inner !== undefined && (CLOSES.test(inner.code ?? '') || isReadOnlyServer(inner) || isStale(inner));
}

/**
 * Whether a write was refused because the server or its default is read-only: a demoted primary, or a full disk. In a
 * transaction that the service itself made read-only, this does not concern the server.
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
 * Whether a prepared statement is stale: a migration has changed the type of a returned column, or the statement is
 * missing. The statement was not executed, and the same text works after it is prepared again.
 */
export function isStaleStatement(error: unknown): boolean {
  const inner = driverError(error);
  return inner !== undefined && isStale(inner);
}

function isStale({ code, message }: PostgresError): boolean {
  return code === INVALID_STATEMENT_NAME || (code === FEATURE_NOT_SUPPORTED && message.includes('cached plan'));
}

/**
 * Whether the error violates this unique constraint. Citus adds a suffix to constraints on shards
 * (`reports_pkey_102069`) and reports them in the message alone, so both places are checked.
 */
export function isUniqueViolation(error: unknown, constraint: string): boolean {
  const inner = driverError(error);
  if (inner?.code !== '23505') return false;
  const named = inner.constraint ?? /constraint "([^"]+)"/.exec(inner.message)?.[1] ?? '';
  return named.replace(/_\d{6,}$/, '') === constraint;
}
