/**
 * The database as features see it. Nouns: a *transaction* is bound to a scope by its first settings; the *tenant
 * database* provides transactions of one tenant, narrow roles have databases of their own. What must always hold: no
 * statement runs outside such a transaction, and the service's role cannot see a row without a tenant. A rule of
 * dependency-cruiser names the folder that may import each file of `roles/`, and keeps `connections/` inside this
 * folder.
 */
import { type DynamicModule, Global, Inject, Module, type OnApplicationShutdown } from '@nestjs/common';
import type { Logger } from 'pino';
import type { EntityTarget, ObjectLiteral } from 'typeorm';
import { Config } from '../config/config';
import { LOGGER } from '../observability/logger.module';
import { Metrics } from '../observability/metrics';
import { TRACING, type Tracing } from '../observability/tracing';
import { ConnectionManager } from './connections/connection-manager';
import { DatabaseHealth } from './database-health';
import { DatabaseLoad } from './load';
import { NotificationDatabase } from './notification-database';
import { TenantDatabase } from './tenant-database';

/** The entities of all features, by {@link DatabaseModule.forFeature}. */
const featureEntities = new Set<EntityTarget<ObjectLiteral>>();

/** Imported by a feature for its entities. */
@Module({})
class FeatureEntitiesModule {}

@Global()
@Module({})
export class DatabaseModule implements OnApplicationShutdown {
  constructor(@Inject(ConnectionManager) private readonly connections: ConnectionManager) {}

  /** The module, with the entities of every feature that the process imports. */
  static forRoot(): DynamicModule {
    return {
      module: DatabaseModule,
      providers: [
        {
          provide: ConnectionManager,
          inject: [Config, LOGGER, Metrics, TRACING],
          useFactory: async (config: Config, logger: Logger, metrics: Metrics, tracing: Tracing) => {
            const connections = new ConnectionManager(config, [...featureEntities], metrics, tracing, (error) =>
              logger.warn({ reason: error.message }, 'database connection lost'),
            );
            await connections.connect();
            await new DatabaseHealth(connections).assertMigrated().catch(async (error: unknown) => {
              await connections.close();
              throw error;
            });
            await warnOfPoolSize(config, connections, logger);
            return connections;
          },
        },
        TenantDatabase,
        NotificationDatabase,
        DatabaseHealth,
        DatabaseLoad,
      ],
      // The databases of narrow roles are not among them: the module that needs one lists it in its providers.
      exports: [ConnectionManager, TenantDatabase, NotificationDatabase, DatabaseHealth, DatabaseLoad],
    };
  }

  /** Makes a feature's entities known, for repositories. */
  static forFeature(entities: EntityTarget<ObjectLiteral>[]): DynamicModule {
    for (const entity of entities) featureEntities.add(entity);
    return { module: FeatureEntitiesModule };
  }

  async onApplicationShutdown(): Promise<void> {
    await this.connections.close();
  }
}

/** Behind a pooler the server's limit is another one, so that this is no reason to end. */
async function warnOfPoolSize(config: Config, connections: ConnectionManager, logger: Logger): Promise<void> {
  const most = await new DatabaseHealth(connections).mostConnections();
  if (config.DB_POOL_SIZE <= most) return;
  logger.warn(
    `DB_POOL_SIZE is ${config.DB_POOL_SIZE}, and the server accepts ${most} connections of all processes together: lower it, ` +
      'or raise max_connections',
  );
}
