/**
 * `npm start`, for a laptop: everything in one process. Without a `DATABASE_URL` it runs an embedded PostgreSQL; secrets
 * are made once and kept in `DATA_DIR`; migrations are applied; the first start makes a demo tenant. The one file that
 * may reach both the API and the worker.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import { createApi } from './api.module';
import { type DemoSignIn, seedDemo } from './demo';
import { ConfigError, loadConfig } from './platform/config/config';
import { type EmbeddedPostgres, startEmbeddedPostgres } from './platform/database/embedded-postgres';
import { migrate } from './platform/database/migrations';
import { ROLES } from './platform/database/roles';
import { createLogger } from './platform/observability/logger';
import { listen, stopSignal, stopWithin } from './serve';

const DATABASE = 'orders';

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** A secret that is made at the first start and kept. */
function keptSecret(dataDir: string, name: string): string {
  const file = join(dataDir, name);
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const secret = randomBytes(32).toString('base64url');
  mkdirSync(dataDir, { recursive: true });
  writeFileSync(file, `${secret}\n`, { mode: 0o600, flag: 'wx' });
  return secret;
}

async function createDatabase(postgres: EmbeddedPostgres): Promise<void> {
  const client = new Client({ connectionString: postgres.url('postgres') });
  await client.connect();
  try {
    const { rows } = await client.query('select 1 from pg_database where datname = $1', [DATABASE]);
    if (rows.length === 0) await client.query(`create database ${DATABASE}`);
  } finally {
    await client.end();
  }
}

async function main(): Promise<void> {
  const stopped = stopSignal();
  const env = { ...process.env };
  const { DATA_DIR: dataDir, DATABASE_URL: givenUrl } = loadConfig(env);
  let postgres: EmbeddedPostgres | undefined;
  if (!givenUrl) {
    postgres = await startEmbeddedPostgres({ dataDir, onProgress: say });
    await createDatabase(postgres);
    const service = new URL(postgres.url(DATABASE));
    service.username = ROLES.service;
    service.password = keptSecret(dataDir, 'service-password');
    env.DATABASE_URL = service.href;
    env.MIGRATION_DATABASE_URL = postgres.url(DATABASE);
  }
  env.JWT_SECRET ||= keptSecret(dataDir, 'jwt-secret');

  try {
    const config = loadConfig(env);
    const serviceUrl = env.DATABASE_URL as string;
    const applied = await migrate({
      serviceUrl,
      migrationUrl: config.MIGRATION_DATABASE_URL ?? config.DIRECT_DATABASE_URL ?? serviceUrl,
      statementTimeout: config.DB_STATEMENT_TIMEOUT,
    });
    if (applied.length > 0) say(`Applied ${applied.length} migrations.`);
    const logger = createLogger(config);
    const app = await createApi(config, logger);
    const demo = postgres ? await seedDemo(app, keptSecret(dataDir, 'demo-password')) : undefined;
    say(welcome(await listen(app, config), demo));
    const signal = await stopped;
    say(`${signal}: finishing what is in flight …`);
    await stopWithin(() => app.close(), config.SHUTDOWN_TIMEOUT);
    logger.flush();
  } finally {
    await postgres?.stop();
  }
}

function welcome(url: string, demo: DemoSignIn | undefined): string {
  const lines = ['', `  Ready at ${url}`, '', `  Swagger UI   ${url}/docs`];
  if (demo) {
    lines.push(
      `  Demo         ${demo.email}  ${demo.password}`,
      '',
      '  Try it:',
      `  curl -s ${url}/api/v1/auth/login -H 'content-type: application/json' \\`,
      `    -d '{"email":"${demo.email}","password":"${demo.password}"}'`,
    );
  }
  return [...lines, '', '  Ctrl-C stops it.', ''].join('\n');
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    process.stderr.write(`${error instanceof ConfigError ? error.message : String((error as Error).stack ?? error)}\n`);
    process.exit(1);
  },
);
