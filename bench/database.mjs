/**
 * The benchmark's database: made, migrated, its tenants registered with the service itself, then filled by `seed.mjs`.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { JWT_SECRET, ROOT, startService } from './processes.mjs';
import { seed } from './seed.mjs';

const require = createRequire(import.meta.url);
const SERVICE_PASSWORD = 'bench';
const TENANTS = 50;
const PASSWORD = 'a password for the benchmark';

/**
 * A caller. @typedef {{ email: string, tenantId: string, userId: string, token: string, key: string }} Caller
 * A database ready for the bench. @typedef {{ ownerUrl: string, serviceUrl: string, callers: Caller[] }} Database
 */

/**
 * A PostgreSQL: the embedded one with the settings of `npm start` (fsync on), or the one of `BENCH_DATABASE_URL`.
 * With `keep`, its folder stays, and so do the databases in it, for the next run. `settings` are for the embedded one.
 * @returns {Promise<{ url(name: string): string, version: string, dir: string, postmaster?: number, stop():
 * Promise<void> }>}
 */
export async function openPostgres(keep, say, settings = {}) {
  const dir = keep ?? join(tmpdir(), `orders-bench-${process.pid}`);
  mkdirSync(dir, { recursive: true });
  const given = process.env.BENCH_DATABASE_URL;
  const forget = () => keep ?? rmSync(dir, { recursive: true, force: true });
  if (given) {
    const version = await withClient(given, async (client) => {
      const { rows } = await client.query(`select current_setting('server_version') as version`);
      return rows[0].version;
    });
    const url = (name) => Object.assign(new URL(given), { pathname: `/${name}` }).href;
    return { url, version, dir, stop: async () => void forget() };
  }
  const { startEmbeddedPostgres } = require(join(ROOT, 'dist/src/dev/embedded-postgres/embedded-postgres.js'));
  const server = await startEmbeddedPostgres({ dataDir: dir, onProgress: say, settings });
  const stop = async () => {
    await server.stop();
    forget();
  };
  const postmaster = Number.parseInt(readFileSync(join(dir, 'postgres/postmaster.pid'), 'utf8'), 10);
  return { url: (name) => server.url(name), version: server.version, dir, postmaster, stop };
}

/**
 * A database with this number of orders, created if it is missing.
 * @param {{ postgres: Pick<Awaited<ReturnType<typeof openPostgres>>, 'url' | 'dir'>, orders: number, tenants?: number,
 * name?: string, say: (line: string) => void }} options
 * @returns {Promise<Database>}
 */
export async function openDatabase({ postgres, orders, tenants = TENANTS, name = `bench_${orders}_${tenants}`, say }) {
  const ownerUrl = postgres.url(name);
  const serviceUrl = Object.assign(new URL(ownerUrl), { username: 'app_service', password: SERVICE_PASSWORD }).href;
  const callersFile = join(postgres.dir, `${name}.json`);
  const kept = await exists(postgres.url('postgres'), name);
  const complete = kept && readIfThere(callersFile);
  if (!complete) {
    await withClient(postgres.url('postgres'), async (client) => {
      await client.query(`drop database if exists ${name} with (force)`);
      await client.query(`create database ${name}`);
    });
  }
  const { migrate } = require(join(ROOT, 'dist/src/platform/database/migrate/migrations.js'));
  await migrate({ migrationUrl: ownerUrl, serviceUrl, statementTimeout: 15_000 });
  const log = join(postgres.dir, 'register.log');
  const service = await startService(serviceUrl, log, { DB_POOL_SIZE: '8' });
  let callers;
  try {
    callers = complete ? await signIn(service.url, JSON.parse(complete)) : await register(service.url, tenants);
  } finally {
    await service.stop();
  }
  if (!complete) {
    await withClient(ownerUrl, (client) => seed(client, { orders, callers, say }));
    writeFileSync(callersFile, JSON.stringify(callers));
  }
  return { ownerUrl, serviceUrl, callers };
}

async function exists(url, name) {
  return withClient(url, async (client) => {
    const { rowCount } = await client.query('select 1 from pg_database where datname = $1', [name]);
    return rowCount === 1;
  });
}

function readIfThere(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

async function register(url, tenants) {
  const callers = [];
  for (let i = 0; i < tenants; i++) {
    const email = `owner-${i}@bench.example`;
    const body = { email, password: PASSWORD, tenant_name: `Tenant ${i}` };
    callers.push(await toCaller(url, email, await post(url, '/auth/register', body)));
  }
  return callers;
}

async function signIn(url, callers) {
  const again = [];
  for (const { email, key } of callers) {
    again.push(await toCaller(url, email, await post(url, '/auth/login', { email, password: PASSWORD }), key));
  }
  return again;
}

/** A caller by access token and by API key, which is created if it is missing. */
async function toCaller(url, email, { tenant, user, access_token: token }, key) {
  const made = { name: 'Benchmark', kind: 'tenant', scopes: ['orders:read', 'orders:write'] };
  return {
    email,
    tenantId: tenant.id,
    userId: user.id,
    token,
    key: key ?? (await post(url, '/api-keys', made, token)).key,
  };
}

async function post(url, path, body, token) {
  const answer = await fetch(`${url}/api/v1${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(token ? { authorization: `Bearer ${token}` } : {}) },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  return answer.json();
}

/** Runs `work` with a connection of its own. @throws when the connection is lost meanwhile */
export async function withClient(url, work) {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 });
  client.on('error', () => undefined); // the query that it breaks rejects
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** The service's own cursors, made with the bench's secret. */
export function cursorsOfService() {
  const { Cursors } = require(join(ROOT, 'dist/src/platform/http/responses/pagination.js'));
  return new Cursors({ JWT_SECRET });
}
