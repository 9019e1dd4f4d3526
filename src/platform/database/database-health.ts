import { Injectable } from '@nestjs/common';
import { Unavailable } from '../errors';
import { ConnectionManager } from './connections/connection-manager';
import { sqlState } from './sql/errors';
import { migrationNames } from './migrate/migrations';
import { DB_ROLES } from './sql/db-roles';
import { QUEUE_SCHEMA } from './migrate/service-login';

/** Looks whether the database answers and is at this build's schema. */
@Injectable()
export class DatabaseHealth {
  private readonly expected = migrationNames();

  constructor(private readonly connections: ConnectionManager) {}

  /** The names of migrations that this build has and the database has not. @throws Unavailable when it does not answer */
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

  /** Reads from BullMQ's tables, where they are the queue. @throws when they are not there, or not ours to read */
  async assertQueueTables(): Promise<void> {
    await this.connections.query(this.connections.transactionSettings(DB_ROLES.service, [], true), {
      name: 'queue_tables',
      text: `select 1 from ${QUEUE_SCHEMA}.job limit 1`,
      values: [],
    });
  }

  /**
   * Refuses a database that lacks what this build's statements rely on. One that has more is that of a newer release,
   * which this one goes on serving while it is replaced.
   * @throws Unavailable naming what is pending
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

/** SQLSTATEs of an empty database: no table of migrations, or not even the service's role to look for it. */
export const NEVER_MIGRATED: ReadonlySet<string> = new Set(['42P01', '22023']);
