import { SERVICE_NAME } from '../config/service-name';
import { Unavailable } from '../errors';
import { connectionFault } from '../net/connection-fault';
import { retireAllConnections, ServiceClient } from '../database/sql/service-client';

/** Between attempts to become leader, and between checks of the shares: a dead process is noticed within a second. */
const INTERVAL_MS = 1_000;
/** A leader without a reply for this time has lost its session. */
const SILENCE_MS = 15_000;
/** First half of the advisory locks that hold each process's share; any number, the same in every release. */
const SHARES_LOCK = 726_354_013;
/** A standby has sessions and locks, too. */
const TAKES_WRITES = `(not pg_is_in_recovery() and current_setting('transaction_read_only') = 'off')`;

/** Callbacks of leadership, and the connection to use. */
export interface LeadershipOptions {
  /** A connection string with a session of its own, past any transaction pooler. */
  connectionString: string;
  /** The variable that it comes from, for the log. */
  variable: string;
  /** The advisory lock that at most one process holds. */
  lock: number;
  /** The share that this process adds to the total, leader or not: a small integer, in units of the caller. */
  share: number;
  /** Channels of notifications for the leader. */
  channels: readonly string[];
  onGained: () => void;
  onLost: () => void;
  /** Called on the leader every few seconds, with the sum of the shares of all live processes. */
  onWhole: (sum: number) => void;
  onNotification: (channel: string, payload: string) => void;
  onError: (error: Error) => void;
}

/**
 * Elects one process of many: the one whose session holds an advisory lock. The same session listens for notifications,
 * so that leadership and listening begin and end together. When the session is lost, so is the lock, and another
 * process takes over within about a second.
 */
export class Leadership {
  private client?: ServiceClient;
  private leading = false;
  private stopped = false;
  private timer?: NodeJS.Timeout;

  constructor(private readonly options: LeadershipOptions) {}

  /** Begins to compete for the lock; returns immediately. */
  start(): void {
    void this.tick();
  }

  /** Gives up the lock and the connection. */
  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    this.lose();
    const client = this.client;
    this.client = undefined;
    await client?.end().catch(() => undefined);
  }

  get isLeading(): boolean {
    return this.leading;
  }

  private async tick(): Promise<void> {
    try {
      const client = this.client ?? (await this.connect());
      if (!this.leading) await this.attempt(client);
      // The same query keeps the session alive.
      if (this.leading) this.options.onWhole(await sumOfShares(client));
    } catch (error) {
      this.disconnected(error as Error);
    }
    if (this.stopped) return;
    this.timer = setTimeout(() => void this.tick(), INTERVAL_MS);
    this.timer.unref();
  }

  private async connect(): Promise<ServiceClient> {
    const client = new ServiceClient({
      connectionString: this.options.connectionString,
      application_name: `${SERVICE_NAME} leader`,
      connectionTimeoutMillis: 5_000,
      query_timeout: 10_000,
      keepAlive: true,
    });
    client.on('error', (error) => this.client === client && this.disconnected(error));
    client.on('end', () => this.client === client && this.disconnected(new Error('the leader’s connection ended')));
    client.on('notification', (message) => {
      if (this.leading) this.options.onNotification(message.channel, message.payload ?? '');
    });
    await client.connect().catch((error: unknown) => {
      const { host } = new URL(this.options.connectionString);
      throw new Error(`${this.options.variable}: cannot reach ${host} (${connectionFault(error, 'sslrootcert')})`);
    });
    // A frozen or lost machine is silent: the server then ends its session, and with it the lock.
    await client.query(`set idle_session_timeout = ${SILENCE_MS}`);
    // A share is a lock that many processes may hold, so that it ends with its process in any case.
    await client.query('select pg_advisory_lock_shared($1, $2)', [SHARES_LOCK, this.options.share]);
    if (this.stopped) {
      await client.end();
      throw new Error('stopped');
    }
    this.client = client;
    return client;
  }

  private async attempt(client: ServiceClient): Promise<void> {
    const { rows } = await client.query<{ locked: boolean; writable: boolean }>(
      `select pg_try_advisory_lock($1) as locked, ${TAKES_WRITES} as writable`,
      [this.options.lock],
    );
    assertWritable(rows[0]);
    if (!rows[0]?.locked) return;
    for (const channel of this.options.channels) await client.query(`LISTEN ${client.escapeIdentifier(channel)}`);
    if (this.stopped) return;
    this.leading = true;
    this.options.onGained();
  }

  private disconnected(error: Error): void {
    const client = this.client;
    this.client = undefined;
    this.lose();
    if (this.stopped) return;
    this.options.onError(error);
    client?.end().catch(() => undefined);
  }

  private lose(): void {
    if (!this.leading) return;
    this.leading = false;
    this.options.onLost();
  }
}

async function sumOfShares(client: ServiceClient): Promise<number> {
  const { rows } = await client.query<{ sum: string; writable: boolean }>(
    `select coalesce(sum(objid::bigint), 0) as sum, ${TAKES_WRITES} as writable from pg_locks
      where locktype = 'advisory' and granted and objsubid = 2 and classid = $1
        and database = (select oid from pg_database where datname = current_database())`,
    [SHARES_LOCK],
  );
  assertWritable(rows[0]);
  return Number(rows[0]?.sum);
}

/** @throws Unavailable when the session's server takes no writes: the primary is another one */
function assertWritable(state: { writable: boolean } | undefined): void {
  if (state?.writable) return;
  retireAllConnections();
  throw new Unavailable('database: the server is a standby or read-only');
}
