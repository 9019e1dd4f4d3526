import { randomUUID } from 'node:crypto';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import pino, { type Logger } from 'pino';
import { createApi } from '../../src/processes/api/api.module';
import { loadConfig } from '../../src/platform/config/config';
import { Metrics } from '../../src/platform/observability/metrics';
import { createTracing } from '../../src/platform/observability/create-tracing';
import type { Tracing } from '../../src/platform/observability/tracing';
import { listen } from '../../src/processes/lifecycle';
import { ApiClient } from './client';
import { createTestDatabase, type TestDatabase } from './databases';
import { keepLog, keepSecret } from './suite-log';

export const JWT_SECRET = 'a secret for tests that is long enough: 0123456789';

/** The real service on a real database, listening on a port of its own. */
export interface TestService {
  url: string;
  database: TestDatabase;
  app: NestFastifyApplication;
  metrics: Metrics;
  /** Where `env` names a collector. */
  tracing: Tracing;
  /** Every line the service has logged. */
  logLines: string[];
  /** A client without a credential. */
  client: ApiClient;
  /** Registers a tenant and gives a client of its owner. */
  tenant(name?: string): Promise<ApiClient>;
  stop(): Promise<void>;
}

export interface ServiceOptions {
  env?: Record<string, string>;
  /** Writes there instead of into `logLines`. */
  logger?: Logger;
  /** Use this database and leave it when the service stops. */
  database?: TestDatabase;
}

/** Starts the service in this process. Limits are out of the way unless `env` sets them. */
export async function startService(options: ServiceOptions = {}): Promise<TestService> {
  const database = options.database ?? (await createTestDatabase());
  const config = loadConfig({
    PORT: '0',
    DATABASE_URL: database.serviceUrl,
    JWT_SECRET,
    DB_POOL_SIZE: '12',
    // A machine that runs other suites is late without overload.
    SHED_EVENT_LOOP_LAG: '0',
    SHED_POOL_WAIT: '0',
    RATE_LIMIT_TENANT_PER_SECOND: '100000',
    RATE_LIMIT_TENANT_BURST: '1000000',
    RATE_LIMIT_ADDRESS_PER_MINUTE: '1000000',
    RATE_LIMIT_REGISTRATION: '0',
    NEW_TENANT_LIMITS_PERCENT: '100',
    WEBHOOK_MAX_ENDPOINTS_PER_HOST: '10000',
    RATE_LIMIT_SIGN_IN_ADDRESS: '100000',
    ...options.env,
  });
  keepSecret(JWT_SECRET);
  const logLines: string[] = [];
  const logger = options.logger ?? pino({ level: 'info' }, { write: (line: string) => void logLines.push(line) });
  const metrics = new Metrics('api');
  const tracing = await createTracing(config, logger, 'api');
  const app = await createApi(config, logger, metrics, tracing);
  const url = await listen(app, config);
  const client = new ApiClient(url);
  return {
    url,
    database,
    app,
    metrics,
    tracing,
    logLines,
    client,
    tenant: (name) => client.register(name),
    async stop() {
      await app.close();
      await tracing.stop();
      keepLog(logLines.join(''));
      if (!options.database) await database.drop();
    },
  };
}

/** A new e-mail address. */
export function newEmail(): string {
  return `person-${randomUUID()}@example.com`;
}
