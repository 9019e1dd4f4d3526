import { shardOf } from './tenant-shard';

/** The shards that this process works for at the moment. */
export class OwnedShards {
  private readonly owned = new Set<number>();

  /** @param count the number of all shards, of this process or another one */
  constructor(readonly count: number) {}

  /** Whether this process works for the tenant. */
  owns(tenantId: string): boolean {
    return this.owned.has(shardOf(tenantId, this.count));
  }

  /** Whether this process works for one of the slots. */
  ownsAnyOf(slots: readonly number[]): boolean {
    return slots.some((slot) => this.owned.has(slot % this.count));
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
