/**
 * The operator's process: one command, then the end. It contains the features' services and serves none of their
 * routes. Only the list of tenants crosses tenants (`OperatorDatabase`); all other work is done in the name of one
 * tenant after the other, with the same isolation as a request.
 */
import { type DynamicModule, type INestApplicationContext, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { Logger } from 'pino';
import { ApiKeysModule } from '../../api-keys/api-keys.module';
import { SuppressionsModule } from '../../mail/suppressions.module';
import { AuditModule } from '../../audit/audit.module';
import { AuthModule } from '../../auth/auth.module';
import { TotpReencryption } from '../../auth/totp/totp-reencryption';
import { OrdersModule } from '../../orders/orders.module';
import type { Config } from '../../platform/config/config';
import { ConfigModule } from '../../platform/config/config.module';
import { DatabaseModule } from '../../platform/database/database.module';
import { KeysDatabase } from '../../platform/database/roles/keys-database';
import { SignInDatabase } from '../../platform/database/roles/sign-in-database';
import { NestLogger } from '../../platform/observability/logger';
import { LoggerModule } from '../../platform/observability/logger.module';
import { Metrics } from '../../platform/observability/metrics';
import { MetricsModule } from '../../platform/observability/metrics.module';
import { NO_TRACING } from '../../platform/observability/tracing';
import { TracingModule } from '../../platform/observability/tracing.module';
import { KeyRecords } from '../../platform/crypto/key-records';
import { Reencryption } from '../../platform/crypto/reencryption';
import { SecretBoxModule } from '../../platform/crypto/secret-box.module';
import { TenantsOperatorModule } from '../../tenants/operator/tenants-operator.module';
import { TenantsModule } from '../../tenants/tenants.module';
import { RetentionModule } from '../../retention/retention.module';
import { RETENTION } from '../tables';
import { WebhooksModule } from '../../webhooks/webhooks.module';
import '../permissions';

/** Connections of one command, which does one thing at a time, or a few. */
const CONNECTIONS = 8;

@Module({})
class AdminModule {
  static forRoot(config: Config, logger: Logger): DynamicModule {
    return {
      module: AdminModule,
      imports: [
        // Nothing here counts requests: Redis need not be there.
        ConfigModule.forRoot({ ...config, DB_POOL_SIZE: CONNECTIONS, REDIS_URL: undefined }),
        LoggerModule.forRoot(logger),
        MetricsModule.forRoot(new Metrics('admin')),
        TracingModule.forRoot(NO_TRACING),
        SecretBoxModule,
        DatabaseModule.forRoot(),
        AuthModule,
        TenantsModule,
        TenantsOperatorModule,
        ApiKeysModule,
        OrdersModule,
        WebhooksModule,
        RetentionModule.forRoot(RETENTION),
        SuppressionsModule,
        AuditModule,
      ],
      providers: [SignInDatabase, KeyRecords, KeysDatabase, Reencryption, TotpReencryption],
    };
  }
}

/** The services, connected. @throws Unavailable when the database cannot be reached, or migrations are pending */
export async function createAdmin(config: Config, logger: Logger): Promise<INestApplicationContext> {
  return NestFactory.createApplicationContext(AdminModule.forRoot(config, logger), {
    logger: new NestLogger(logger),
    abortOnError: false,
  });
}
