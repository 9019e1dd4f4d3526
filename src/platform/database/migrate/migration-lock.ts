import { SERVICE_NAME } from '../../config/service-name';
import { setTimeout as delay } from 'node:timers/promises';
import { Unavailable } from '../../errors';
import { translateDatabaseError } from '../sql/errors';
import { wrongEncoding } from '../sql/encoding';
import { ServiceClient } from '../sql/service-client';

/** Any 64-bit number, the same in every release: the lock excludes two `migrate` runs. */
const MIGRATION_LOCK = 7_263_540_119;
const POLL_MS = 250;
/** The other run may build an index of a large table. */
const LONGEST_WAIT_MS = 6 * 60 * 60 * 1000;
const CONNECT_TIMEOUT_MS = 5_000;
/** A server that does not reply to such a short query counts as dead. */
const RESPONSE_TIMEOUT_MS = 9_000;

/** Options of the owner's connections: a silent host counts as dead, as in the service's processes. */
export const OWNER_CONNECTION = {
  connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  keepAlive: true,
  keepAliveInitialDelayMillis: 10_000,
  Client: ServiceClient,
  // Table names in migrations have no schema, so the search path of the database or the login must not matter.
  options: '-c search_path=public,pg_temp',
} as const;

/**
 * Runs `work` as the owner while no other process migrates this database.
 *
 * The lock is polled: a session that waits for it in the server holds a snapshot, and `create index concurrently` of
 * the other run would wait for the end of that snapshot.
 * @throws Unavailable when the database cannot be reached, or another run does not end
 */
export async function withMigrationLock<T>(url: string, work: (client: ServiceClient) => Promise<T>): Promise<T> {
  const client = new ServiceClient({
    ...OWNER_CONNECTION,
    connectionString: url,
    application_name: `${SERVICE_NAME} migrate`,
  });
  await client.connect().catch((error: unknown) => {
    client.connection.stream.destroy();
    throw translateDatabaseError(error);
  });
  try {
    await takeLock(client);
    await assertSuitable(client);
    return await work(client);
  } catch (error) {
    throw translateDatabaseError(error);
  } finally {
    await client.end();
  }
}

async function takeLock(client: ServiceClient): Promise<void> {
  const query = {
    text: `select pg_try_advisory_lock(${MIGRATION_LOCK}) as locked, pg_is_in_recovery() as standby`,
    query_timeout: RESPONSE_TIMEOUT_MS,
  };
  for (const deadline = performance.now() + LONGEST_WAIT_MS; performance.now() < deadline; await delay(POLL_MS)) {
    const { rows } = await client.query<{ locked: boolean; standby: boolean }>(query);
    if (rows[0]?.standby) throw new Unavailable('database: the server is a standby; migrate needs the primary');
    if (rows[0]?.locked) return;
  }
  throw new Unavailable('database: another migrate has been running for six hours');
}

/** @throws Unavailable if the database cannot store every text, or accepts no writes */
async function assertSuitable(client: ServiceClient): Promise<void> {
  const { rows } = await client.query<{ encoding: string; read_only: boolean }>(
    `select current_setting('server_encoding') as encoding, current_setting('transaction_read_only') = 'on' as read_only`,
  );
  const [found] = rows;
  if (found && found.encoding !== 'UTF8') throw new Unavailable(wrongEncoding(found.encoding));
  if (found?.read_only) {
    throw new Unavailable('the database is read-only; turn default_transaction_read_only off for it and its login');
  }
}
