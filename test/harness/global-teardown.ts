import { rmSync, writeFileSync } from 'node:fs';
import { Client } from 'pg';
import { SERVICE_PASSWORD, TEMPLATE, withDatabase, withLogin } from './databases';
import { prepareOnly, type RecordedStatement } from './statements';
import type { StatementRecorder } from './statement-recorder';
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

/**
 * The statements of the service during the run, with the types that the current schema gives them. Those that were
 * recorded as on Citus are compared with no schema.
 */
async function writeStatements(file: string): Promise<void> {
  const recorded = globalThis.statementRecorder?.statements() ?? [];
  globalThis.statementRecorder?.stop();
  const statements = process.env.TEST_AS_ON_CITUS ? recorded : await withTypes(recorded);
  writeFileSync(file, `${JSON.stringify(statements, null, 2)}\n`);
}

async function withTypes(recorded: ReturnType<StatementRecorder['statements']>): Promise<RecordedStatement[]> {
  const url = withDatabase(process.env.TEST_ADMIN_URL as string, TEMPLATE);
  const client = new Client({ connectionString: withLogin(url, 'app_service', SERVICE_PASSWORD) });
  await client.connect();
  const statements: RecordedStatement[] = [];
  for (const statement of recorded) statements.push({ ...statement, ...(await prepareOnly(client, statement)) });
  await client.end();
  return statements;
}
