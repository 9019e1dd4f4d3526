/**
 * BullMQ on PostgreSQL, with the database's time. BullMQ writes the ends of locks by the clock of one worker and
 * compares them with the clock of another: where these differ by more than a lock lasts, a job would run twice, or stay
 * with a dead worker.
 */
import { createPostgresBackend } from 'bullmq';
import { databaseClock } from '../database/database-clock';

/** The statements that compare times, with the position of the present in their parameters. */
export const PRESENT_IN: Readonly<Record<string, number>> = {
  move_to_active: 3,
  move_to_completed_fetch: 9,
  move_to_failed_fetch: 10,
  extend_lock: 4,
  extend_locks: 4,
  move_stalled_jobs_to_wait: 2,
};

/** The part of BullMQ's backend that runs its statements. */
interface Runner {
  run(statement: string, values: readonly unknown[]): Promise<{ rows: { processed_at_ms?: unknown }[] }>;
}

/** A factory of backends for BullMQ. The worker's own view of a job, when it has taken it, stays in its own time. */
export const createBackend: typeof createPostgresBackend = (...options) => {
  const backend = createPostgresBackend(...options);
  const runner = backend as unknown as Runner;
  const run = runner.run.bind(runner);
  runner.run = async (statement, values) => {
    const position = PRESENT_IN[statement];
    if (position === undefined) return run(statement, values);
    const ahead = Math.round(databaseClock.now() - new Date().getTime());
    const result = await run(statement, values.with(position, Number(values[position]) + ahead));
    for (const row of result.rows) {
      if (typeof row.processed_at_ms === 'string') row.processed_at_ms = String(Number(row.processed_at_ms) - ahead);
    }
    return result;
  };
  return backend;
};
