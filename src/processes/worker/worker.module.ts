import { type DynamicModule, type INestApplicationContext, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { Logger } from 'pino';
import { ApiKeysWorkerModule } from '../../api-keys/api-keys-worker.module';
import { AuditWorkerModule } from '../../audit/audit-worker.module';
import { MailWorkerModule } from '../../mail/mail-worker.module';
import type { Config } from '../../platform/config/config';
import { ConfigModule } from '../../platform/config/config.module';
import { DatabaseModule } from '../../platform/database/database.module';
import { NestLogger } from '../../platform/observability/logger';
import { LoggerModule } from '../../platform/observability/logger.module';
import { Readiness } from '../../platform/health/readiness';
import { Metrics } from '../../platform/observability/metrics';
import { MetricsModule } from '../../platform/observability/metrics.module';
import { QueueHealth } from '../../platform/health/queue-health';
import { DESCRIBED_QUEUES, QueueUi } from '../../platform/queue/queue-ui';
import { NO_TRACING, type Tracing } from '../../platform/observability/tracing';
import { TracingModule } from '../../platform/observability/tracing.module';
import { EncryptionKeyCheckModule } from '../../platform/crypto/key-check.module';
import { RetentionWorkerModule } from '../../retention/retention.module';
import { DESCRIBED_DELIVERY_QUEUE } from '../../webhooks/notifications/delivery-job';
import { PERSON_TABLES, RETENTION, TENANT_TABLES } from '../tables';
import { TenantsWorkerModule } from '../../tenants/tenants-worker.module';
import { UsersWorkerModule } from '../../users/users-worker.module';
import { SAMPLED_COLUMNS } from '../encrypted-columns';
import { WebhooksWorkerModule } from '../../webhooks/webhooks-worker.module';
import '../permissions';

/**
 * The worker process: sends webhooks, and serves no HTTP except its own health (`serve.ts`) and, if configured, the
 * queue's UI.
 */
@Module({})
class WorkerModule {
  static forRoot(config: Config, logger: Logger, metrics: Metrics, tracing: Tracing): DynamicModule {
    return {
      module: WorkerModule,
      imports: [
        ConfigModule.forRoot(config),
        LoggerModule.forRoot(logger),
        MetricsModule.forRoot(metrics),
        TracingModule.forRoot(tracing),
        DatabaseModule.forRoot(),
        EncryptionKeyCheckModule.register(SAMPLED_COLUMNS),
        AuditWorkerModule,
        RetentionWorkerModule.forRoot(RETENTION),
        ApiKeysWorkerModule,
        MailWorkerModule,
        TenantsWorkerModule.forRoot(TENANT_TABLES),
        UsersWorkerModule.forRoot(PERSON_TABLES),
        WebhooksWorkerModule.forRoot(config),
      ],
      providers: [QueueHealth, QueueUi, Readiness, { provide: DESCRIBED_QUEUES, useValue: [DESCRIBED_DELIVERY_QUEUE] }],
    };
  }
}

/** A worker that has begun to work. @throws Unavailable when the database cannot be reached */
export async function createWorker(
  config: Config,
  logger: Logger,
  metrics = new Metrics('worker'),
  tracing = NO_TRACING,
): Promise<INestApplicationContext> {
  return NestFactory.createApplicationContext(WorkerModule.forRoot(config, logger, metrics, tracing), {
    logger: new NestLogger(logger),
    abortOnError: false,
  });
}
