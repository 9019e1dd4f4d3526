import { Injectable } from '@nestjs/common';
import { Unavailable } from '../errors';
import { ConnectionManager } from './connections/connection-manager';
import { sqlState } from './sql/errors';
import { migrationNames } from './migrate/migrations';
import { DB_ROLES } from './sql/db-roles';
import { QUEUE_SCHEMA } from './migrate/service-login';

/** Checks whether the database replies and is at this build's schema. */
@Injectable()
export class DatabaseHealth {
  private readonly expected = migrationNames();

  constructor(private readonly connections: ConnectionManager) {}

  /** The names of this build's migrations that the database lacks. @throws Unavailable when it does not reply */
  async pendingMigrations(): Promise<string[]> {
    const rows = await this.connections.query<{ name: string }>(
      this.connections.transactionSettings(DB_ROLES.service, [], true),
      {
        name: 'applied_migrations',
        text: 'select name from migrations',
        values: [],
      },
    );
    const applied = new Set(rows.map((row) => row.name));
    return this.expected.filter((name) => !applied.has(name));
  }

  /** Reads from BullMQ's tables, where they hold the queue. @throws when they are missing or not readable */
  async assertQueueTables(): Promise<void> {
    await this.connections.query(this.connections.transactionSettings(DB_ROLES.service, [], true), {
      name: 'queue_tables',
      text: `select 1 from ${QUEUE_SCHEMA}.job limit 1`,
      values: [],
    });
  }

  /**
   * Refuses a database that lacks a migration of this build. A database that a newer release has migrated is accepted,
   * since this release serves on during the roll-out.
   * @throws Unavailable naming the pending migrations
   */
  async assertMigrated(): Promise<void> {
    const pending = await this.pendingMigrations().catch((error: unknown) => {
      if (NEVER_MIGRATED.has(sqlState(error) ?? '')) return this.expected;
      throw error;
    });
    if (pending.length === 0) return;
    throw new Unavailable(`database: migrations are pending: ${pending.join(', ')}; run the role migrate first`);
  }
}

/** SQLSTATEs of an empty database: no table of migrations, or no service role yet. */
export const NEVER_MIGRATED: ReadonlySet<string> = new Set(['42P01', '22023']);
