import { Unavailable } from '../../errors';

/** Transactions of one tenant that may wait for its share, and how long one waits. */
const MAX_WAITING = 1_000;
const MAX_WAIT_MS = 5_000;

interface Waiting {
  admit(): void;
}

interface Share {
  used: number;
  waiting: Set<Waiting>;
}

/**
 * Shares of the connection pool: one tenant holds so many connections and no more, and its other transactions wait in
 * the order they came. So the pool has a connection for the next tenant, also while the statements of one take long.
 */
export class TenantShares {
  private readonly shares = new Map<string, Share>();
  private readonly limit: number;

  /** @param poolSize connections of the pool; a pool of two or fewer has none to keep back */
  constructor(poolSize: number) {
    this.limit = poolSize <= 2 ? Infinity : Math.ceil(poolSize / 2);
  }

  /**
   * Takes one connection of the tenant's share; {@link release} returns it. Synchronous while there is room.
   * @throws Unavailable if too many wait, or one waits too long
   */
  acquire(tenantId: string): Promise<void> | undefined {
    const share = this.shares.get(tenantId);
    if (!share) {
      this.shares.set(tenantId, { used: 1, waiting: new Set() });
      return undefined;
    }
    if (share.used < this.limit) {
      share.used++;
      return undefined;
    }
    return this.wait(share);
  }

  /** Hands the place to the transaction of the tenant that waits the longest. */
  release(tenantId: string): void {
    const share = this.shares.get(tenantId);
    if (!share) return;
    const [next] = share.waiting;
    if (next) {
      share.waiting.delete(next);
      next.admit();
    } else if (--share.used === 0) {
      this.shares.delete(tenantId);
    }
  }

  private async wait(share: Share): Promise<void> {
    if (share.waiting.size >= MAX_WAITING) throw new Unavailable('too many transactions of the tenant wait');
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        share.waiting.delete(waiting);
        reject(new Unavailable("no connection of the tenant's share became free in time"));
      }, MAX_WAIT_MS);
      const waiting: Waiting = {
        admit: () => {
          clearTimeout(timer);
          resolve();
        },
      };
      share.waiting.add(waiting);
    });
  }
}
