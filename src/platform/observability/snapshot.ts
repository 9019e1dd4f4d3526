import { withDeadline } from '../deadline';

/**
 * A value that costs a query, for gauges: it is read at a scrape, once for concurrent scrapes, and not again for a
 * while, so that the load of scraping is bounded. A late value is `undefined`.
 */
export class Snapshot<T> {
  private current?: { at: number; value: Promise<T | undefined> };

  constructor(
    private readonly read: () => Promise<T>,
    private readonly options: { keepMs: number; deadlineMs: number; onError: (error: Error) => void },
  ) {}

  get(): Promise<T | undefined> {
    const now = performance.now();
    if (this.current && now - this.current.at < this.options.keepMs) return this.current.value;
    this.current = { at: now, value: this.readInTime() };
    return this.current.value;
  }

  private async readInTime(): Promise<T | undefined> {
    const { deadlineMs, onError } = this.options;
    try {
      return await withDeadline(this.read(), deadlineMs, () => new Error(`not known within ${deadlineMs} ms`));
    } catch (error) {
      onError(error as Error);
      return undefined;
    }
  }
}
