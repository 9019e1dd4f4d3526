/** The system under the soak: PostgreSQL, Redis, API processes and workers, each at one port for the whole run. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { connect } from 'node:net';
import { join } from 'node:path';
import { withClient } from './database.mjs';
import { freePort, JWT_SECRET, nodeFlags, ROOT } from './processes.mjs';
import { Part } from './soak-part.mjs';

const require = createRequire(import.meta.url);
const DATABASE = 'soak';
const SERVICE_PASSWORD = 'bench';
const APIS = 2;
const WORKERS = 3;
const PROBE_MS = 2_000;

/**
 * `track_commit_timestamp` tells when a success was recorded; with `syncfs` a recovery does not open every file. The
 * rest is as `npm start` has it.
 */
const POSTGRES_SETTINGS = {
  track_commit_timestamp: 'on',
  max_connections: '300',
  shared_buffers: '128MB',
  max_wal_size: '1GB',
  jit: 'off',
  recovery_init_sync_method: 'syncfs',
  timezone: 'UTC',
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
};

/** How Redis keeps its data. */
const REDIS_SETTINGS = ['--appendonly', 'yes', '--appendfsync', 'everysec', '--save', ''];

/** The longest a delivery may take, and its retries: long enough that a receiver that fails one time in ten wins. */
const WEBHOOKS = {
  WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8',
  WEBHOOK_TIMEOUT: '5s',
  WEBHOOK_RETRY_SCHEDULE: ['300ms', '600ms', '1s', ...Array.from({ length: 17 }, () => '2s')].join(','),
};

const NO_LIMITS = {
  ACCESS_TOKEN_EXPIRE_MINUTES: '1440',
  RATE_LIMIT_TENANT_PER_SECOND: '1000000',
  RATE_LIMIT_TENANT_BURST: '10000000',
  RATE_LIMIT_ADDRESS_PER_MINUTE: '10000000',
  RATE_LIMIT_REGISTRATION: '0',
  NEW_TENANT_LIMITS_PERCENT: '100',
  QUOTA_EVENTS_PER_DAY: '0',
};

/**
 * Starts the system on an empty database. With `emptiesRedis`, Redis comes back without its data; `onEnded` hears of
 * ends that were no kill.
 * @param {{ queue: 'postgres' | 'redis', emptiesRedis: boolean, dir: string, workers?: number,
 * onEnded(part: Part, life: object): void }} options
 */
export async function openSystem({ queue, emptiesRedis, dir, onEnded, workers: workerCount = WORKERS }) {
  const parts = [];
  const abandon = () => parts.forEach((part) => part.abandon());
  process.once('exit', abandon);
  const add = (part) => parts[parts.push(part) - 1];
  const postgres = await openPostgres(dir, onEnded);
  add(postgres.part);
  await postgres.part.start();
  const { migrate } = require(join(ROOT, 'dist/src/platform/database/migrate/migrations.js'));
  await withClient(postgres.url('postgres'), (client) => client.query(`create database ${DATABASE}`));
  const ownerUrl = postgres.url(DATABASE);
  const serviceUrl = Object.assign(new URL(ownerUrl), { username: 'app_service', password: SERVICE_PASSWORD }).href;
  await migrate({ migrationUrl: ownerUrl, serviceUrl, statementTimeout: 15_000 });
  const redis = queue === 'redis' ? add(await openRedis(dir, emptiesRedis, onEnded)) : undefined;
  await redis?.start();
  const env = { DATABASE_URL: serviceUrl, ...(redis ? { REDIS_URL: redis.url } : {}) };
  const several = async (kind, count) => {
    const made = [];
    for (let i = 0; i < count; i++) made.push(add(await openService(`${kind} ${i + 1}`, kind, dir, env, onEnded)));
    return made;
  };
  const apis = await several('api', APIS);
  const workers = await several('worker', workerCount);
  for (const part of [...apis, ...workers]) await part.start();
  return {
    parts,
    postgres: postgres.part,
    redis,
    apis,
    workers,
    ownerUrl,
    version: postgres.version,
    async stop() {
      for (const part of [...workers, ...apis]) await part.stop();
      await redis?.stop();
      await postgres.part.stop('SIGINT');
      process.off('exit', abandon);
    },
  };
}

