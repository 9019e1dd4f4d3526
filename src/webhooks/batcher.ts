import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Runs one call for many: what is asked for while a batch of the same key is under way, or within the interval from its
 * beginning, waits and goes together with the rest as the next one. Alone, an item goes at once.
 */
export class Batcher<I, O> {
  private readonly queues = new Map<string, { waiting: Waiting<I, O>[] }>();

  /**
   * @param run gives one result for each item, in order; its failure is that of all of its items
   * @param limit items of a batch at most
   * @param interval the least time between the beginnings of two batches of one key, milliseconds
   */
  constructor(
    private readonly run: (key: string, items: I[]) => Promise<O[]>,
    private readonly limit: number,
    private readonly interval = 0,
  ) {}

  submit(key: string, item: I): Promise<O> {
    return new Promise((resolve, reject) => {
      const entry = { item, resolve, reject };
      const queue = this.queues.get(key);
      if (queue) {
        queue.waiting.push(entry);
        return;
      }
      this.queues.set(key, { waiting: [entry] });
      // What is asked for in the same turn of the event loop goes along.
      setImmediate(() => void this.drain(key));
    });
  }

  private async drain(key: string): Promise<void> {
    const queue = this.queues.get(key) as { waiting: Waiting<I, O>[] };
    while (queue.waiting.length > 0) {
      const again = performance.now() + this.interval;
      const batch = queue.waiting.splice(0, this.limit);
      try {
        const results = await this.run(
          key,
          batch.map((entry) => entry.item),
        );
        batch.forEach((entry, index) => entry.resolve(results[index] as O));
      } catch (error) {
        for (const entry of batch) entry.reject(error);
      }
      const pause = again - performance.now();
      if (pause > 0 && queue.waiting.length < this.limit) await sleep(pause);
    }
    this.queues.delete(key);
  }
}

interface Waiting<I, O> {
  item: I;
  resolve: (result: O) => void;
  reject: (error: unknown) => void;
}
