import { RateLimited } from '../../platform/errors';

interface Queue {
  running: number;
  waiting: (() => void)[];
}

/** Admits a few at a time of each key; the others wait in order. */
export class KeyedMutex {
  private readonly queues = new Map<string, Queue>();

  constructor(
    private readonly maxRunning: number,
    private readonly maxWaiting: number,
  ) {}

  /** Waits for a slot, and returns the function that releases it. @throws RateLimited when too many wait */
  async acquire(key: string): Promise<() => void> {
    const queue = this.queues.get(key) ?? { running: 0, waiting: [] };
    this.queues.set(key, queue);
    if (queue.running < this.maxRunning) {
      queue.running++;
    } else {
      if (queue.waiting.length >= this.maxWaiting) throw new RateLimited('Too many sign-ins at once; try again.', 1);
      await new Promise<void>((resolve) => queue.waiting.push(resolve));
    }
    return () => this.release(key, queue);
  }

  /** The slot goes to the next in line, or becomes free. */
  private release(key: string, queue: Queue): void {
    const next = queue.waiting.shift();
    if (next) next();
    else if (--queue.running === 0) this.queues.delete(key);
  }
}
