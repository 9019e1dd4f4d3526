import { shardOf } from './tenant-shard';

/** So long a response of the session that holds the locks counts; it is asked every second. */
const CONFIRMED_FOR_MS = 3_000;

/** The shards that this process works for at the moment. */
export class OwnedShards {
  private readonly owned = new Set<number>();
  private confirmedUntil = Infinity;

  /** @param count the number of all shards, of this process or another one */
  constructor(readonly count: number) {}

  /** Whether this process works for the tenant. */
  owns(tenantId: string): boolean {
    return this.owned.has(shardOf(tenantId, this.count));
  }

  /** The session that holds the locks was alive at this time (`performance.now()`). */
  confirm(at: number): void {
    this.confirmedUntil = at + CONFIRMED_FOR_MS;
  }

  /**
   * Whether the ownership was confirmed a moment ago. A process that stood still may have lost its locks: another one
   * works for the shards, and this one begins nothing for them before its session has responded.
   */
  get isConfirmed(): boolean {
    return performance.now() < this.confirmedUntil;
  }

  has(shard: number): boolean {
    return this.owned.has(shard);
  }

  /** The shards, the lowest first. */
  all(): number[] {
    return [...this.owned].sort((a, b) => a - b);
  }

  get size(): number {
    return this.owned.size;
  }

  add(shards: readonly number[]): void {
    for (const shard of shards) this.owned.add(shard);
  }

  remove(shards: readonly number[]): void {
    for (const shard of shards) this.owned.delete(shard);
  }
}
