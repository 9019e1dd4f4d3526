/**
 * The database as features see it. Nouns: a *transaction* is bound to a scope by its first settings; the *tenant
 * database* gives out transactions of one tenant, narrow roles have databases of their own. What must always hold: no
 * statement runs outside such a transaction, and the service's role cannot see a row without a tenant.
 * `connection-manager.ts` owns the connections and is exported to no module.
 */
import { type DynamicModule, Global, Inject, Module, type OnApplicationShutdown } from '@nestjs/common';
import type { Logger } from 'pino';
import type { EntityTarget, ObjectLiteral } from 'typeorm';
import type { Config } from '../config/config';
import { CONFIG } from '../config/config.module';
import { LOGGER } from '../observability/logger.module';
import { Metrics } from '../observability/metrics';
import { TRACING, type Tracing } from '../observability/tracing';
import { MailDatabase } from './roles/mail-database';
import { AuditDatabase } from './roles/audit-database';
import { BacklogDatabase } from './roles/backlog';
import { ConnectionManager } from './connections/connection-manager';
import { DatabaseHealth } from './database-health';
import { DatabaseLoad } from './load';
import { EpochDatabase } from './roles/epoch-database';
import { MembersDatabase } from './roles/members-database';
import { DiscoveryDatabase, RetentionDatabase, NotificationDatabase, SignInDatabase } from './roles/role-databases';
import { TenantDatabase } from './tenant-database';

@Global()
@Module({})
export class DatabaseModule implements OnApplicationShutdown {
  constructor(@Inject(ConnectionManager) private readonly connections: ConnectionManager) {}

  /** The module, with the entities for repositories. */
  static forRoot(entities: EntityTarget<ObjectLiteral>[]): DynamicModule {
    return {
      module: DatabaseModule,
      providers: [
        {
          provide: ConnectionManager,
          inject: [CONFIG, LOGGER, Metrics, TRACING],
          useFactory: async (config: Config, logger: Logger, metrics: Metrics, tracing: Tracing) => {
            const connections = new ConnectionManager(config, entities, metrics, tracing, (error) =>
              logger.warn({ reason: error.message }, 'database connection lost'),
            );
            await connections.connect();
            await new DatabaseHealth(connections).assertMigrated().catch(async (error: unknown) => {
              await connections.close();
              throw error;
            });
            return connections;
          },
        },
        TenantDatabase,
        SignInDatabase,
        RetentionDatabase,
        NotificationDatabase,
        DiscoveryDatabase,
        AuditDatabase,
        MailDatabase,
        EpochDatabase,
        MembersDatabase,
        DatabaseHealth,
        BacklogDatabase,
        DatabaseLoad,
      ],
      exports: [
        TenantDatabase,
        SignInDatabase,
        RetentionDatabase,
        NotificationDatabase,
        DiscoveryDatabase,
        AuditDatabase,
        MailDatabase,
        EpochDatabase,
        MembersDatabase,
        DatabaseHealth,
        BacklogDatabase,
        DatabaseLoad,
      ],
    };
  }

  async onApplicationShutdown(): Promise<void> {
    await this.connections.close();
  }
}