/** Whether a worker leads, by its log. */
export function isLeading(worker) {
  const life = readFileSync(worker.log, 'latin1').slice(worker.life.logFrom);
  return life.lastIndexOf('leading: this worker') > life.lastIndexOf('not leading any more');
}

async function openPostgres(dir, onEnded) {
  const dist = (file) => require(join(ROOT, 'dist/src/dev/embedded-postgres', file));
  const binaries = await dist('embedded-postgres-binaries.js').findPostgresBinaries();
  const dataDir = join(dir, 'database');
  mkdirSync(dataDir, { recursive: true });
  const { prepareCluster } = dist('embedded-postgres-cluster.js');
  const cluster = await prepareCluster(dataDir, { binaries, onProgress: () => undefined, sync: true });
  const port = await freePort();
  const flags = Object.entries({ ...POSTGRES_SETTINGS, port }).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const url = (name) => `postgres://postgres:${cluster.password}@127.0.0.1:${port}/${name}`;
  const part = new Part({
    name: 'PostgreSQL',
    kind: 'postgres',
    log: join(dir, 'postgres.log'),
    launch: (out) =>
      dist('embedded-postgres-process.js').spawnBound(binaries.postgres, ['-D', cluster.dir, ...flags], {
        account: cluster.account,
        reaches: [cluster.dir],
        stdio: ['ignore', out, out],
        ownGroup: true,
      }),
    probe: () => withClient(url('postgres'), async (client) => (await client.query('select 1')).rowCount === 1),
    onEnded,
  });
  const version = spawnSync(binaries.postgres, ['--version'], { encoding: 'utf8' }).stdout.trim().split(' ').at(-1);
  return { part, url, version };
}

async function openRedis(dir, empties, onEnded) {
  if (spawnSync('redis-server', ['--version']).status !== 0) throw new Error('redis-server is not installed');
  const folder = join(dir, 'redis');
  const port = await freePort();
  const part = new Part({
    name: 'Redis',
    kind: 'redis',
    log: join(dir, 'redis.log'),
    launch: (out) => {
      if (empties) rmSync(folder, { recursive: true, force: true });
      mkdirSync(folder, { recursive: true });
      const where = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder];
      return spawn('redis-server', [...where, ...REDIS_SETTINGS], { stdio: ['ignore', out, out] });
    },
    probe: async () => (await redisCommand(port, 'PING')) === '+PONG',
    onEnded,
  });
  const command = (text) => redisCommand(port, text);
  return Object.assign(part, { url: `redis://127.0.0.1:${port}`, command });
}

function redisCommand(port, text) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(`${text}\r\n`));
    socket.setTimeout(PROBE_MS, () => socket.destroy());
    socket.once('data', (data) => {
      resolve(data.toString().trim());
      socket.destroy();
    });
    socket.once('error', () => resolve(''));
    socket.once('close', () => resolve(''));
  });
}

/** A process of the service, `api` or `worker`, as in production. */
async function openService(name, role, dir, env, onEnded) {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const part = new Part({
    name,
    kind: role,
    log: join(dir, `${name.replace(' ', '-')}.log`),
    launch: (out) =>
      spawn(process.execPath, [...nodeFlags(), join(ROOT, 'dist/src/main.js'), role], {
        cwd: ROOT,
        env: {
          PATH: process.env.PATH,
          NODE_ENV: 'production',
          PORT: String(port),
          METRICS_PORT: '0',
          JWT_SECRET,
          SHUTDOWN_DELAY: '0ms',
          DB_POOL_SIZE: '12',
          ...WEBHOOKS,
          ...NO_LIMITS,
          ...env,
        },
        stdio: ['ignore', out, out],
      }),
    probe: async () => {
      const answer = await fetch(`${url}/health/ready`, { signal: AbortSignal.timeout(PROBE_MS) });
      await answer.arrayBuffer();
      return answer.ok;
    },
    onEnded,
  });
  return Object.assign(part, { url });
}
