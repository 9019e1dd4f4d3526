import { AppError, Unavailable } from '../platform/errors';
import { translateDatabaseError } from '../platform/database/sql/errors';
import type { Config } from '../platform/config/config';
import { connectionFault } from '../platform/net/connection-fault';
import { Inoperable } from './lifecycle';

type UrlVariable = 'DATABASE_URL' | 'MIGRATION_DATABASE_URL' | 'DIRECT_DATABASE_URL';

const LOGIN_REFUSED: ReadonlySet<string> = new Set(['28000', '28P01']);
const NEEDS_TLS = '; the server requires TLS: add sslmode=verify-full to the URL';
const NO_DATABASE = '3D000';
const NOT_PRIVILEGED = '42501';

/** The variable with the URL of the tables' owner, for `migrate` and `admin`. */
export function ownerVariable(config: Config): UrlVariable {
  if (config.MIGRATION_DATABASE_URL) return 'MIGRATION_DATABASE_URL';
  return config.DIRECT_DATABASE_URL ? 'DIRECT_DATABASE_URL' : 'DATABASE_URL';
}

/**
 * Runs work on a database. A failed connection names the variable and the server, and a refusal also the next step. The
 * message contains no part of a password.
 * @param as whether the tables' owner connects, or the service
 * @throws Inoperable for a failed connection or a refusal; other errors of `work` unchanged
 */
export async function namingDatabase<T>(
  variable: UrlVariable,
  url: string,
  work: () => Promise<T>,
  as: 'owner' | 'service' = 'service',
): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    const { host, pathname, username } = new URL(url);
    const server = /:\d+$/.test(host) ? host : `${host}:5432`;
    const error = translateDatabaseError(thrown);
    if (error instanceof Unavailable) {
      // Without a cause the service itself refuses a database that it has reached.
      if (error.cause === undefined) throw new Inoperable(ownText(error, `${variable}: ${server}${pathname}`));
      throw new Inoperable(`${variable}: cannot reach ${server} (${connectionFault(error, 'sslrootcert')})`);
    }
    const { severity, code = '', message } = thrown as { severity?: unknown; code?: string; message?: string };
    if (!(error instanceof AppError) && (severity === 'FATAL' || code === NOT_PRIVILEGED)) {
      const next = message?.includes('no encryption')
        ? NEEDS_TLS
        : nextStep(variable, code, decodeURIComponent(username), as);
      throw new Inoperable(`${variable}: ${server}${pathname} refuses: ${message} (${code})${next}`);
    }
    throw thrown;
  }
}

/** The text of a refusal of the service itself, which may name another variable already. */
function ownText(error: Unavailable, database: string): string {
  const text = (error.internal ?? error.publicMessage).replace(/^database: /, '');
  return /^[A-Z_]+_URL: /.test(text) ? text : `${database}: ${text}`;
}

function nextStep(variable: UrlVariable, code: string, login: string, as: 'owner' | 'service'): string {
  const setOwner = 'set MIGRATION_DATABASE_URL to the owner of the tables';
  if (code === NO_DATABASE) return '; create the database, then run migrate';
  if (as === 'service') {
    if (LOGIN_REFUSED.has(code)) return `; migrate makes the login ${login} and sets its password: run it first`;
    return code === NOT_PRIVILEGED ? `; run migrate, which grants the login ${login} what it needs` : '';
  }
  if (variable === 'MIGRATION_DATABASE_URL') return '';
  if (LOGIN_REFUSED.has(code)) return `; migrate makes the login of DATABASE_URL as another one: ${setOwner}`;
  return code === NOT_PRIVILEGED ? `; ${setOwner}` : '';
}
