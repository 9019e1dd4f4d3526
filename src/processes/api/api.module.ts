import { type DynamicModule, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { ApiKeysModule } from '../../api-keys/api-keys.module';
import { AuditModule } from '../../audit/audit.module';
import { AuthModule } from '../../auth/auth.module';
import { serveMailPages } from '../../auth/pages/mail-pages';
import { OrdersModule } from '../../orders/orders.module';
import type { Config } from '../../platform/config/config';
import { ConfigModule } from '../../platform/config/config.module';
import { DatabaseModule } from '../../platform/database/database.module';
import { HttpPlatformModule } from '../../platform/http/http.module';
import { serveRoot } from '../../platform/http/openapi/root-page';
import { ordersDocument } from '../../orders/orders-openapi';
import { serveDocs } from '../../platform/http/openapi/openapi';
import { RequestLog } from '../../platform/http/server/request-log';
import { API_PREFIX } from '../../platform/http/api-prefix';
import { createAdapter, prepareServer } from '../../platform/http/server/server';
import { NestLogger } from '../../platform/observability/logger';
import { LoggerModule } from '../../platform/observability/logger.module';
import { Metrics } from '../../platform/observability/metrics';
import { MetricsModule } from '../../platform/observability/metrics.module';
import { callersSampling } from '../../platform/observability/sampling';
import { NO_TRACING, type Tracing } from '../../platform/observability/tracing';
import { TracingModule } from '../../platform/observability/tracing.module';
import { EncryptionKeyCheckModule } from '../../platform/crypto/key-check.module';
import { EventCatalogue } from '../../platform/outbox/event-catalogue';
import { TenantArchiveModule } from '../../tenants/archive/tenant-archive.module';
import { SAMPLED_COLUMNS } from '../encrypted-columns';
import { TenantsModule } from '../../tenants/tenants.module';
import { TENANT_TABLES } from '../tables';
import { webhooksDocument } from '../../webhooks/event-types/webhooks-openapi';
import { WebhooksModule } from '../../webhooks/webhooks.module';
import { PRODUCT } from './product';
import '../permissions';

/** The API process: every feature's controllers, and no queue processor. */
@Module({})
export class ApiModule {
  static forRoot(config: Config, logger: Logger, metrics: Metrics, tracing: Tracing = NO_TRACING): DynamicModule {
    return {
      module: ApiModule,
      imports: [
        ConfigModule.forRoot(config),
        LoggerModule.forRoot(logger),
        MetricsModule.forRoot(metrics),
        TracingModule.forRoot(tracing),
        DatabaseModule.forRoot(),
        EncryptionKeyCheckModule.register(SAMPLED_COLUMNS),
        HttpPlatformModule,
        AuthModule,
        TenantsModule,
        TenantArchiveModule.forRoot(TENANT_TABLES),
        ApiKeysModule,
        OrdersModule,
        WebhooksModule,
        AuditModule,
      ],
    };
  }
}

/**
 * The API, ready to listen. @throws Unavailable when the database cannot be reached
 */
export async function createApi(
  config: Config,
  logger: Logger,
  metrics = new Metrics('api'),
  tracing = NO_TRACING,
): Promise<NestFastifyApplication> {
  if (config.TRUST_PROXY === 'true') {
    logger.warn(
      'TRUST_PROXY=true trusts the left-most entry of X-Forwarded-For, which the caller writes: limits by ' +
        'address have no effect. Set the number of proxies in front, or their addresses.',
    );
  }
  const records = new RequestLog(logger, metrics, tracing, callersSampling(config));
  const app = await NestFactory.create<NestFastifyApplication>(
    ApiModule.forRoot(config, logger, metrics, tracing),
    createAdapter(config, logger, records),
    { logger: new NestLogger(logger), bodyParser: false, abortOnError: false },
  );
  app.setGlobalPrefix(API_PREFIX, {
    exclude: ['health', 'health/live', 'health/ready', '.well-known/audit-keys.json'],
  });
  prepareServer(app, config, records);
  serveRoot(app.getHttpAdapter().getInstance() as unknown as FastifyInstance, PRODUCT, config.DOCS_ENABLED);
  serveMailPages(app.getHttpAdapter().getInstance() as unknown as FastifyInstance);
  if (config.DOCS_ENABLED) {
    serveDocs(app, PRODUCT, [ordersDocument, webhooksDocument(app.get(EventCatalogue, { strict: false }))]);
  }
  await app.init();
  return app;
}
