import { AdaptiveConcurrency, type ConsumerControl } from './adaptive-concurrency';

const AT_HAND = 192;
const MOST = 400;

describe('intake', () => {
  let out: number;
  let woken: number;
  let taker: ConsumerControl;
  let intake: AdaptiveConcurrency;

  beforeEach(() => {
    jest.useFakeTimers();
    out = woken = 0;
    taker = {
      concurrency: 0,
      pause: async () => undefined,
      resume: async () => void woken++,
    };
    intake = new AdaptiveConcurrency(taker, MOST, () => out);
  });
  afterEach(() => {
    intake.stop();
    jest.useRealTimers();
  });

  const begin = (count: number): void => {
    for (let i = 0; i < count; i++) intake.began();
  };
  const pass = (milliseconds: number): Promise<void> => jest.advanceTimersByTimeAsync(milliseconds);

  it('begins with as many as a worker has at hand, and no more than it may have at all', () => {
    expect(taker.concurrency).toBe(AT_HAND);
    const small = { ...taker };
    new AdaptiveConcurrency(small, 8, () => 0);
    expect(small.concurrency).toBe(8);
  });

  it('takes one more for each that waits for its receiver, up to the bound', async () => {
    begin(AT_HAND);
    out = 100;
    await pass(30);
    expect(taker.concurrency).toBe(AT_HAND + 100);
    out = 1_000;
    await pass(30);
    expect(taker.concurrency).toBe(MOST);
    out = 3;
    await pass(30);
    expect(taker.concurrency).toBe(AT_HAND + 3);
  });

  it('has the worker look once where all hang, and not again for nothing', async () => {
    begin(AT_HAND);
    out = AT_HAND;
    await pass(500);
    expect(woken).toBe(1);
    begin(AT_HAND);
    out = 2 * AT_HAND;
    await pass(500);
    expect(woken).toBe(2);
  });

  it('leaves a worker alone that sees by itself what it may take, since deliveries end', async () => {
    begin(AT_HAND);
    for (out = 1; out < 40; out++) {
      intake.ended();
      intake.began();
      await pass(20);
    }
    expect(taker.concurrency).toBeGreaterThan(AT_HAND);
    expect(woken).toBe(0);
  });

  it('keeps no timer once there is less to do, nor after it was stopped', async () => {
    begin(AT_HAND);
    expect(jest.getTimerCount()).toBe(1);
    intake.ended();
    await pass(30);
    expect(jest.getTimerCount()).toBe(0);
    begin(1);
    intake.stop();
    begin(AT_HAND);
    expect(jest.getTimerCount()).toBe(0);
  });
});
