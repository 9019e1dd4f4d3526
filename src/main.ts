/** One image, several roles: `node dist/src/main.js api | migrate`. */
import { createApi } from './api.module';
import { type Config, ConfigError, loadConfig, required } from './platform/config/config';
import { migrate } from './platform/database/migrations';
import { createLogger } from './platform/observability/logger';
import { serveUntilStopped } from './serve';

async function main(role: string | undefined): Promise<void> {
  const config = loadConfig(process.env);
  if (role === 'migrate') await runMigrations(config);
  else if (role === 'api' || role === undefined) await runApi(config);
  else throw new ConfigError([`unknown role '${role}': say api or migrate`]);
}

async function runApi(config: Config): Promise<void> {
  required(config, 'DATABASE_URL');
  required(config, 'JWT_SECRET');
  const logger = createLogger(config);
  await serveUntilStopped(await createApi(config, logger), config, logger);
}

async function runMigrations(config: Config): Promise<void> {
  const serviceUrl = required(config, 'DATABASE_URL');
  const applied = await migrate({
    serviceUrl,
    migrationUrl: config.MIGRATION_DATABASE_URL ?? config.DIRECT_DATABASE_URL ?? serviceUrl,
    statementTimeout: config.DB_STATEMENT_TIMEOUT,
  });
  process.stdout.write(applied.length === 0 ? 'nothing to migrate\n' : `applied ${applied.join(', ')}\n`);
}

main(process.argv[2]).catch((error: unknown) => {
  process.stderr.write(`${error instanceof ConfigError ? error.message : String((error as Error).stack ?? error)}\n`);
  process.exit(1);
});
