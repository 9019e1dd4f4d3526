import { Injectable } from '@nestjs/common';
import { Unavailable } from '../errors';
import { ConnectionManager } from './connections/connection-manager';
import { databaseClock } from './database-clock';
import { sqlState } from './sql/errors';
import { migrationNames } from './migrate/migrations';
import { DB_ROLES } from './sql/db-roles';
import { QUEUE_SCHEMA } from './migrate/queue-login';
import { retireAllConnections } from './sql/service-client';
import type { Row } from './sql/statement';

const STATE = `select pg_is_in_recovery() as standby, current_setting('transaction_read_only') = 'on' as read_only`;

/** Checks whether the database replies, accepts writes, and is at this build's schema. */
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

  /**
   * Checks whether the servers of the connections for reads and for writes accept writes. A demoted primary still
   * serves reads and keeps its connections: they are replaced, since a new connection may lead to the new primary.
   * @throws Unavailable when one of them is a standby, read-only, or does not reply
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
    retireAllConnections();
    throw new Unavailable(`database: the server is ${refusing.standby ? 'a standby' : 'read-only'}`);
  }

  /**
   * How far this process's clock is ahead of the database's, in milliseconds; half a round trip uncertain. The process
   * then knows the time of the database, too.
   */
  async clockAhead(): Promise<number> {
    const began = performance.now();
    const [row] = await this.connections.query<{ now: Date }>(
      this.connections.transactionSettings(DB_ROLES.service, [], true),
      { name: 'server_clock', text: 'select clock_timestamp() as now', values: [] },
    );
    if (!row) return 0;
    const answered = performance.now();
    const time = new Date(row.now).getTime();
    databaseClock.observe(time, began, answered);
    return new Date().getTime() - (answered - began) / 2 - time;
  }

  /** The connections that the server accepts of logins without special rights, of all processes together. */
  async maxConnections(): Promise<number> {
    const [row] = await this.connections.query<{ most: number }>(
      this.connections.transactionSettings(DB_ROLES.service, [], true),
      {
        name: 'server_connections',
        text: `select current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int as most`,
        values: [],
      },
    );
    return row?.most ?? Infinity;
  }

  /** Reads from BullMQ's tables, if they hold the queue. @throws when they are missing or not readable */
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

interface ServerState extends Row {
  standby: boolean;
  read_only: boolean;
}

/** SQLSTATEs of an empty database: no table of migrations, or no service role yet. */
export const NEVER_MIGRATED: ReadonlySet<string> = new Set(['42P01', '22023']);
