/** One image, several roles: `node dist/src/main.js api | worker | migrate [plan | apply | verify]`. A role loads only what it runs. */
import { type Config, ConfigError, loadConfig, required } from './platform/config/config';
import { run, serveUntilStopped, workUntilStopped } from './serve';

const ROLES: Readonly<Record<string, (config: Config, args: string[]) => Promise<void>>> = {
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

  async migrate(config, args) {
    const { runMigrate } = await import('./migrate.js');
    await runMigrate(config, args);
  },
};

const TAKE_ARGUMENTS: ReadonlySet<string> = new Set(['migrate']);

async function main([name = 'api', ...args]: string[]): Promise<void> {
  const role = Object.hasOwn(ROLES, name) ? ROLES[name] : undefined;
  if (!role) throw new ConfigError([`there is no role '${name}'; say ${Object.keys(ROLES).join(' or ')}`]);
  if (args.length > 0 && !TAKE_ARGUMENTS.has(name)) throw new ConfigError([`the role ${name} takes no arguments`]);
  await role(loadConfig(process.env), args);
}

run(main(process.argv.slice(2)));
