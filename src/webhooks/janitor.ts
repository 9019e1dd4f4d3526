import { Inject, Injectable } from '@nestjs/common';
import type { Logger } from 'pino';
import type { Config } from '../platform/config/config';
import { CONFIG } from '../platform/config/config.module';
import { JanitorDatabase } from '../platform/database/role-databases';
import type { Statement } from '../platform/database/statement';
import { firstIdAt } from '../platform/ids';
import { LOGGER } from '../platform/observability/logger.module';

const ROWS_AT_ONCE = 1_000;
/** So many batches of a table a run, so that a backlog is worked off over minutes and never as one huge delete. */
const BATCHES_A_RUN = 200;
const MOST_COUNTED = 1_000_000;
const DAY_MS = 24 * 60 * 60 * 1000;

/** What expires, and since when it may go. */
interface Expiring {
  table: string;
  key: string;
  column: string;
  before: Date;
}

/** What is kept of an event beside it, by the ids that have its time; attempts before their deliveries. */
const OF_EVENTS = [
  { table: 'delivery_attempts', key: 'delivery_id, number', id: 'delivery_id' },
  { table: 'deliveries', key: 'id', id: 'id' },
];

/** How many rows of each table went, or may go; with events go their deliveries and attempts, uncounted. */
export type Pruned = Record<string, number>;

/** Deletes what has expired, in small batches: ended sessions, stored answers, old failures, and events past retention. */
@Injectable()
export class Janitor {
  private running = false;

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    private readonly database: JanitorDatabase,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** One round; a second call meanwhile does nothing. Never throws. */
  async run(now: Date = new Date()): Promise<void> {
    if (this.running) return;
    this.running = true;
    try {
      await this.clearAll(now, BATCHES_A_RUN);
    } catch (error) {
      this.logger.warn({ reason: (error as Error).message }, 'cleaning up failed');
    } finally {
      this.running = false;
    }
  }

  /** Deletes all that may go at this time, however much there is. */
  prune(now: Date = new Date()): Promise<Pruned> {
    return this.clearAll(now, Infinity);
  }

  /** What {@link prune} would delete; where it is more than a million rows, that is what it says. */
  async count(now: Date = new Date()): Promise<Pruned> {
    const counted: Pruned = {};
    for (const expiring of this.expiring(now)) {
      const [row] = await this.database.transaction((tx) => tx.query<{ count: number }>(countExpired(expiring)));
      counted[expiring.table] = row?.count ?? 0;
    }
    return counted;
  }

  private expiring(now: Date): Expiring[] {
    return [
      { table: 'sessions', key: 'tenant_id, id', column: 'expires_at', before: now },
      { table: 'sign_in_failures', key: 'key', column: 'expires_at', before: now },
      { table: 'idempotency_keys', key: 'tenant_id, caller, key', column: 'expires_at', before: now },
      { table: 'events', key: 'tenant_id, id', column: 'created_at', before: this.retainedSince(now) },
    ];
  }

  private retainedSince(now: Date): Date {
    return new Date(now.getTime() - this.config.WEBHOOK_RETENTION_DAYS * DAY_MS);
  }

  private async clearAll(now: Date, batches: number): Promise<Pruned> {
    const before = firstIdAt(this.retainedSince(now).getTime());
    const cleared: Pruned = {};
    for (const expiring of this.expiring(now)) {
      const { table } = expiring;
      cleared[table] = 0;
      for (let batch = 0; batch < batches; batch++) {
        if (table === 'events') await this.clearOfEvents(expiring, before);
        const { length } = await this.database.transaction((tx) => tx.query(deleteExpired(expiring)));
        cleared[table] += length;
        if (length < ROWS_AT_ONCE) break;
      }
    }
    return cleared;
  }

  /**
   * Deletes what there is beside the events that go next, and those that have their time. The events stay until it is gone:
   * they say whose rows there are to delete, also to one who goes on where another was cut off.
   */
  private async clearOfEvents(events: Expiring, before: string): Promise<void> {
    const tenants = await this.database.transaction((tx) => tx.query<{ tenant_id: string }>(findTenants(events)));
    for (const { tenant_id: tenantId } of tenants) {
      for (const part of OF_EVENTS) {
        const statement = deleteOfEvents(part, tenantId, before);
        let deleted: number;
        do {
          deleted = (await this.database.transaction((tx) => tx.query(statement))).length;
        } while (deleted === ROWS_AT_ONCE);
      }
    }
  }
}

function deleteExpired({ table, key, column, before }: Expiring): Statement {
  return {
    name: `janitor_${table}`,
    text: `delete from ${table} where (${key}) in
             (select ${key} from ${table} where ${column} < $1 order by ${column} limit ${ROWS_AT_ONCE}) returning 1`,
    values: [before],
  };
}

/** Whose events {@link deleteExpired} would delete. */
function findTenants({ table, column, before }: Expiring): Statement {
  return {
    name: `janitor_tenants_${table}`,
    text: `select distinct tenant_id from
             (select tenant_id from ${table} where ${column} < $1 order by ${column} limit ${ROWS_AT_ONCE}) as expired`,
    values: [before],
  };
}

/** @param before the first id that stays */
function deleteOfEvents({ table, key, id }: (typeof OF_EVENTS)[number], tenantId: string, before: string): Statement {
  return {
    name: `janitor_${table}`,
    text: `delete from ${table} where tenant_id = $1 and (${key}) in
             (select ${key} from ${table} where tenant_id = $1 and ${id} < $2 order by ${key} limit ${ROWS_AT_ONCE})
           returning 1`,
    values: [tenantId, before],
  };
}

function countExpired({ table, column, before }: Expiring): Statement {
  return {
    name: `janitor_count_${table}`,
    text: `select count(*)::int as count from (select 1 from ${table} where ${column} < $1 limit ${MOST_COUNTED}) as expired`,
    values: [before],
  };
}
