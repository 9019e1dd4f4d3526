import { Unavailable } from '../../errors';
import { TenantShares } from './tenant-shares';

describe('shares of the pool', () => {
  beforeEach(() => jest.useFakeTimers());
  afterEach(() => jest.useRealTimers());

  it('give a tenant half of the connections, and every other tenant its own half', async () => {
    const shares = new TenantShares(7);
    const taken = Array.from({ length: 5 }, () => shares.acquire('a'));
    expect(taken.map((turn) => turn === undefined)).toEqual([true, true, true, true, false]);
    expect(shares.acquire('b')).toBeUndefined();
    shares.release('a');
    await Promise.resolve(taken[4]);
  });

  it('are handed on in the order of asking', async () => {
    const shares = new TenantShares(3);
    void shares.acquire('a');
    void shares.acquire('a');
    const order: number[] = [];
    const waiting = [1, 2, 3].map(async (n) => {
      await shares.acquire('a');
      order.push(n);
    });
    shares.release('a');
    await waiting[0];
    shares.release('a');
    await waiting[1];
    shares.release('a');
    await waiting[2];
    expect(order).toEqual([1, 2, 3]);
    for (let i = 0; i < 2; i++) shares.release('a');
    expect(shares.acquire('a')).toBeUndefined();
  });

  it('are waited for within a bound of time and of number', async () => {
    const shares = new TenantShares(3);
    void shares.acquire('a');
    void shares.acquire('a');
    const late = expect(shares.acquire('a')).rejects.toThrow(Unavailable);
    await jest.advanceTimersByTimeAsync(5_000);
    await late;
    const waiting = Array.from({ length: 1_000 }, async () => shares.acquire('a'));
    const settled = Promise.allSettled(waiting);
    await expect(shares.acquire('a')).rejects.toThrow(Unavailable);
    await jest.advanceTimersByTimeAsync(5_000);
    await settled;
    // A waiter that gave up has no slot to pass on.
    shares.release('a');
    expect(shares.acquire('a')).toBeUndefined();
  });

  it('are none in a pool that is too small for them', () => {
    const shares = new TenantShares(2);
    expect(Array.from({ length: 5 }, () => shares.acquire('a'))).toEqual(Array(5).fill(undefined));
  });
});
