/**
 * The database as features see it. Nouns: a *transaction* is bound to a scope by its first settings; the *tenant
 * database* provides transactions of one tenant, narrow roles have databases of their own. Invariants: no
 * statement runs outside such a transaction, and the service's role cannot see a row without a tenant. A rule of
 * dependency-cruiser names the folder that may import each file of `roles/`, and keeps `connections/` inside this
 * folder.
 */
import { type DynamicModule, Global, Inject, Module, type OnApplicationShutdown } from '@nestjs/common';
import type { Logger } from 'pino';
import type { EntityTarget, ObjectLiteral } from 'typeorm';
import { Config } from '../config/config';
import { Unavailable } from '../errors';
import { connectionFault } from '../net/connection-fault';
import { LOGGER } from '../observability/logger.module';
import { Metrics } from '../observability/metrics';
import { TRACING, type Tracing } from '../observability/tracing';
import { ConnectionManager } from './connections/connection-manager';
import { NodeRouting } from './connections/node-routing';
import { SIGN_IN_CONNECTIONS } from './connections/sign-in-connections';
import { SingleServer, TENANT_SERVERS, type TenantServers } from './connections/tenant-server';
import { DatabaseHealth } from './database-health';
import { DatabaseLoad } from './load';
import { NotificationDatabase } from './notification-database';
import { TenantDatabase } from './tenant-database';

/** Connections of the sign-in role's login, beside those of `DB_POOL_SIZE`: few requests need them. */
const SIGN_IN_POOL_SIZE = 6;

/** The entities of all features, by {@link DatabaseModule.forFeature}. */
const featureEntities = new Set<EntityTarget<ObjectLiteral>>();

/** Imported by a feature for its entities. */
@Module({})
class FeatureEntitiesModule {}

@Global()
@Module({})
export class DatabaseModule implements OnApplicationShutdown {
  constructor(
    @Inject(ConnectionManager) private readonly connections: ConnectionManager,
    @Inject(SIGN_IN_CONNECTIONS) private readonly signInConnections: ConnectionManager,
    @Inject(TENANT_SERVERS) private readonly tenantServers: TenantServers,
  ) {}

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
        {
          provide: SIGN_IN_CONNECTIONS,
          inject: [ConnectionManager, Config, LOGGER, Metrics, TRACING],
          useFactory: signInConnections,
        },
        {
          provide: TENANT_SERVERS,
          inject: [ConnectionManager, Config, LOGGER, Metrics, TRACING],
          useFactory: tenantServers,
        },
        TenantDatabase,
        NotificationDatabase,
        DatabaseHealth,
        DatabaseLoad,
      ],
      // The databases of narrow roles are not among them: the module that needs one lists it in its providers.
      exports: [
        ConnectionManager,
        SIGN_IN_CONNECTIONS,
        TENANT_SERVERS,
        TenantDatabase,
        NotificationDatabase,
        DatabaseHealth,
        DatabaseLoad,
      ],
    };
  }

  /** Makes a feature's entities known, for repositories. */
  static forFeature(entities: EntityTarget<ObjectLiteral>[]): DynamicModule {
    for (const entity of entities) featureEntities.add(entity);
    return { module: FeatureEntitiesModule };
  }

  async onApplicationShutdown(): Promise<void> {
    await this.tenantServers.close();
    await this.connections.close();
    if (this.signInConnections !== this.connections) await this.signInConnections.close();
  }
}

/** The servers of tenants, by `DATABASE_ROUTING`. @throws Unavailable where the database does not fit it */
async function tenantServers(
  coordinator: ConnectionManager,
  config: Config,
  logger: Logger,
  metrics: Metrics,
  tracing: Tracing,
): Promise<TenantServers> {
  if (config.DATABASE_ROUTING === 'coordinator') return new SingleServer(coordinator);
  try {
    return await NodeRouting.start({ config, coordinator, entities: [...featureEntities], metrics, tracing, logger });
  } catch (error) {
    await coordinator.close();
    throw error;
  }
}

/** The connections of the sign-in role, if it has a login of its own. @throws Unavailable naming the variable */
async function signInConnections(
  connections: ConnectionManager,
  config: Config,
  logger: Logger,
  metrics: Metrics,
  tracing: Tracing,
): Promise<ConnectionManager> {
  const { SIGN_IN_DATABASE_URL: url } = config;
  if (url === undefined) return connections;
  const own = { ...config, DATABASE_URL: url, DATABASE_REPLICA_URL: undefined, DB_POOL_SIZE: SIGN_IN_POOL_SIZE };
  const signIn = new ConnectionManager(own, [...featureEntities], metrics, tracing, (error) =>
    logger.warn({ reason: error.message }, 'database connection of sign-in lost'),
  );
  try {
    await signIn.connect();
    return signIn;
  } catch (error) {
    await connections.close();
    const reason = connectionFault(error, 'sslrootcert');
    throw new Unavailable(`SIGN_IN_DATABASE_URL: cannot connect to ${new URL(url).host} (${reason})`);
  }
}

/** Behind a pooler the server's limit is another one, so that this is no reason to end. */
async function warnOfPoolSize(config: Config, connections: ConnectionManager, logger: Logger): Promise<void> {
  const most = await new DatabaseHealth(connections).maxConnections();
  if (config.DB_POOL_SIZE <= most) return;
  logger.warn(
    `DB_POOL_SIZE is ${config.DB_POOL_SIZE}, and the server accepts ${most} connections of all processes together: lower it, ` +
      'or raise max_connections',
  );
}
