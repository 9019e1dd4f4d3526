import { AdaptiveConcurrency, type Consumption, type ConsumerControl } from './adaptive-concurrency';

const MAX_LOCAL = 192;
const MOST = 400;
const TURN = 32;

describe('adaptive concurrency', () => {
  let out: number;
  let woken: number;
  let control: ConsumerControl;
  let concurrency: AdaptiveConcurrency;
  let consumption: Consumption;

  const newControl = (): ConsumerControl => ({
    concurrency: 1,
    pause: async () => undefined,
    resume: async () => void woken++,
  });

  beforeEach(() => {
    jest.useFakeTimers();
    out = woken = 0;
    control = newControl();
    concurrency = new AdaptiveConcurrency(MOST, () => out);
    consumption = concurrency.add(control);
  });
  afterEach(() => {
    concurrency.stop();
    jest.useRealTimers();
  });

  /** Takes jobs as BullMQ does: one after the other, while it may. */
  const takeJobs = (deliveries: number, from = 0): number => {
    let jobs = from;
    for (; jobs < control.concurrency && jobs < MOST; jobs++) consumption.beginJob(deliveries);
    return jobs;
  };
  const pass = (milliseconds: number): Promise<void> => jest.advanceTimersByTimeAsync(milliseconds);

  it.each([1, 5, TURN])('counts deliveries, in jobs of %i', (deliveries) => {
    const jobs = takeJobs(deliveries);
    expect(jobs * deliveries).toBeGreaterThanOrEqual(MAX_LOCAL);
    expect(jobs * deliveries).toBeLessThan(MAX_LOCAL + deliveries);
  });

  it('never exceeds its bound by more than the rest of a turn', () => {
    concurrency = new AdaptiveConcurrency(8, () => 0);
    consumption = concurrency.add(control);
    expect(takeJobs(3) * 3).toBe(9);
  });

  it('shares its bound among the queues', () => {
    const other = newControl();
    const ofOther = concurrency.add(other);
    expect(other.concurrency).toBe(MAX_LOCAL / TURN);
    for (let jobs = 0; jobs < 5; jobs++) consumption.beginJob(TURN);
    expect([control.concurrency, other.concurrency]).toEqual([6, 1]);
    ofOther.beginJob(TURN);
    expect([control.concurrency, other.concurrency]).toEqual([5, 1]);
  });

  it('allows another delivery after each end of a delivery, before the end of its job', () => {
    takeJobs(TURN);
    expect(control.concurrency).toBe(6);
    consumption.endDelivery();
    expect(control.concurrency).toBe(7);
    for (let i = 0; i < TURN; i++) consumption.endDelivery();
    expect(control.concurrency).toBe(8);
    consumption.endJob(0);
    expect(control.concurrency).toBe(7);
  });

  it('releases the deliveries of a job that has ended without them', () => {
    takeJobs(TURN);
    consumption.endJob(TURN);
    expect(control.concurrency).toBe(6);
  });

  it('allows one more for each delivery that waits for its receiver, up to the bound', async () => {
    takeJobs(TURN);
    const room = async (waiting: number): Promise<number> => {
      out = waiting;
      await pass(30);
      return control.concurrency - MAX_LOCAL / TURN;
    };
    expect(await room(0)).toBe(0);
    expect(await room(100)).toBe(4);
    expect(await room(1_000)).toBe(7); // 400 - 192
    expect(await room(3)).toBe(1);
  });

  it('makes the worker read its concurrency once while all deliveries hang, and not again without a change', async () => {
    const jobs = takeJobs(TURN);
    out = MAX_LOCAL;
    await pass(500);
    expect(woken).toBe(1);
    const more = takeJobs(TURN, jobs);
    expect(more).toBe(2 * jobs);
    out = 2 * MAX_LOCAL;
    await pass(500);
    expect(woken).toBe(2);
    expect(takeJobs(TURN, more)).toBe(Math.ceil(MOST / TURN));
    await pass(500);
    expect(woken).toBe(2);
  });

  it('makes the worker read its concurrency when deliveries end and their jobs do not', async () => {
    takeJobs(TURN);
    await pass(100);
    expect(woken).toBe(0);
    for (let i = 0; i < 5; i++) consumption.endDelivery();
    await pass(100);
    expect(woken).toBe(1);
  });

  it('does not interfere while jobs end, because the worker then reads its concurrency', async () => {
    takeJobs(TURN);
    for (out = 1; out < 40; out++) {
      consumption.endJob(TURN);
      consumption.beginJob(TURN);
      await pass(20);
    }
    expect(control.concurrency).toBeGreaterThan(MAX_LOCAL / TURN);
    expect(woken).toBe(0);
  });

  it('keeps no timer below the bound, nor after a stop', async () => {
    takeJobs(TURN);
    expect(jest.getTimerCount()).toBe(1);
    consumption.endJob(TURN);
    await pass(60);
    expect(jest.getTimerCount()).toBe(0);
    consumption.beginJob(TURN);
    concurrency.stop();
    consumption.beginJob(TURN);
    expect(jest.getTimerCount()).toBe(0);
  });
});
