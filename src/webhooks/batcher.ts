/** When a batch goes: see {@link Batcher}. */
export interface BatchOptions {
  /** Items of a batch at most. */
  limit: number;
  /** The least time between the beginnings of two batches of one key, milliseconds. */
  interval?: number;
  /** So many do not wait for the interval's end; the limit where it is left out. */
  enough?: number;
}

/**
 * Runs one call for many: what is asked for while a batch of the same key is under way, or within the interval from its
 * beginning, waits and goes together with the rest as the next one. Alone, an item goes at once.
 */
export class Batcher<I, O> {
  private readonly queues = new Map<string, Pending<I, O>>();

  /** @param run gives one result for each item, in order; its failure is that of all of its items */
  constructor(
    private readonly run: (key: string, items: I[]) => Promise<O[]>,
    private readonly options: BatchOptions,
  ) {}

  submit(key: string, item: I): Promise<O> {
    return new Promise((resolve, reject) => {
      const entry = { item, resolve, reject };
      const queue = this.queues.get(key);
      if (queue) {
        queue.waiting.push(entry);
        if (queue.waiting.length >= this.enough) queue.wake?.();
        return;
      }
      this.queues.set(key, { waiting: [entry] });
      // What is asked for in the same turn of the event loop goes along.
      setImmediate(() => void this.drain(key));
    });
  }

  private get enough(): number {
    return this.options.enough ?? this.options.limit;
  }

  private async drain(key: string): Promise<void> {
    const queue = this.queues.get(key) as Pending<I, O>;
    while (queue.waiting.length > 0) {
      const again = performance.now() + (this.options.interval ?? 0);
      const batch = queue.waiting.splice(0, this.options.limit);
      try {
        const results = await this.run(
          key,
          batch.map((entry) => entry.item),
        );
        batch.forEach((entry, index) => entry.resolve(results[index] as O));
      } catch (error) {
        for (const entry of batch) entry.reject(error);
      }
      await this.gather(queue, again - performance.now());
    }
    this.queues.delete(key);
  }

  /** Waits for as long, or until enough are there. */
  private async gather(queue: Pending<I, O>, milliseconds: number): Promise<void> {
    if (milliseconds <= 0 || queue.waiting.length >= this.enough) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      queue.wake = () => {
        clearTimeout(timer);
        setImmediate(resolve);
      };
    });
    queue.wake = undefined;
  }
}

/** What is asked for of one key. */
interface Pending<I, O> {
  waiting: Waiting<I, O>[];
  /** Ends the wait for more. */
  wake?: (() => void) | undefined;
}

interface Waiting<I, O> {
  item: I;
  resolve: (result: O) => void;
  reject: (error: unknown) => void;
}
