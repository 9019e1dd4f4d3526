import { rmSync, writeFileSync } from 'node:fs';
import { Client } from 'pg';
import { SERVICE_PASSWORD, TEMPLATE, withDatabase, withLogin } from './databases';
import { prepareOnly } from './statements';
import { searchSuiteLog } from './suite-log';

export default async function teardown(): Promise<void> {
  if (process.env.RECORD_STATEMENTS) await writeStatements(process.env.RECORD_STATEMENTS);
  await globalThis.testPostgres?.stop();
  if (process.env.TEST_DATA_DIR) rmSync(process.env.TEST_DATA_DIR, { recursive: true, force: true });
  searchLog(process.env.TEST_LOG_DIR as string);
}

/** @throws when a service has logged a secret: the run has then failed, whatever its tests report */
function searchLog(dir: string): void {
  const { lines, secrets, found } = searchSuiteLog(dir);
  rmSync(dir, { recursive: true });
  process.stderr.write(
    `${lines} lines of the services' logs were searched for ${secrets} secrets: ${found.length} found\n`,
  );
  if (found.length > 0) throw new Error(`secrets in the log: ${found.slice(0, 20).join(', ')}`);
}

/** The statements of the service during the run, with the types that the current schema gives them. */
async function writeStatements(file: string): Promise<void> {
  const url = withDatabase(process.env.TEST_ADMIN_URL as string, TEMPLATE);
  const client = new Client({ connectionString: withLogin(url, 'app_service', SERVICE_PASSWORD) });
  await client.connect();
  const statements = [];
  for (const statement of globalThis.statementRecorder?.statements() ?? []) {
    statements.push({ ...statement, ...(await prepareOnly(client, statement)) });
  }
  await client.end();
  globalThis.statementRecorder?.stop();
  writeFileSync(file, `${JSON.stringify(statements, null, 2)}\n`);
}
