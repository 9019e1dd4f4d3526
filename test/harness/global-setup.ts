import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../../src/dev/embedded-postgres/embedded-postgres';
import { migrate } from '../../src/platform/database/migrate/migrations';
import { CITUS_STAND_INS } from './citus';
import { SERVICE_PASSWORD, TEMPLATE, withDatabase, withLogin } from './databases';
import { StatementRecorder } from './statement-recorder';

declare global {
  var testPostgres: EmbeddedPostgres | undefined;
  var statementRecorder: StatementRecorder | undefined;
}

/**
 * One real PostgreSQL for the whole run: the embedded one, or the one at `TEST_DATABASE_URL` (a superuser's). A
 * template is migrated once; every test file clones it.
 */
export default async function setup(): Promise<void> {
  process.env.TEST_LOG_DIR = mkdtempSync(join(tmpdir(), 'orders-test-log-'));
  let adminUrl = process.env.TEST_DATABASE_URL;
  if (!adminUrl) {
    const dataDir = mkdtempSync(join(tmpdir(), 'orders-test-'));
    globalThis.testPostgres = await startEmbeddedPostgres({
      dataDir,
      // The data are deleted after the run: nothing here must survive a power cut.
      settings: { max_connections: '300', fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' },
    });
    adminUrl = globalThis.testPostgres.url('postgres');
    process.env.TEST_DATA_DIR = dataDir;
  }
  process.env.TEST_ADMIN_URL = adminUrl;
  if (process.env.RECORD_STATEMENTS) {
    globalThis.statementRecorder = await StatementRecorder.start(new URL(adminUrl));
    process.env.TEST_RECORDER_PORT = String(globalThis.statementRecorder.port);
  }
  const client = new Client({ connectionString: adminUrl });
  await client.connect();
  await client.query(`drop database if exists ${TEMPLATE} with (force)`);
  await client.query(`create database ${TEMPLATE}`);
  await client.end();
  // Every suite can run as on Citus, such as to record the statements that it gets.
  if (process.env.TEST_AS_ON_CITUS) await createStandIns(withDatabase(adminUrl, TEMPLATE));
  const migrationUrl = withDatabase(adminUrl, TEMPLATE);
  await migrate({
    migrationUrl,
    serviceUrl: withLogin(migrationUrl, 'app_service', SERVICE_PASSWORD),
    statementTimeout: 15_000,
  });
}

async function createStandIns(url: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  await client.query(CITUS_STAND_INS);
  await client.end();
}
