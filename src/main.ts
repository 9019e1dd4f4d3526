/**
 * One image, several processes: `node dist/src/main.js api | worker | migrate … | admin …`. A process loads only its
 * own code.
 */
import { setFlagsFromString } from 'node:v8';
import type { Logger } from 'pino';
import { type Config, loadConfig, required } from './platform/config/config';
import { configWarnings } from './processes/config-warnings';
import type { Metrics } from './platform/observability/metrics';
import type { Tracing } from './platform/observability/tracing';
import { releaseMemoryWhenIdle } from './processes/idle-memory';
import { watchEventLoop } from './processes/watchdog';
import { namingDatabase } from './processes/name-database';
import { run, serveUntilStopped, UsageError, workUntilStopped } from './processes/lifecycle';

const PROCESSES: Readonly<Record<string, (config: Config, args: string[]) => Promise<void>>> = {
  async api(config) {
    required(config, 'DATABASE_URL');
    required(config, 'JWT_SECRET');
    const { createApi } = await import('./processes/api/api.module.js');
    const { waitForMigrations } = await import('./processes/migrations-wait.js');
    await withObservability('api', config, async (logger, metrics, tracing) => {
      const waiting = await waitForMigrations(config, logger, metrics);
      try {
        if (waiting.stopped) return;
        const api = await connecting(config, () => createApi(config, logger, metrics, tracing));
        await waiting.close();
        releaseMemoryWhenIdle();
        await serveUntilStopped(api, config, logger);
      } finally {
        await waiting.close();
      }
    });
  },

  async worker(config) {
    // A busy worker keeps little memory and drops much. By default, V8 lets the heap grow to several times the kept
    // part before it collects; with twice, a worker stays below 256 MiB, for some 1 % of its time.
    setFlagsFromString('--heap-growing-percent=100');
    required(config, 'DATABASE_URL');
    required(config, 'JWT_SECRET');
    const { createWorker } = await import('./processes/worker/worker.module.js');
    const { Readiness } = await import('./platform/health/readiness.js');
    const { waitForMigrations } = await import('./processes/migrations-wait.js');
    await withObservability('worker', config, async (logger, metrics, tracing) => {
      const waiting = await waitForMigrations(config, logger, metrics);
      try {
        if (waiting.stopped) return;
        const worker = await connecting(config, () => createWorker(config, logger, metrics, tracing));
        await waiting.close();
        await workUntilStopped(worker, worker.get(Readiness), config, logger);
      } finally {
        await waiting.close();
      }
    });
  },

  async migrate(config, args) {
    const { runMigrate } = await import('./processes/migrate/migrate.js');
    await runMigrate(config, args);
  },

  async admin(config, args) {
    const { runAdmin } = await import('./processes/admin/admin.js');
    await runAdmin(config, args);
  },
};

/** Creates a process that needs the database; if the connection fails, the error names its variable. */
function connecting<T>(config: Config, make: () => Promise<T>): Promise<T> {
  return namingDatabase('DATABASE_URL', required(config, 'DATABASE_URL'), make);
}

const TAKE_ARGUMENTS: ReadonlySet<string> = new Set(['migrate', 'admin']);

/** Runs a role with its log and traces, and with its metrics at their port for as long as it runs. */
async function withObservability(
  role: string,
  config: Config,
  work: (logger: Logger, metrics: Metrics, tracing: Tracing) => Promise<void>,
): Promise<void> {
  const [{ createLogger }, { Metrics }, { serveMetrics }, { createTracing }, redis] = await Promise.all([
    import('./platform/observability/logger.js'),
    import('./platform/observability/metrics.js'),
    import('./platform/observability/metrics-server.js'),
    import('./platform/observability/create-tracing.js'),
    config.REDIS_URL ? import('./platform/redis/redis-probe.js') : undefined,
  ]);
  const logger = createLogger(config);
  for (const warning of configWarnings(config, process.env)) logger.warn(warning);
  const metrics = new Metrics(role);
  const server = await serveMetrics(metrics, config, logger, true);
  const tracing = await createTracing(config, logger, role);
  watchEventLoop();
  if (config.REDIS_URL) void redis?.warnOfUnreachableRedis(config.REDIS_URL, logger);
  try {
    await work(logger, metrics, tracing);
  } finally {
    await tracing.stop();
    server?.close();
  }
}

async function main([name = 'api', ...args]: string[]): Promise<void> {
  const role = Object.hasOwn(PROCESSES, name) ? PROCESSES[name] : undefined;
  if (!role) throw new UsageError(`there is no process '${name}'; use ${Object.keys(PROCESSES).join(' or ')}`);
  if (args.length > 0 && !TAKE_ARGUMENTS.has(name)) throw new UsageError(`the role ${name} takes no arguments`);
  await role(loadConfig(process.env), args);
}

run(main(process.argv.slice(2)));
