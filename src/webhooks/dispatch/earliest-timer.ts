/** Calls back once, at the earliest of the scheduled times. */
export class EarliestTimer {
  private at = Infinity;
  private timer?: NodeJS.Timeout;

  /** @param longestMs the longest wait, also without a scheduled time */
  constructor(
    private readonly callback: () => void,
    private readonly longestMs: number,
  ) {}

  /** Schedules a call at this time, by `performance.now()`; `Infinity` schedules none. */
  schedule(at: number, now: number): void {
    if (at >= this.at) return;
    clearTimeout(this.timer);
    this.at = at;
    const call = (): void => {
      this.at = Infinity;
      this.callback();
    };
    this.timer = setTimeout(call, Math.min(Math.max(1, at - now), this.longestMs));
  }

  stop(): void {
    clearTimeout(this.timer);
  }
}
