import { Inject, Injectable } from '@nestjs/common';
import type { Logger } from 'pino';
import type { Config } from '../platform/config/config';
import { CONFIG } from '../platform/config/config.module';
import { RetentionDatabase } from '../platform/database/roles/role-databases';
import type { Row, Statement } from '../platform/database/sql/statement';
import { firstIdAt } from '../platform/ids/ids';
import { LOGGER } from '../platform/observability/logger.module';

const ROWS_AT_ONCE = 1_000;
/**
 * So many batches of a table a run, and no longer, so that a backlog is worked off over minutes and never as one huge
 * delete.
 */
const BATCHES_A_RUN = 200;
const RUN_MS = 20_000;
const MOST_COUNTED = 1_000_000;
const DAY_MS = 24 * 60 * 60 * 1000;

/** What expires, and since when it may go. */
interface Expiring {
  table: string;
  key: string;
  column: string;
  before: Date;
}

/** How far a run may go. */
interface Bounds {
  batches: number;
  /** By `performance.now()`. */
  until: number;
}

/**
 * What is kept of an event beside it, by the ids that have its time; deliveries before their attempts: who writes an
 * attempt holds its delivery meanwhile.
 */
const OF_EVENTS = [
  { table: 'deliveries', key: 'id', id: 'id' },
  { table: 'delivery_attempts', key: 'delivery_id, number', id: 'delivery_id' },
];

/** Events of one tenant that go next. */
interface ExpiredEvents extends Row {
  tenant_id: string;
  ids: string[];
}

/** How many rows of each table went, or may go; with events go their deliveries and attempts, uncounted. */
export type Pruned = Record<string, number>;

/**
 * Deletes what has expired, in small batches: ended sessions, stored answers, old failures, and events past retention.
 */
@Injectable()
export class RetentionJob {
  private running = false;

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    private readonly database: RetentionDatabase,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** One round; a second call meanwhile does nothing. Never throws. */
  async run(now?: Date): Promise<void> {
    if (this.running) return;
    this.running = true;
    try {
      await this.clearAll(now ?? (await this.now()), { batches: BATCHES_A_RUN, until: performance.now() + RUN_MS });
    } catch (error) {
      this.logger.warn({ reason: (error as Error).message }, 'cleaning up failed');
    } finally {
      this.running = false;
    }
  }

  /** Deletes all that may go at this time, however much there is. */
  async prune(now?: Date): Promise<Pruned> {
    return this.clearAll(now ?? (await this.now()), { batches: Infinity, until: Infinity });
  }

  /** What {@link prune} would delete; where it is more than a million rows, that is what it says. */
  async count(now?: Date): Promise<Pruned> {
    const counted: Pruned = {};
    for (const expiring of this.expiring(now ?? (await this.now()))) {
      const [row] = await this.database.transaction((tx) => tx.query<{ count: number }>(countExpired(expiring)));
      counted[expiring.table] = row?.count ?? 0;
    }
    return counted;
  }

  /** The database's time. A process whose clock is ahead must not delete what is not old yet. */
  private async now(): Promise<Date> {
    const statement: Statement = { name: 'retention_now', text: 'select now() as now', values: [] };
    const [row] = await this.database.transaction((tx) => tx.query<{ now: Date }>(statement));
    if (!row) throw new Error('the database did not tell its time');
    return new Date(row.now);
  }

  private expiring(now: Date): Expiring[] {
    const retained = new Date(now.getTime() - this.config.WEBHOOK_RETENTION_DAYS * DAY_MS);
    return [
      { table: 'sessions', key: 'tenant_id, id', column: 'expires_at', before: now },
      { table: 'sign_in_failures', key: 'key', column: 'expires_at', before: now },
      { table: 'one_time_tokens', key: 'subject_id, token_hash', column: 'expires_at', before: now },
      { table: 'address_reservations', key: 'email_key, user_id', column: 'expires_at', before: now },
      { table: 'known_networks', key: 'user_id, network_hash', column: 'expires_at', before: now },
      { table: 'idempotency_keys', key: 'tenant_id, caller, key', column: 'expires_at', before: now },
      { table: 'events', key: 'tenant_id, id', column: 'created_at', before: retained },
    ];
  }

  private async clearAll(now: Date, bounds: Bounds): Promise<Pruned> {
    const cleared: Pruned = {};
    for (const expiring of this.expiring(now)) {
      const { table } = expiring;
      cleared[table] = await (table === 'events' ? this.clearEvents(expiring, bounds) : this.clear(expiring, bounds));
    }
    return cleared;
  }

  private async clear(expiring: Expiring, { batches, until }: Bounds): Promise<number> {
    let cleared = 0;
    for (let batch = 0; batch < batches && performance.now() < until; batch++) {
      const deleted = await this.delete(deleteExpired(expiring));
      cleared += deleted;
      if (deleted < ROWS_AT_ONCE) break;
    }
    return cleared;
  }

  /**
   * Deletes of the tenants whose events go next all that is kept of old events, and then those events. They say whose
   * rows there are to delete, and so go last: where a run ends before that, the next one goes on.
   */
  private async clearEvents(events: Expiring, { batches, until }: Bounds): Promise<number> {
    const before = firstIdAt(events.before.getTime());
    const done = new Set<string>();
    let cleared = 0;
    for (let batch = 0; batch < batches && performance.now() < until; batch++) {
      const expired = await this.database.transaction((tx) =>
        tx.query<ExpiredEvents>(findExpiredEvents(events.before)),
      );
      for (const { tenant_id: tenantId } of expired) {
        if (done.has(tenantId)) continue;
        for (const part of OF_EVENTS) {
          const statement = deleteOfEvents(part, tenantId, before);
          do {
            if (performance.now() >= until) return cleared;
          } while ((await this.delete(statement)) === ROWS_AT_ONCE);
        }
        done.add(tenantId);
      }
      const found = expired.reduce((sum, { ids }) => sum + ids.length, 0);
      if (found > 0) cleared += await this.delete(deleteEvents(expired));
      if (found < ROWS_AT_ONCE) break;
    }
    return cleared;
  }

  private async delete(statement: Statement): Promise<number> {
    return (await this.database.transaction((tx) => tx.query(statement))).length;
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

/** The events that go next, by tenant. */
function findExpiredEvents(before: Date): Statement {
  return {
    name: 'janitor_events_find',
    text: `select tenant_id, array_agg(id) as ids from
             (select tenant_id, id from events where created_at < $1 order by created_at limit ${ROWS_AT_ONCE}) as expired
            group by tenant_id`,
    values: [before],
  };
}

function deleteEvents(expired: readonly ExpiredEvents[]): Statement {
  return {
    name: 'janitor_events',
    text: `delete from events where (tenant_id, id) in (select * from unnest($1::uuid[], $2::uuid[])) returning 1`,
    values: [expired.flatMap((tenant) => tenant.ids.map(() => tenant.tenant_id)), expired.flatMap(({ ids }) => ids)],
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
