import { randomUUID } from 'node:crypto';
import { newTimedId } from '../ids/ids';
import { OwnedShards } from './owned-shards';
import { shardOf } from './tenant-shard';

describe('the shard of a tenant', () => {
  it('is in the range, and evenly many tenants are in each', () => {
    for (const shards of [1, 2, 16, 255]) {
      const counts = new Array<number>(shards).fill(0);
      const made = shards * 200;
      for (let i = 0; i < made; i++) {
        const shard = shardOf(i % 2 === 0 ? newTimedId().id : randomUUID(), shards);
        counts[shard] = (counts[shard] ?? NaN) + 1;
      }
      // 200 each: seven standard deviations to both sides.
      expect(Math.min(...counts)).toBeGreaterThan(100);
      expect(Math.max(...counts)).toBeLessThan(shards === 1 ? 201 : 300);
    }
  });

  it('is owned or not', () => {
    const owned = new OwnedShards(16);
    const tenant = '00000000-0000-7000-8000-0000000000f3';
    owned.add([5, 3]);
    expect([owned.owns(tenant), owned.has(5), owned.has(4), owned.size]).toEqual([true, true, false, 2]);
    expect(owned.all()).toEqual([3, 5]);
    owned.remove([3]);
    expect([owned.owns(tenant), owned.has(5), owned.size]).toEqual([false, true, 1]);
  });
});

describe('the ownership of shards', () => {
  beforeEach(() => jest.useFakeTimers());
  afterEach(() => jest.useRealTimers());

  it('counts for some checks after a confirmation, and no longer', () => {
    const owned = new OwnedShards(16);
    owned.add([1]);
    owned.confirm(performance.now());
    jest.advanceTimersByTime(2_900);
    expect(owned.isConfirmed).toBe(true);
    jest.advanceTimersByTime(200);
    expect([owned.isConfirmed, owned.has(1)]).toEqual([false, true]);
    // A response to a question from before the pause says nothing about the time after it.
    owned.confirm(performance.now() - 5_000);
    expect(owned.isConfirmed).toBe(false);
    owned.confirm(performance.now());
    expect(owned.isConfirmed).toBe(true);
  });
});
