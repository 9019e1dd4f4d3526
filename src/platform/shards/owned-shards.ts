import { Injectable } from '@nestjs/common';
import { Config } from '../config/config';
import { shardOf, slotOf } from './tenant-shard';

/** The shards that this process works for at the moment. */
@Injectable()
export class OwnedShards {
  /** The number of all shards, of this process or another one. */
  readonly count: number;
  private readonly owned = new Set<number>();

  constructor(config: Pick<Config, 'WEBHOOK_SHARDS'>) {
    this.count = config.WEBHOOK_SHARDS;
  }

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

  /** The shards in ascending order. */
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

/** The slots in a notification; undefined if it names none, and so concerns every shard. */
export function parseSlots(payload: string): number[] | undefined {
  const slots = payload.split(',').map(Number);
  return payload === '' || slots.some(Number.isNaN) ? undefined : slots;
}

/** The payload of a notification for tenants. */
export function formatSlots(tenantIds: Iterable<string>): string {
  return [...new Set([...tenantIds].map(slotOf))].join(',');
}
