import { RequestSlots, type SlotRequest } from './request-slots';

const MIB = 1024 * 1024;

describe('slots of requests', () => {
  let slots: RequestSlots;
  const dropped: SlotRequest[] = [];

  beforeEach(() => {
    jest.useFakeTimers();
    dropped.length = 0;
    slots = new RequestSlots(32 * MIB, 2_000);
  });
  afterEach(() => jest.useRealTimers());

  const request = (tenantId: string, bodyBytes: number, arriving = false): SlotRequest => {
    const made: SlotRequest = {
      tenantId,
      bodyBytes,
      isArriving: () => arriving,
      drop: () => {
        dropped.push(made);
        slots.release(made);
      },
    };
    return made;
  };
  const enter = (count: number, tenantId: string, bodyBytes: number): [SlotRequest, boolean][] =>
    Array.from({ length: count }, () => {
      const made = request(tenantId, bodyBytes);
      return [made, slots.acquire(made) === undefined];
    });
  const admitted = (entered: [SlotRequest, boolean][]): number => entered.filter(([, atOnce]) => atOnce).length;

  it('let a tenant have 16 requests at once, and others as many', () => {
    expect(admitted(enter(30, 'a', 20_000))).toBe(16);
    expect(admitted(enter(30, 'b', 20_000))).toBe(16);
  });

  it('give free slots to the waiting requests, in order', async () => {
    const running = enter(16, 'a', 20_000);
    const order: number[] = [];
    const waiting = [0, 1, 2].map(async (n) => {
      const lack = await slots.acquire(request('a', 20_000));
      order.push(lack ? -1 : n);
    });
    for (const [made] of running.slice(0, 2)) slots.release(made);
    await Promise.all(waiting.slice(0, 2));
    expect(order).toEqual([0, 1]);
    await jest.advanceTimersByTimeAsync(2_000);
    expect(order).toEqual([0, 1, -1]);
    expect(slots.size).toBe(0);
  });

  it('bound the bytes of a tenant to half of all, and those of all', async () => {
    expect(admitted(enter(3, 'a', 8 * MIB))).toBe(2);
    expect(admitted(enter(3, 'b', 8 * MIB))).toBe(2);
    const large = slots.acquire(request('c', 8 * MIB));
    expect(slots.acquire(request('d', 20_000))).toBeUndefined();
    await jest.advanceTimersByTimeAsync(2_000);
    expect(await large).toBe('process');
  });

  it('let a single body in that is larger than the share', () => {
    slots = new RequestSlots(1 * MIB, 2_000);
    expect(slots.acquire(request('a', 8 * MIB))).toBeUndefined();
  });

  it('drop a body that does not arrive for one that waits, of the tenant with the most', async () => {
    const slow = [request('a', 8 * MIB, true), request('a', 8 * MIB, true), request('b', 8 * MIB, true)];
    for (const made of [...slow, request('c', 8 * MIB)]) expect(slots.acquire(made)).toBeUndefined();
    await jest.advanceTimersByTimeAsync(1_900);
    const waits = slots.acquire(request('d', 8 * MIB));
    await jest.advanceTimersByTimeAsync(500);
    expect(await waits).toBeUndefined();
    expect(dropped).toEqual([slow[0]]);
  });

  it('keep places for other tenants while many wait', () => {
    for (let i = 0; i < 6; i++) enter(1_100, `greedy-${i}`, 20_000);
    expect(slots.size).toBeLessThan(4_096);
    enter(16, 'late', 20_000);
    const before = slots.size;
    enter(1, 'late', 20_000);
    expect(slots.size).toBe(before + 1);
  });

  it('forget a request that left while it waited', async () => {
    const running = enter(16, 'a', 20_000);
    const gone = request('a', 20_000);
    const waits = slots.acquire(gone);
    slots.release(gone);
    expect(await waits).toBe('tenant');
    for (const [made] of running) slots.release(made);
    slots.release(gone);
    expect(admitted(enter(17, 'a', 20_000))).toBe(16);
  });
});
