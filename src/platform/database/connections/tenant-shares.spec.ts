import { Unavailable } from '../../errors';
import { TenantShares } from './tenant-shares';

describe('shares of the pool', () => {
  beforeEach(() => jest.useFakeTimers());
  afterEach(() => jest.useRealTimers());

  it('give a tenant half of the connections, and every other tenant its own half', async () => {
    const shares = new TenantShares(7);
    const taken = Array.from({ length: 5 }, () => shares.take('a'));
    expect(taken.map((turn) => turn === undefined)).toEqual([true, true, true, true, false]);
    expect(shares.take('b')).toBeUndefined();
    shares.end('a');
    await Promise.resolve(taken[4]);
  });

  it('are handed on in the order of asking', async () => {
    const shares = new TenantShares(3);
    void shares.take('a');
    void shares.take('a');
    const order: number[] = [];
    const waiting = [1, 2, 3].map(async (n) => {
      await shares.take('a');
      order.push(n);
    });
    shares.end('a');
    await waiting[0];
    shares.end('a');
    await waiting[1];
    shares.end('a');
    await waiting[2];
    expect(order).toEqual([1, 2, 3]);
    for (let i = 0; i < 2; i++) shares.end('a');
    expect(shares.take('a')).toBeUndefined();
  });

  it('are waited for within a bound of time and of number', async () => {
    const shares = new TenantShares(3);
    void shares.take('a');
    void shares.take('a');
    const late = expect(shares.take('a')).rejects.toThrow(Unavailable);
    await jest.advanceTimersByTimeAsync(5_000);
    await late;
    const waiting = Array.from({ length: 1_000 }, async () => shares.take('a'));
    const settled = Promise.allSettled(waiting);
    await expect(shares.take('a')).rejects.toThrow(Unavailable);
    await jest.advanceTimersByTimeAsync(5_000);
    await settled;
    // A waiter that gave up has no slot to pass on.
    shares.end('a');
    expect(shares.take('a')).toBeUndefined();
  });

  it('are none in a pool that is too small for them', () => {
    const shares = new TenantShares(2);
    expect(Array.from({ length: 5 }, () => shares.take('a'))).toEqual(Array(5).fill(undefined));
  });
});
