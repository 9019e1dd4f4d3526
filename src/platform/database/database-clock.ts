/**
 * The time of the database, as this process estimates it. Times that one process writes and another one compares
 * with its present, such as when a row becomes due, are read from here, so that machines whose clocks differ agree.
 * Before the first observation it is the time of the machine.
 */
export class DatabaseClock {
  /** The difference to `performance.now()`. */
  private base = new Date().getTime() - performance.now();

  /** Milliseconds of Unix time. A step of the machine's clock does not change it. */
  now(): number {
    return performance.now() + this.base;
  }

  /**
   * Takes the database's time from a response. A difference within the uncertainty of the round trip changes nothing:
   * the clock does not jitter.
   *
   * @param time the database's time, milliseconds of Unix time; undefined changes nothing
   * @param asked the start of the query, and `answered` its end, by `performance.now()`
   */
  observe(time: number | undefined, asked: number, answered: number): void {
    if (time === undefined) return;
    const base = time - (asked + answered) / 2;
    if (Math.abs(base - this.base) > answered - asked) this.base = base;
  }
}

/** The clock of the process, which uses one database. */
export const databaseClock = new DatabaseClock();
