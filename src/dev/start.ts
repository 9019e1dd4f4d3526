/**
 * `npm start`, for a laptop: everything in one process. Without a `DATABASE_URL` it runs an embedded PostgreSQL;
 * secrets are created once and stored in `DATA_DIR`; migrations are applied; the first start creates a demo tenant. The
 * only file that may import both the API and the worker.
 *
 * Parts stop in the opposite order of their start, however the process ends: the service drains while its database is
 * still available.
 */
import { accessSync, constants, existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { DemoSignIn } from './demo';
import { loadConfig, required } from '../platform/config/config';
import { configWarnings } from '../processes/config-warnings';
import { keptSecret } from '../platform/config/kept-secret';
import { createDatabase } from '../platform/database/migrate/create-database';
import { startEmbeddedPostgres } from './embedded-postgres/embedded-postgres';
import { migrate } from '../platform/database/migrate/migrations';
import { DB_ROLES } from '../platform/database/sql/db-roles';
import { createLogger } from '../platform/observability/logger';
import { Metrics } from '../platform/observability/metrics';
import { serveMetrics } from '../platform/observability/metrics-server';
import { createTracing } from '../platform/observability/create-tracing';
import { warnOfUnreachableRedis } from '../platform/redis/redis-probe';
import { assertAddressFree, explain, Inoperable, listen, run, stopSignal, stopWithin } from '../processes/lifecycle';
import { namingDatabase, ownerVariable } from '../processes/name-database';

const DATABASE = 'orders';
const LOOPBACK = '127.0.0.0/8';

/** The functions that undo a start, newest last. */
type Stops = (() => Promise<unknown>)[];

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function main(): Promise<void> {
  const stop = stopSignal();
  endWithNpm();
  // A closed terminal or pipe must not end this process before the database has stopped.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
  const stops: Stops = [];
  let logger: Logger | undefined;
  try {
    const env = { ...process.env };
    const given = loadConfig(env);
    await assertAddressFree(given);
    if (!given.DATABASE_URL) assertUsable(given.DATA_DIR);
    const [embedded, { createApi, createWorker, seedDemo }] = await Promise.all([
      given.DATABASE_URL ? undefined : startDatabase(env, given.DATA_DIR, stops),
      loadService(),
    ]);
    if (stop.asked) return;
    if (!given.JWT_SECRET) env.JWT_SECRET = kept(given.DATA_DIR, 'jwt-secret', 'JWT_SECRET');
    env.RATE_LIMIT_REGISTRATION ??= '0';
    env.NEW_TENANT_LIMITS_PERCENT ??= '100';
    if (!given.SMTP_URL) env.MAIL_DIRECTORY ??= resolve(given.DATA_DIR, 'mail');
    const config = loadConfig(env);
    const serviceUrl = required(config, 'DATABASE_URL');
    const migrationUrl = config.MIGRATION_DATABASE_URL ?? config.DIRECT_DATABASE_URL ?? serviceUrl;
    const migration = { serviceUrl, migrationUrl, statementTimeout: config.DB_STATEMENT_TIMEOUT };
    const applied = await namingDatabase(ownerVariable(config), migrationUrl, () => migrate(migration), 'owner');
    if (applied.length > 0) say(`Applied ${applied.length} migrations`);
    if (stop.asked) return;

    logger = createLogger(config);
    for (const warning of configWarnings(config, process.env)) logger.warn(warning);
    if (config.REDIS_URL) void warnOfUnreachableRedis(config.REDIS_URL, logger);
    const metrics = new Metrics('start');
    const metricsServer = await serveMetrics(metrics, config, logger, false);
    stops.push(async () => metricsServer?.close());
    const tracing = await createTracing(config, logger, 'start');
    stops.push(() => tracing.stop());
    const api = createApi(config, logger, metrics, tracing);
    const app = await namingDatabase('DATABASE_URL', serviceUrl, () => api);
    stops.push(() => stopWithin(() => app.close(), config.SHUTDOWN_TIMEOUT));
    const worker = await createWorker(config, logger, metrics, tracing);
    stops.push(() => stopWithin(() => worker.close(), config.SHUTDOWN_TIMEOUT));
    const demo = embedded && (await seedDemo(app, given.DATA_DIR, say));
    if (stop.asked) return;
    say(
      welcome(
        await listen(app, config),
        demo,
        config.WEBHOOK_ALLOW_CIDRS,
        config.SMTP_URL ? undefined : config.MAIL_DIRECTORY,
      ),
    );
    const signal = await Promise.race([stop.received, ...(embedded ? [embedded.lost] : [])]);
    say(`${signal}: finishing requests in flight`);
  } catch (error) {
    // A Ctrl-C during the start also reaches started programs: their failure is then expected.
    if (!stop.asked) throw error;
  } finally {
    for (const end of stops.reverse()) await end().catch((error: unknown) => say(explain(error)));
    // The last lines of the log are still on their way.
    if (logger) await new Promise<void>((resolve) => logger?.flush(() => resolve()));
    if (stop.asked) say('Stopped.');
  }
}

/**
 * npm forwards SIGTERM to the shell between it and this process, which dies of it without forwarding: the end of the
 * parent is the signal.
 */
function endWithNpm(): void {
  if (process.env.npm_lifecycle_event === undefined) return;
  const parent = process.ppid;
  const watch = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(watch);
    process.kill(process.pid, 'SIGTERM');
  }, 200);
  watch.unref();
}

