import { inEvenTime } from './even-time';

describe('even time', () => {
  beforeEach(() => jest.useFakeTimers());
  afterEach(() => jest.useRealTimers());

  /** When the work settles, milliseconds after its start. */
  async function settledAt(hides: 'result' | 'failure', duration: number, fails = false): Promise<number> {
    const start = performance.now();
    const work = inEvenTime(hides, async () => {
      await new Promise((resolve) => setTimeout(resolve, duration));
      if (fails) throw new Error('refused');
    });
    let end = NaN;
    const settled = work.then(
      () => (end = performance.now()),
      () => (end = performance.now()),
    );
    await jest.advanceTimersByTimeAsync(1_000);
    await settled;
    expect(jest.getTimerCount()).toBe(0);
    return end - start;
  }

  it.each([1, 40, 99])('ends work of %d ms at the first step', async (duration) => {
    expect(await settledAt('result', duration)).toBe(100);
    expect(await settledAt('result', duration, true)).toBe(100);
    expect(await settledAt('failure', duration, true)).toBe(100);
  });

  it('ends longer work at its next step', async () => {
    expect(await settledAt('result', 101)).toBe(200);
    expect(await settledAt('failure', 350, true)).toBe(400);
  });

  it('ends a success at once where only failures are hidden', async () => {
    expect(await settledAt('failure', 40)).toBe(40);
  });
});
