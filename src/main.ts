/** One image, several roles: `node dist/src/main.js api | worker | migrate`. A role loads only what it runs. */
import { type Config, ConfigError, loadConfig, required } from './platform/config/config';
import { run, serveUntilStopped, workUntilStopped } from './serve';

const ROLES: Readonly<Record<string, (config: Config) => Promise<void>>> = {
  async api(config) {
    required(config, 'DATABASE_URL');
    required(config, 'JWT_SECRET');
    const { createApi } = await import('./api.module.js');
    const { createLogger } = await import('./platform/observability/logger.js');
    const logger = createLogger(config);
    await serveUntilStopped(await createApi(config, logger), config, logger);
  },

  async worker(config) {
    required(config, 'DATABASE_URL');
    required(config, 'JWT_SECRET');
    const { createWorker } = await import('./worker.module.js');
    const { createLogger } = await import('./platform/observability/logger.js');
    const { Readiness } = await import('./platform/observability/readiness.js');
    const logger = createLogger(config);
    const worker = await createWorker(config, logger);
    await workUntilStopped(worker, worker.get(Readiness), config, logger);
  },

  async migrate(config) {
    const serviceUrl = required(config, 'DATABASE_URL');
    const { migrate } = await import('./platform/database/migrations.js');
    const applied = await migrate({
      serviceUrl,
      migrationUrl: config.MIGRATION_DATABASE_URL ?? config.DIRECT_DATABASE_URL ?? serviceUrl,
      statementTimeout: config.DB_STATEMENT_TIMEOUT,
    });
    process.stdout.write(applied.length === 0 ? 'nothing to migrate\n' : `applied ${applied.join(', ')}\n`);
  },
};

async function main(name = 'api'): Promise<void> {
  const role = Object.hasOwn(ROLES, name) ? ROLES[name] : undefined;
  if (!role) throw new ConfigError([`there is no role '${name}'; say ${Object.keys(ROLES).join(' or ')}`]);
  await role(loadConfig(process.env));
}

run(main(process.argv[2]));
