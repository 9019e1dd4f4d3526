import { type CommandResult, runCommand } from '../../src/processes/admin/admin';
import { loadConfig } from '../../src/platform/config/config';
import type { TestDatabase } from './databases';
import { JWT_SECRET } from './service';

/** The environment of an operator's command on this database. */
export function adminEnv(database: TestDatabase, env: Record<string, string> = {}): Record<string, string> {
  return { DATABASE_URL: database.serviceUrl, MIGRATION_DATABASE_URL: database.ownerUrl, JWT_SECRET, ...env };
}

/** Runs `admin …` in this process. */
export function admin(
  database: TestDatabase,
  args: string[],
  env: Record<string, string> = {},
): Promise<CommandResult> {
  return runCommand(loadConfig(adminEnv(database, env)), args);
}

/** The same with `--json`, read. */
export async function adminJson(
  database: TestDatabase,
  args: string[],
  env: Record<string, string> = {},
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- a test reads whatever came
): Promise<any> {
  const { lines } = await admin(database, [...args, '--json'], env);
  return JSON.parse(lines[0] ?? '');
}
