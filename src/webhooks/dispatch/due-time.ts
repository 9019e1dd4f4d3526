import { databaseClock } from '../../platform/database/database-clock';

/**
 * A stored time, in milliseconds of Unix time, as a reading of `performance.now()`: the wait until then is a duration,
 * and a step of the machine's clock must not change it.
 */
export function dueTime(unixMs: number): number {
  return performance.now() + (unixMs - databaseClock.now());
}
