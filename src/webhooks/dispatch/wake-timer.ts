/** Calls back once, at the earliest of the times that it was asked for. */
export class WakeTimer {
  private at = Infinity;
  private timer?: NodeJS.Timeout;

  /** @param longestMs the longest wait, whatever it was asked for */
  constructor(
    private readonly wake: () => void,
    private readonly longestMs: number,
  ) {}

  /** Asks for a call at this time, by `performance.now()`; `Infinity` asks for none. */
  plan(at: number, now: number): void {
    if (at >= this.at) return;
    clearTimeout(this.timer);
    this.at = at;
    const wake = (): void => {
      this.at = Infinity;
      this.wake();
    };
    this.timer = setTimeout(wake, Math.min(Math.max(1, at - now), this.longestMs));
  }

  stop(): void {
    clearTimeout(this.timer);
  }
}
