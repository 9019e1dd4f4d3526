import { timeOf } from '../../../../test/harness/timing';
import { loadConfig } from '../../config/config';
import { RateLimiter } from './rate-limit';

const KEYS = 100_000;

describe('the rate limiter of a process', () => {
  const limit = { name: 'address', burst: 10, perSecond: 0.01 };
  const newLimiter = (): RateLimiter => new RateLimiter(loadConfig({ JWT_SECRET: 'x'.repeat(32) }));

  afterEach(() => jest.restoreAllMocks());

  it('takes a new key at once where every bucket is in debt', () => {
    const limiter = newLimiter();
    const take = (from: number, to: number): void => {
      for (let i = from; i < to; i++) void limiter.take(limit, String(i));
    };
    const room = timeOf(() => take(0, KEYS));
    const full = timeOf(() => take(KEYS, 2 * KEYS));
    // A walk of the whole map costs some milliseconds for each key: minutes in all.
    expect(full).toBeLessThan(20 * room + 1_000);
  });

  it('remembers a bucket in debt among a few thousand newer ones', () => {
    const limiter = newLimiter();
    for (let i = 0; i < 10; i++) void limiter.take(limit, 'a');
    for (let i = 0; i < 5_000; i++) void limiter.take(limit, String(i));
    expect(limiter.take(limit, 'a')).toMatchObject({ allowed: false });
  });

  it('charges the additional cost of a request, down to an empty bucket', () => {
    const limiter = newLimiter();
    expect(limiter.take(limit, 'a', 4)).toMatchObject({ allowed: true, remaining: 6 });
    limiter.charge(limit, 'a', 1_000);
    expect(limiter.take(limit, 'a')).toMatchObject({ allowed: false, remaining: 0 });
    expect(limiter.take(limit, 'b', 50)).toMatchObject({ allowed: true, remaining: 0 });
  });

  it('does not look at the wall clock', () => {
    const limiter = newLimiter();
    void limiter.take(limit, 'a');
    const now = Date.now();
    jest.spyOn(Date, 'now').mockReturnValue(now - 3_600_000);
    expect(limiter.take(limit, 'a')).toMatchObject({ allowed: true, remaining: 8 });
    jest.spyOn(Date, 'now').mockReturnValue(now + 3_600_000);
    expect(limiter.take(limit, 'a')).toMatchObject({ allowed: true, remaining: 7 });
  });
});
