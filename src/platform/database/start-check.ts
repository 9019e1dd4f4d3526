import { Client } from 'pg';
import { SERVICE_NAME } from '../config/service-name';
import { NEVER_MIGRATED } from './database-health';
import { Unavailable } from '../errors';
import { wrongEncoding } from './sql/encoding';
import { translateDatabaseError } from './sql/errors';
import { migrationNames } from './migrate/migrations';

/** The steps of `migrate` that this build still needs before it can serve from a database. */
export interface NotMigrated {
  /** Migrations of this build that are not applied. */
  pending: string[];
  /** The SQLSTATE with which a login was refused: `migrate` makes it, and gives it its password. */
  refused?: string;
  /** The refused login, if it is another one than that of the service. */
  login?: string;
}

const TIMEOUT_MS = 5_000;
/** The function of PostgreSQL that refuses every login of a host, as by `pg_hba.conf`. */
const REFUSES_HOST = 'ClientAuthentication';
const NOT_COORDINATOR = 'database: this is a server of Citus, and not its coordinator; name the coordinator';
const LOGIN_REFUSED: ReadonlySet<string> = new Set(['28000', '28P01']);
const NOT_GRANTED = '42501';

/**
 * Checks a database before it is used, over a separate connection that is closed again.
 * @returns undefined if all exist
 * @throws Unavailable when the database cannot be reached
 */
export async function findNotMigrated(connectionString: string): Promise<NotMigrated | undefined> {
  const expected = migrationNames();
  const client = probe(connectionString);
  try {
    await client.connect();
    const encoding = await client.query<{ server_encoding: string }>('show server_encoding');
    const [found] = encoding.rows;
    if (found && found.server_encoding !== 'UTF8') {
      throw new Unavailable(wrongEncoding(found.server_encoding));
    }
    const { rows } = await client.query<{ name: string }>('select name from migrations');
    const applied = new Set(rows.map(({ name }) => name));
    const pending = expected.filter((name) => !applied.has(name));
    return pending.length === 0 ? undefined : { pending };
  } catch (error) {
    const { code = '' } = error as { code?: string };
    if (isRefusal(error)) return { pending: expected, refused: code };
    if (NEVER_MIGRATED.has(code)) {
      if (await isNotCoordinator(client)) throw new Unavailable(NOT_COORDINATOR);
      return { pending: expected };
    }
    throw translateDatabaseError(error);
  } finally {
    await client.end().catch(() => undefined);
  }
}

/**
 * Checks a login of its own (for sign-in, for the queue), which `migrate` makes as well.
 * @returns undefined if it connects, or fails for a reason that `migrate` does not remove: the process names that one
 */
export async function findRefusedLogin(connectionString: string): Promise<NotMigrated | undefined> {
  const client = probe(connectionString);
  try {
    await client.connect();
    return undefined;
  } catch (error) {
    const { code } = error as { code?: string };
    // Between the creation of a login and its grants the database still refuses it.
    if (!isRefusal(error) && code !== NOT_GRANTED) return undefined;
    return { pending: [], refused: code, login: decodeURIComponent(new URL(connectionString).username) };
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Whether it is another server of Citus than the coordinator, which alone has the table of migrations. */
async function isNotCoordinator(client: Client): Promise<boolean> {
  const { rows } = await client.query<{ citus: boolean }>(
    `select to_regclass('pg_dist_local_group') is not null as citus`,
  );
  if (!rows[0]?.citus) return false;
  const { rows: groups } = await client.query<{ group: number }>('select groupid as "group" from pg_dist_local_group');
  return groups[0] !== undefined && groups[0].group !== 0;
}

function probe(connectionString: string): Client {
  const client = new Client({
    connectionString,
    application_name: SERVICE_NAME,
    connectionTimeoutMillis: TIMEOUT_MS,
    query_timeout: TIMEOUT_MS,
  });
  client.on('error', () => undefined); // the running query reports it
  return client;
}

function isRefusal(error: unknown): boolean {
  const { code = '', routine } = error as { code?: string; routine?: string };
  return LOGIN_REFUSED.has(code) && routine !== REFUSES_HOST;
}