/**
 * Loading the modules takes a second of this process alone: it happens while PostgreSQL, started before, starts in its
 * own process.
 */
async function loadService() {
  await delay(50);
  const [{ createApi }, { createWorker }, { seedDemo }] = await Promise.all([
    import('../processes/api/api.module.js'),
    import('../processes/worker/worker.module.js'),
    import('./demo.js'),
  ]);
  return { createApi, createWorker, seedDemo };
}

/** Starts the embedded PostgreSQL and points `env` to it. `lost` rejects when the server ends by itself. */
async function startDatabase(env: NodeJS.ProcessEnv, dataDir: string, stops: Stops): Promise<{ lost: Promise<never> }> {
  let onExit: (error: Error) => void = () => undefined;
  const lost = new Promise<never>((_, reject) => {
    onExit = (error) => reject(new Inoperable(error.message));
  });
  lost.catch(() => undefined);
  // The driver reads variables such as PGSSLMODE and PGOPTIONS, which are meant for another server.
  for (const name of Object.keys(process.env)) if (/^PG[A-Z]+$/.test(name)) delete process.env[name];
  const postgres = await startEmbeddedPostgres({ dataDir, onProgress: say, onExit }).catch((error: Error) => {
    throw new Inoperable(error.message);
  });
  stops.push(() => postgres.stop());
  await createDatabase(postgres.url('postgres'), DATABASE);
  const service = new URL(postgres.url(DATABASE));
  service.username = DB_ROLES.service;
  service.password = kept(dataDir, 'service-password', 'DATABASE_PASSWORD');
  env.DATABASE_URL = service.href;
  env.MIGRATION_DATABASE_URL = postgres.url(DATABASE);
  // A newcomer's receiver is on this machine.
  env.WEBHOOK_ALLOW_CIDRS ??= LOOPBACK;
  return { lost };
}

/** A secret of the data folder. @throws Inoperable naming its variable if the file is empty */
function kept(dataDir: string, name: string, variable: string): string {
  try {
    return keptSecret(dataDir, name);
  } catch (error) {
    throw new Inoperable(`${variable}: ${(error as Error).message}`);
  }
}

/** Checks that files can be created in the folder. @throws Inoperable that names the variable */
function assertUsable(dataDir: string): void {
  try {
    makeFolder(resolve(dataDir));
    accessSync(dataDir, constants.W_OK | constants.X_OK);
    rmSync(mkdtempSync(join(dataDir, '.probe-')), { recursive: true });
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
    throw new Inoperable(`DATA_DIR: ${dataDir} cannot be used as a folder (${reason}); name another one`);
  }
}

/** Makes a folder and its parents. Node's own recursive mkdir never returns below a file system such as /proc. */
function makeFolder(path: string): void {
  if (existsSync(path)) {
    if (!statSync(path).isDirectory()) throw Object.assign(new Error('not a folder'), { code: 'ENOTDIR' });
    return;
  }
  makeFolder(dirname(path));
  mkdirSync(path);
}

function welcome(url: string, demo: DemoSignIn | undefined, opened: readonly string[], mails?: string): string {
  const seconds = (performance.now() / 1000).toFixed(1);
  const lines = ['', `  Ready at ${url} (in ${seconds} s)`, '', `  Swagger UI   ${url}/docs`];
  if (demo) {
    lines.push(
      `  Sign in as   ${demo.email}`,
      `  Password     ${demo.password}`,
      '',
      '  Try it:',
      `  curl -s ${url}/api/v1/auth/login -H 'content-type: application/json' \\`,
      `    -d '{"email":"${demo.email}","password":"${demo.password}"}'`,
    );
  }
  if (mails !== undefined) lines.push('', `  Mails        are written to ${mails}`);
  if (opened.length > 0) lines.push('', `  Webhooks     may also go to ${opened.join(', ')} (http included)`);
  return [...lines, '', '  Ctrl-C stops it.', ''].join('\n');
}

run(main());
