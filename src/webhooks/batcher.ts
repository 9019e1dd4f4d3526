/**
 * Runs one call for many: what is asked for while a batch of the same key is under way waits and goes together with the
 * rest as the next one. Nobody waits on purpose: alone, an item goes at once.
 */
export class Batcher<I, O> {
  private readonly queues = new Map<string, { waiting: Waiting<I, O>[] }>();

  /**
   * @param run gives one result for each item, in order; its failure is that of all of its items
   * @param limit items of a batch at most
   */
  constructor(
    private readonly run: (key: string, items: I[]) => Promise<O[]>,
    private readonly limit: number,
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
    }
    this.queues.delete(key);
  }
}

interface Waiting<I, O> {
  item: I;
  resolve: (result: O) => void;
  reject: (error: unknown) => void;
}
