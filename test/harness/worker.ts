import type { INestApplicationContext } from '@nestjs/common';
import pino, { type Logger } from 'pino';
import { loadConfig } from '../../src/platform/config/config';
import { Metrics } from '../../src/platform/observability/metrics';
import { createTracing } from '../../src/platform/observability/create-tracing';
import type { Tracing } from '../../src/platform/observability/tracing';
import { createWorker } from '../../src/processes/worker/worker.module';
import type { TestDatabase } from './databases';
import { JWT_SECRET } from './service';
import { keepLog } from './suite-log';

/** A real worker in this process. */
export interface TestWorker {
  app: INestApplicationContext;
  metrics: Metrics;
  tracing: Tracing;
  logLines: string[];
  stop(): Promise<void>;
}

/** Starts a worker on a database; receivers on loopback are open to it. */
export async function startWorker(
  database: TestDatabase,
  env: Record<string, string> = {},
  ownLogger?: Logger,
): Promise<TestWorker> {
  const config = loadConfig({
    DATABASE_URL: database.serviceUrl,
    JWT_SECRET,
    DB_POOL_SIZE: '12',
    WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8',
    WEBHOOK_RETRY_SCHEDULE: '200ms,400ms',
    ...env,
  });
  const logLines: string[] = [];
  const logger = ownLogger ?? pino({ level: 'info' }, { write: (line: string) => void logLines.push(line) });
  const metrics = new Metrics('worker');
  const tracing = await createTracing(config, logger, 'worker');
  const app = await createWorker(config, logger, metrics, tracing);
  return {
    app,
    metrics,
    tracing,
    logLines,
    async stop() {
      await app.close();
      await tracing.stop();
      keepLog(logLines.join(''));
    },
  };
}
