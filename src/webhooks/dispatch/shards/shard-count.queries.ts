/** Statements for the number of shards, which all workers must agree on. */
import type { Row, Statement } from '../../../platform/database/sql/statement';

/**
 * Any 64-bit number, the same in every release: the lock that all workers hold in common while they relay and dispatch.
 * The one leader of an earlier release holds it alone.
 */
export const WORKERS_LOCK = 7_263_540_120;

/** The recorded state of the shards. */
export interface RecordedRow extends Row {
  /** Their number; null before the first worker has started. */
  count: number | null;
  /** The database's time, milliseconds of Unix time. */
  time: number;
}

/** The recorded number of shards. */
export function recordedCount(): Statement {
  return {
    name: 'webhook_shards_count',
    text: `select (select count from webhook_shards) as count, extract(epoch from clock_timestamp())::float8 * 1000 as time`,
    values: [],
  };
}

/** Records the number of shards unless there is one. */
export function recordCount(count: number): Statement {
  return {
    name: 'webhook_shards_record',
    text: 'insert into webhook_shards (count) values ($1) on conflict (only_row) do nothing',
    values: [count],
  };
}

/** Changes the number of shards; returns no row while a worker runs. */
export function changeCount(count: number): Statement {
  return {
    name: 'webhook_shards_change',
    text: `with idle as materialized (select pg_try_advisory_xact_lock($2::bigint) as is_idle)
           insert into webhook_shards (count) select $1::int from idle where is_idle
           on conflict (only_row) do update set count = excluded.count returning count`,
    values: [count, WORKERS_LOCK],
  };
}
