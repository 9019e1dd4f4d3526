import { JobLease } from './job-lease';

const LOCK_MS = 4_000;

describe('the lease of a job', () => {
  beforeEach(() => void jest.useFakeTimers());
  afterEach(() => void jest.useRealTimers());

  const lease = (extend: () => Promise<boolean>, takenAgo = 0) => new JobLease(Date.now() - takenAgo, LOCK_MS, extend);

  it('is held while its lock lasts, with a margin, and costs no request', async () => {
    const extend = jest.fn();
    const held = lease(extend);
    jest.advanceTimersByTime(2_900);
    expect([held.isHeld(), await held.ensure()]).toEqual([true, true]);
    jest.advanceTimersByTime(200);
    expect(held.isHeld()).toBe(false);
    expect(extend).not.toHaveBeenCalled();
  });

  it('counts from the request for the job, not from its arrival', () => {
    expect(lease(jest.fn(), 3_100).isHeld()).toBe(false);
  });

  it('is extended by one request for any number of deliveries', async () => {
    const extend = jest.fn().mockResolvedValue(true);
    const late = lease(extend, 5_000);
    expect(await Promise.all([late.ensure(), late.ensure()])).toEqual([true, true]);
    expect([extend.mock.calls.length, late.isHeld()]).toEqual([1, true]);
  });

  it.each([
    ['another worker has the job', () => Promise.resolve(false)],
    ['the queue does not respond', () => Promise.reject(new Error('away'))],
  ])('is lost if %s', async (_, extend) => {
    const lost = lease(extend, 5_000);
    expect([await lost.ensure(), lost.isHeld()]).toEqual([false, false]);
  });

  it('counts as lost to another worker only where the queue says so', async () => {
    const isLost = (extend: () => Promise<boolean>, takenAgo: number) => lease(extend, takenAgo).isLost();
    const refuse = jest.fn().mockResolvedValue(false);
    expect(await isLost(refuse, 0)).toBe(false);
    expect(refuse).not.toHaveBeenCalled();
    expect(await isLost(refuse, 5_000)).toBe(true);
    expect(await isLost(() => Promise.reject(new Error('away')), 5_000)).toBe(false);
    expect(await isLost(() => Promise.resolve(true), 5_000)).toBe(false);
  });

  it('asks no more once it is lost: each delivery of the job would ask again', async () => {
    const extend = jest.fn().mockResolvedValue(false);
    const lost = lease(extend, 5_000);
    expect([await lost.isLost(), await lost.isLost(), await lost.ensure()]).toEqual([true, true, false]);
    expect(extend).toHaveBeenCalledTimes(1);
  });

  it('is lost if the extension took as long as the lock', async () => {
    const late = lease(async () => {
      jest.advanceTimersByTime(3_500);
      return true;
    }, 5_000);
    expect(await late.ensure()).toBe(false);
  });

  it('does not outlive a wall clock that steps back, or a monotonic clock that stood still', () => {
    const held = lease(jest.fn());
    jest.setSystemTime(Date.now() + 5_000);
    expect(held.isHeld()).toBe(false);
    const other = lease(jest.fn());
    jest.advanceTimersByTime(3_500);
    jest.setSystemTime(Date.now() - 3_500);
    expect(other.isHeld()).toBe(false);
  });
});
