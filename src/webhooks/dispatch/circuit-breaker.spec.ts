import { CircuitBreaker } from './circuit-breaker';

function fail(breaker: CircuitBreaker, times: number, from: number, step: number): number {
  let now = from;
  for (let i = 0; i < times; i++, now += step) breaker.recordFailure(now);
  return now - step;
}

describe('CircuitBreaker', () => {
  it('stays closed for 20 failures within less than 30 seconds', () => {
    const breaker = new CircuitBreaker();
    const last = fail(breaker, 20, 1_000, 1_000);
    expect(breaker.isOpen).toBe(false);
    expect(breaker.admit(last)).toBe(true);
  });

  it('stays closed for 19 failures over minutes, and opens with the 20th', () => {
    const breaker = new CircuitBreaker();
    const last = fail(breaker, 19, 0, 10_000);
    expect(breaker.isOpen).toBe(false);
    breaker.recordFailure(last + 1);
    expect(breaker.isOpen).toBe(true);
    expect(breaker.admit(last + 2)).toBe(false);
  });

  it('lets one probe through after the pause, and closes when it succeeds', () => {
    const breaker = new CircuitBreaker();
    const opened = fail(breaker, 20, 0, 2_000);
    expect(breaker.admit(opened + 29_999)).toBe(false);
    expect(breaker.admit(opened + 30_000)).toBe(true);
    expect(breaker.admit(opened + 30_000)).toBe(false);
    breaker.recordSuccess();
    expect(breaker.admit(opened + 30_001)).toBe(true);
    expect(breaker.isOpen).toBe(false);
  });

  it('doubles the pause with each failed probe, up to five minutes', () => {
    const breaker = new CircuitBreaker();
    let now = fail(breaker, 20, 0, 2_000);
    const pauses: number[] = [];
    for (let i = 0; i < 6; i++) {
      const pause = breaker.retryAt - now;
      pauses.push(pause);
      now += pause;
      expect(breaker.admit(now)).toBe(true);
      breaker.recordFailure(now);
    }
    expect(pauses).toEqual([30_000, 60_000, 120_000, 240_000, 300_000, 300_000]);
  });

  it('does not extend the pause for attempts in flight when it opened', () => {
    const breaker = new CircuitBreaker();
    const opened = fail(breaker, 20, 0, 2_000);
    fail(breaker, 10, opened, 1);
    expect(breaker.retryAt).toBe(opened + 30_000);
  });

  it('restarts its count after a success', () => {
    const breaker = new CircuitBreaker();
    fail(breaker, 19, 0, 10_000);
    breaker.recordSuccess();
    fail(breaker, 19, 200_000, 10_000);
    expect(breaker.isOpen).toBe(false);
  });
});
