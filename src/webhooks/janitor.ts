import { Inject, Injectable } from '@nestjs/common';
import type { Logger } from 'pino';
import type { Config } from '../platform/config/config';
import { CONFIG } from '../platform/config/config.module';
import { JanitorDatabase } from '../platform/database/role-databases';
import type { Statement } from '../platform/database/statement';
import { LOGGER } from '../platform/observability/logger.module';

const ROWS_AT_ONCE = 1_000;
/** So many batches a run, so that a backlog is worked off over minutes and never as one huge delete. */
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

/** How many rows of each table went, or may go. */
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
      for (const expiring of this.expiring(now)) await this.clear(expiring, BATCHES_A_RUN);
    } catch (error) {
      this.logger.warn({ reason: (error as Error).message }, 'cleaning up failed');
    } finally {
      this.running = false;
    }
  }

  /** Deletes all that may go at this time, however much there is. */
  async prune(now: Date = new Date()): Promise<Pruned> {
    const pruned: Pruned = {};
    for (const expiring of this.expiring(now)) pruned[expiring.table] = await this.clear(expiring, Infinity);
    return pruned;
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
    const retained = new Date(now.getTime() - this.config.WEBHOOK_RETENTION_DAYS * DAY_MS);
    return [
      { table: 'sessions', key: 'tenant_id, id', column: 'expires_at', before: now },
      { table: 'sign_in_failures', key: 'key', column: 'expires_at', before: now },
      { table: 'idempotency_keys', key: 'tenant_id, caller, key', column: 'expires_at', before: now },
      { table: 'events', key: 'tenant_id, id', column: 'created_at', before: retained },
    ];
  }

  private async clear(expiring: Expiring, batches: number): Promise<number> {
    let cleared = 0;
    for (let batch = 0; batch < batches; batch++) {
      const { length } = await this.database.transaction((tx) => tx.query(deleteExpired(expiring)));
      cleared += length;
      if (length < ROWS_AT_ONCE) break;
    }
    return cleared;
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

function countExpired({ table, column, before }: Expiring): Statement {
  return {
    name: `janitor_count_${table}`,
    text: `select count(*)::int as count from (select 1 from ${table} where ${column} < $1 limit ${MOST_COUNTED}) as expired`,
    values: [before],
  };
}
