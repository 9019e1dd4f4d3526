import { DatabaseClock } from './database-clock';

describe('the time of the database', () => {
  it('is that of the machine at first', () => {
    expect(Math.abs(new DatabaseClock().now() - Date.now())).toBeLessThan(1_000);
  });

  it('follows the database, whose time is that of the middle of the round trip', () => {
    const clock = new DatabaseClock();
    const asked = performance.now();
    const time = Date.now() + 30_000;
    clock.observe(time, asked, asked + 10);
    expect(Math.abs(clock.now() - (performance.now() - asked - 5) - time)).toBeLessThan(0.001);
  });

  it('does not change within the uncertainty of a slow round trip', () => {
    const clock = new DatabaseClock();
    const ahead = (ms: number, tookMs: number): number => {
      const now = performance.now();
      clock.observe(clock.now() + ms, now - tookMs / 2, now + tookMs / 2);
      return clock.now() - performance.now();
    };
    const before = ahead(0, 1);
    expect(ahead(80, 100)).toBeCloseTo(before, 3);
    expect(ahead(120, 100)).toBeCloseTo(before + 120, 0);
  });

  it('does not step with the clock of the machine', () => {
    const clock = new DatabaseClock();
    const before = clock.now();
    jest.useFakeTimers({ now: Date.now() - 3_600_000, doNotFake: ['performance'] });
    try {
      expect(clock.now() - before).toBeLessThan(10_000);
      expect(clock.now() - before).toBeGreaterThanOrEqual(0);
    } finally {
      jest.useRealTimers();
    }
  });
});
