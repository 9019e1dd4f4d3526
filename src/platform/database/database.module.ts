/**
 * The database as features see it. Nouns: a *transaction* is bound to a scope by its BEGIN; the *tenant database*
 * gives out those of one tenant, the *sign-in* and *janitor* databases those of two narrow roles. What must always
 * hold: no statement runs outside such a transaction, and the role that serves requests cannot see a row without a
 * tenant. `core.ts` owns the connections and is exported to nobody.
 */
import { type DynamicModule, Global, Inject, Module, type OnApplicationShutdown } from '@nestjs/common';
import type { Logger } from 'pino';
import type { EntityTarget, ObjectLiteral } from 'typeorm';
import type { Config } from '../config/config';
import { CONFIG } from '../config/config.module';
import { LOGGER } from '../observability/logger.module';
import { Metrics } from '../observability/metrics';
import { TRACING, type Tracing } from '../observability/tracing';
import { BacklogDatabase } from './roles/backlog';
import { Core } from './connections/connection-manager';
import { DatabaseHealth } from './database-health';
import { DatabaseLoad } from './load';
import { MembersDatabase } from './roles/members-database';
import { EpochDatabase } from './roles/epoch-database';
import { DiscoveryDatabase, JanitorDatabase, NotificationDatabase, SignInDatabase } from './roles/role-databases';
import { TenantDatabase } from './tenant-database';

@Global()
@Module({})
export class DatabaseModule implements OnApplicationShutdown {
  constructor(@Inject(Core) private readonly core: Core) {}

  /** The module, with the entities that repositories are asked for. */
  static with(entities: EntityTarget<ObjectLiteral>[]): DynamicModule {
    return {
      module: DatabaseModule,
      providers: [
        {
          provide: Core,
          inject: [CONFIG, LOGGER, Metrics, TRACING],
          useFactory: async (config: Config, logger: Logger, metrics: Metrics, tracing: Tracing) => {
            const core = new Core(config, entities, metrics, tracing, (error) =>
              logger.warn({ reason: error.message }, 'database connection lost'),
            );
            await core.connect();
            await new DatabaseHealth(core).assertMigrated().catch(async (error: unknown) => {
              await core.close();
              throw error;
            });
            return core;
          },
        },
        TenantDatabase,
        SignInDatabase,
        JanitorDatabase,
        NotificationDatabase,
        DiscoveryDatabase,
        MembersDatabase,
        EpochDatabase,
        DatabaseHealth,
        BacklogDatabase,
        DatabaseLoad,
      ],
      exports: [
        TenantDatabase,
        SignInDatabase,
        JanitorDatabase,
        NotificationDatabase,
        DiscoveryDatabase,
        MembersDatabase,
        EpochDatabase,
        DatabaseHealth,
        BacklogDatabase,
        DatabaseLoad,
      ],
    };
  }

  async onApplicationShutdown(): Promise<void> {
    await this.core.close();
  }
}
