import { AppError, Unavailable } from '../platform/errors';
import { translateDatabaseError } from '../platform/database/sql/errors';
import type { Config } from '../platform/config/config';
import { Inoperable } from './lifecycle';

type UrlVariable = 'DATABASE_URL' | 'MIGRATION_DATABASE_URL' | 'DIRECT_DATABASE_URL';

/** The variable with the URL of the tables' owner, for `migrate` and `admin`. */
export function ownerVariable(config: Config): UrlVariable {
  if (config.MIGRATION_DATABASE_URL) return 'MIGRATION_DATABASE_URL';
  return config.DIRECT_DATABASE_URL ? 'DIRECT_DATABASE_URL' : 'DATABASE_URL';
}

/**
 * Runs work on a database, and names the variable and the server where the connection fails. No part of a password is
 * in the message.
 * @throws Inoperable for a failed connection; other errors of `work` unchanged
 */
export async function namingDatabase<T>(variable: UrlVariable, url: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    const { host, pathname } = new URL(url);
    const server = /:\d+$/.test(host) ? host : `${host}:5432`;
    const error = translateDatabaseError(thrown);
    if (error instanceof Unavailable) {
      throw new Inoperable(`${variable}: cannot reach ${server} (${error.internal ?? error.publicMessage})`);
    }
    const { severity, code } = thrown as { severity?: unknown; code?: unknown };
    if (!(error instanceof AppError) && severity === 'FATAL') {
      throw new Inoperable(`${variable}: ${server}${pathname} refuses: ${(thrown as Error).message} (${String(code)})`);
    }
    throw thrown;
  }
}
