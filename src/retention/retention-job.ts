import { Inject, Injectable } from '@nestjs/common';
import type { Logger } from 'pino';
import { Config } from '../platform/config/config';
import type { RetentionDependent, RetentionRule } from '../platform/database/sql/tables';
import { RetentionDatabase } from '../platform/database/roles/retention-database';
import type { Row, Statement } from '../platform/database/sql/statement';
import { firstIdAt } from '../platform/ids/ids';
import { LOGGER } from '../platform/observability/logger.module';

const ROWS_AT_ONCE = 1_000;
/** Batches of a table in one run, at most, so that a backlog is deleted over minutes and never as one huge delete. */
const BATCHES_A_RUN = 200;
const RUN_MS = 20_000;
const MAX_COUNTED = 1_000_000;

/** Injection token of all {@link RetentionRule}s. */
export const RETENTION_RULES = Symbol('RETENTION_RULES');

/** A rule with the time before which rows are deleted now. */
interface Expiring extends RetentionRule {
  before: Date;
}

/** The limits of a run. */
interface Bounds {
  batches: number;
  /** By `performance.now()`. */
  until: number;
}

/** Rows of one tenant that are deleted next. */
interface ExpiredRows extends Row {
  tenant_id: string;
  ids: string[];
}

/** The number of deleted or expired rows by table; rows of dependent tables are not counted. */
export type Pruned = Record<string, number>;

/** Deletes expired rows in small batches, by the rules that the features declare. */
@Injectable()
export class RetentionJob {
  private running = false;

  /** How long a run may take. */
  protected runMs = RUN_MS;

  constructor(
    private readonly config: Config,
    private readonly database: RetentionDatabase,
    @Inject(LOGGER) private readonly logger: Logger,
    @Inject(RETENTION_RULES) private readonly rules: readonly RetentionRule[],
  ) {}

  /** One round; a second call meanwhile does nothing. Never throws. */
  async run(now?: Date): Promise<void> {
    if (this.running) return;
    this.running = true;
    try {
      await this.clearAll(now ?? (await this.now()), { batches: BATCHES_A_RUN, until: performance.now() + this.runMs });
    } catch (error) {
      this.logger.warn({ reason: (error as Error).message }, 'cleaning up failed');
    } finally {
      this.running = false;
    }
  }

  /** Deletes all rows that have expired at this time, in any number. */
  async prune(now?: Date): Promise<Pruned> {
    return this.clearAll(now ?? (await this.now()), { batches: Infinity, until: Infinity });
  }

  /** The number of rows that {@link prune} would delete, at most a million. */
  async count(now?: Date): Promise<Pruned> {
    const counted: Pruned = {};
    for (const expiring of this.expiring(now ?? (await this.now()))) {
      const [row] = await this.database.transaction((tx) => tx.query<{ count: number }>(countExpired(expiring)));
      counted[expiring.table] = row?.count ?? 0;
    }
    return counted;
  }

  /** The database's time. A process whose clock is ahead must not delete rows early. */
  private async now(): Promise<Date> {
    const statement: Statement = { name: 'retention_now', text: 'select now() as now', values: [] };
    const [row] = await this.database.transaction((tx) => tx.query<{ now: Date }>(statement));
    if (!row) throw new Error('the database did not return its time');
    return new Date(row.now);
  }

  private expiring(now: Date): Expiring[] {
    return this.rules.map((rule) => ({ ...rule, before: new Date(now.getTime() - (rule.period?.(this.config) ?? 0)) }));
  }

  private async clearAll(now: Date, bounds: Bounds): Promise<Pruned> {
    const cleared: Pruned = {};
    for (const expiring of this.expiring(now)) {
      const { table } = expiring;
      cleared[table] = await (expiring.dependents
        ? this.clearWithDependents(expiring, expiring.dependents, bounds)
        : this.clear(expiring, bounds));
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
   * Of the tenants whose rows expire next, deletes first the old rows of the dependent tables and then those rows. They
   * identify the tenants with rows to delete, and so come last: after an interrupted run the next one continues.
   */
  private async clearWithDependents(
    expiring: Expiring,
    dependents: readonly RetentionDependent[],
    { batches, until }: Bounds,
  ): Promise<number> {
    const before = firstIdAt(expiring.before.getTime());
    const done = new Set<string>();
    let cleared = 0;
    for (let batch = 0; batch < batches && performance.now() < until; batch++) {
      const expired = await this.database.transaction((tx) => tx.query<ExpiredRows>(findExpired(expiring)));
      for (const { tenant_id: tenantId } of expired) {
        if (done.has(tenantId)) continue;
        for (const dependent of dependents) {
          const statement = deleteDependents(dependent, tenantId, before);
          do {
            if (performance.now() >= until) return cleared;
          } while ((await this.delete(statement)) === ROWS_AT_ONCE);
        }
        done.add(tenantId);
      }
      const found = expired.reduce((sum, { ids }) => sum + ids.length, 0);
      if (found > 0) cleared += await this.delete(deleteById(expiring, expired));
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

/** The rows that are deleted next, by tenant. */
function findExpired({ table, column, before }: Expiring): Statement {
  return {
    name: `janitor_${table}_find`,
    text: `select tenant_id, array_agg(id) as ids from
             (select tenant_id, id from ${table} where ${column} < $1 order by ${column} limit ${ROWS_AT_ONCE}) as expired
            group by tenant_id`,
    values: [before],
  };
}

function deleteById({ table }: Expiring, expired: readonly ExpiredRows[]): Statement {
  return {
    name: `janitor_${table}_by_id`,
    text: `delete from ${table} where (tenant_id, id) in (select * from unnest($1::uuid[], $2::uuid[])) returning 1`,
    values: [expired.flatMap((tenant) => tenant.ids.map(() => tenant.tenant_id)), expired.flatMap(({ ids }) => ids)],
  };
}

/** @param before the first id that stays */
function deleteDependents({ table, key, id }: RetentionDependent, tenantId: string, before: string): Statement {
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
    text: `select count(*)::int as count from (select 1 from ${table} where ${column} < $1 limit ${MAX_COUNTED}) as expired`,
    values: [before],
  };
}
