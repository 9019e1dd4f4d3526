/** The timing of a batch: see {@link Batcher}. */
export interface BatchOptions {
  /** Maximum items of a batch. */
  limit: number;
  /** The least time between the starts of two batches of one key, milliseconds. */
  interval?: number;
  /** So many items do not wait for the end of the interval; default: the limit. */
  enough?: number;
}

/** How long the first item of a batch waits for others, for each item of any key in flight; milliseconds. */
const DELAY_PER_ITEM_MS = 0.3;

/**
 * Runs one call for many items: items that arrive during a batch of the same key, or within the interval from its
 * start, form the next batch. An idle batcher sends at once; under load it waits up to `interval` to fill the batch.
 */
export class Batcher<I, O> {
  private readonly queues = new Map<string, Pending<I, O>>();
  private inFlight = 0;
  private readonly options: Required<BatchOptions>;

  /** @param run returns one result for each item, in order; its failure is the failure of all items */
  constructor(
    private readonly run: (key: string, items: I[]) => Promise<O[]>,
    options: BatchOptions,
  ) {
    this.options = { interval: 0, enough: options.limit, ...options };
  }

  submit(key: string, item: I): Promise<O> {
    let queue = this.queues.get(key);
    if (!queue) {
      const delay = Math.min(this.options.interval, this.inFlight * DELAY_PER_ITEM_MS);
      queue = {
        waiting: [],
        isRunning: false,
        notBefore: performance.now() + delay,
        timer: undefined,
        immediate: undefined,
      };
      this.queues.set(key, queue);
    }
    this.inFlight++;
    const { waiting } = queue;
    const result = new Promise<O>((resolve, reject) => waiting.push({ item, resolve, reject }));
    this.schedule(key, queue);
    return result;
  }

  /** Schedules the next batch; the end of the current one calls this again. */
  private schedule(key: string, queue: Pending<I, O>): void {
    if (queue.isRunning) return;
    const milliseconds = queue.waiting.length >= this.options.enough ? 0 : queue.notBefore - performance.now();
    if (milliseconds >= 1) {
      queue.timer ??= setTimeout(() => this.begin(key, queue), milliseconds);
      return;
    }
    // Items of the same turn of the event loop form one batch.
    queue.immediate ??= setImmediate(() => this.begin(key, queue));
  }

  private begin(key: string, queue: Pending<I, O>): void {
    clearTimeout(queue.timer);
    clearImmediate(queue.immediate);
    queue.timer = queue.immediate = undefined;
    if (queue.waiting.length === 0) {
      this.queues.delete(key);
      return;
    }
    queue.notBefore = performance.now() + this.options.interval;
    const batch = queue.waiting.splice(0, this.options.limit);
    queue.isRunning = true;
    void this.settle(key, batch).then(() => {
      queue.isRunning = false;
      this.inFlight -= batch.length;
      this.schedule(key, queue);
    });
  }

  private async settle(key: string, batch: readonly Waiting<I, O>[]): Promise<void> {
    try {
      const results = await this.run(
        key,
        batch.map((entry) => entry.item),
      );
      batch.forEach((entry, index) => entry.resolve(results[index] as O));
    } catch (error) {
      for (const entry of batch) entry.reject(error);
    }
  }
}

/** The items of one key. */
interface Pending<I, O> {
  waiting: Waiting<I, O>[];
  /** Whether a batch is in flight. */
  isRunning: boolean;
  /** The earliest start of the next batch, by `performance.now()`, unless enough items wait before. */
  notBefore: number;
  timer: NodeJS.Timeout | undefined;
  immediate: NodeJS.Immediate | undefined;
}

interface Waiting<I, O> {
  item: I;
  resolve: (result: O) => void;
  reject: (error: unknown) => void;
}
