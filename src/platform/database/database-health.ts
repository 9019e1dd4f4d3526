import { Injectable } from '@nestjs/common';
import { Unavailable } from '../errors';
import { ConnectionManager } from './connections/connection-manager';
import { sqlState } from './sql/errors';
import { migrationNames } from './migrate/migrations';
import { DB_ROLES } from './sql/db-roles';
import { QUEUE_SCHEMA } from './migrate/service-login';
import { leaveServer } from './sql/service-client';
import type { Row } from './sql/statement';

const STATE = `select pg_is_in_recovery() as standby, current_setting('transaction_read_only') = 'on' as read_only`;

/** Looks whether the database answers, takes writes, and is at this build's schema. */
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

  /**
   * Looks whether the servers that reads and writes go to take writes. A primary that was demoted still answers reads, and
   * its connections stay: they are left, since a new connection may lead to the primary of now.
   * @throws Unavailable when one of them is a standby or read-only, or does not answer
   */
  async assertWritable(): Promise<void> {
    const settings = this.connections.transactionSettings(DB_ROLES.service, []);
    const statement = { name: 'server_state', text: STATE, values: [] };
    const [read, [write = []]] = await Promise.all([
      this.connections.query<ServerState>(settings, statement),
      this.connections.write(settings, [statement], true) as Promise<ServerState[][]>,
    ]);
    const refusing = [...read, ...write].find((state) => state.standby || state.read_only);
    if (!refusing) return;
    leaveServer();
    throw new Unavailable(`database: the server is ${refusing.standby ? 'a standby' : 'read-only'}`);
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

interface ServerState extends Row {
  standby: boolean;
  read_only: boolean;
}

/** SQLSTATEs of an empty database: no table of migrations, or not even the service's role to look for it. */
export const NEVER_MIGRATED: ReadonlySet<string> = new Set(['42P01', '22023']);
