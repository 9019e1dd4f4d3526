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
  run(statement: string, values: readonly unknown[]): unknown;
}

/** A factory of backends for BullMQ. */
export const createBackend: typeof createPostgresBackend = (...options) => {
  const backend = createPostgresBackend(...options);
  const runner = backend as unknown as Runner;
  const run = runner.run.bind(runner);
  runner.run = (statement, values) => {
    const position = PRESENT_IN[statement];
    return run(statement, position === undefined ? values : values.with(position, Math.round(databaseClock.now())));
  };
  return backend;
};
