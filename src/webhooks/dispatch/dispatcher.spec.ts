import pino from 'pino';
import type { DueDelivery, Turn } from '../notifications/delivery-job';
import { Dispatcher, type DispatcherOptions } from './dispatcher';
import type { Offer } from './tenant-queues';

const COLLECT_MS = 0;

describe('the dispatcher', () => {
  let added: DueDelivery[];
  let turns: Turn[];
  let dispatcher: Dispatcher;

  type Queue = DispatcherOptions['queue'];
  const queueOf = (change: Partial<Queue> = {}): Queue => ({
    add: async (given) => {
      turns.push(...given);
      added.push(...given.flatMap(({ deliveries }) => deliveries));
    },
    collectMs: COLLECT_MS,
    missing: async () => [],
    turns: async () => [],
    ...change,
  });
  const newDispatcher = (change: Partial<DispatcherOptions> = {}): Dispatcher =>
    new Dispatcher({
      queue: queueOf(),
      reader: { refill: () => undefined, nextAttempt: async () => undefined },
      findWaiting: async () => [],
      isOwned: () => true,
      capacity: 512,
      logger: pino({ level: 'silent' }),
      ...change,
    });
  const restart = async (change: Partial<DispatcherOptions>): Promise<void> => {
    dispatcher.stop();
    dispatcher = newDispatcher(change);
    dispatcher.start();
    void dispatcher.takeOver(() => true);
    await turnsOfTheLoop();
  };

  beforeEach(async () => {
    added = [];
    turns = [];
    dispatcher = newDispatcher();
    dispatcher.start();
    void dispatcher.takeOver(() => true);
    await turnsOfTheLoop();
  });
  afterEach(() => dispatcher.stop());

  /** Enough for all that needs no timer, however slow the machine is. */
  const turnsOfTheLoop = async (): Promise<void> => {
    for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve));
  };
  const until = async (isTrue: () => boolean): Promise<void> => {
    while (!isTrue()) await new Promise((resolve) => setTimeout(resolve, 5));
  };
  const offersOf = (tenantId: string, endpoints: number, count: number, name: string): Offer[] =>
    Array.from({ length: count }, (_, i) => ({
      tenantId,
      deliveryId: `${tenantId}/${i % endpoints}/${name}${i}`,
      endpoint: { id: `${tenantId}/${i % endpoints}`, enabled: true, rate_limit: null, ordering: 'none' },
    }));
  const endpointOf = (deliveryId: string): string => deliveryId.slice(0, deliveryId.lastIndexOf('/'));

  const tenantOf = (deliveryId: string): string => deliveryId.slice(0, deliveryId.indexOf('/'));

  const end = (deliveries: readonly DueDelivery[]): void =>
    dispatcher.completeAttempts(
      deliveries.map(({ deliveryId, attempt }) => ({
        tenantId: tenantOf(deliveryId),
        endpointId: endpointOf(deliveryId),
        deliveryId,
        attempt,
        ok: true,
        durationMs: 1,
      })),
    );
  /** An endpoint of unknown health would get two each. */
  const prove = async (offers: Offer[]): Promise<void> => {
    dispatcher.offer(offers);
    await turnsOfTheLoop();
    end(added.splice(0));
    turns.length = 0;
  };

  it('gives a tenant a turn, divided among its endpoints, and then the next tenant', async () => {
    await prove([...offersOf('one', 1, 1, 'first'), ...offersOf('many', 10, 10, 'first')]);
    dispatcher.offer([...offersOf('one', 1, 60, ''), ...offersOf('many', 10, 60, '')]);
    await turnsOfTheLoop();
    expect(new Set(added.map(({ deliveryId }) => deliveryId)).size).toBe(120);
    expect(turns.map(({ deliveries }) => deliveries.length)).toEqual([32, 32, 28, 28]);
    const ofMany = turns.filter(({ tenantId }) => tenantId === 'many').map(({ deliveries }) => deliveries);
    expect(new Set(ofMany[0]?.map(({ deliveryId }) => endpointOf(deliveryId))).size).toBe(8);
    // Endpoints that the first turn did not reach come first in the second.
    const next = ofMany[1]?.slice(0, 8).map(({ deliveryId }) => endpointOf(deliveryId));
    expect(ofMany[0]?.map(({ deliveryId }) => endpointOf(deliveryId))).not.toEqual(expect.arrayContaining(next ?? []));
  });

  it('waits for the permits of a whole turn, and admits fewer only after an idle time', async () => {
    await prove([...offersOf('one', 10, 10, 'first'), ...offersOf('two', 10, 10, 'first')]);
    dispatcher.offer([...offersOf('one', 10, 400, ''), ...offersOf('two', 10, 400, '')]);
    await turnsOfTheLoop();
    const inFlight = added.splice(0);
    expect(inFlight).toHaveLength(512);

    end(inFlight.splice(0, 20));
    expect(added).toHaveLength(0);
    end(inFlight.splice(0, 12));
    expect(added.splice(0)).toHaveLength(32);

    await turnsOfTheLoop();
    end(inFlight.splice(0, 20));
    expect(added).toHaveLength(0);
    await until(() => added.length > 0);
    expect(added).toHaveLength(20);
  });

  it('admits an idle tenant at once, while busy ones wait for permits', async () => {
    await prove([
      ...offersOf('one', 10, 10, 'first'),
      ...offersOf('two', 10, 10, 'first'),
      ...offersOf('idle', 1, 1, ''),
    ]);
    dispatcher.offer([...offersOf('one', 10, 400, ''), ...offersOf('two', 10, 400, '')]);
    await turnsOfTheLoop();
    const inFlight = added.splice(0);
    end(inFlight.splice(0, 5));
    expect(added).toHaveLength(0);
    dispatcher.offer(offersOf('idle', 1, 3, 'now'));
    await turnsOfTheLoop();
    expect(added.map(({ deliveryId }) => tenantOf(deliveryId))).toEqual(['idle', 'idle', 'idle']);
  });

  it('collects the deliveries of a busy tenant until a whole turn is ready or the time has passed', async () => {
    await restart({ queue: queueOf({ collectMs: 60_000 }) });
    await prove(offersOf('one', 4, 4, 'first'));
    dispatcher.offer(offersOf('one', 4, 1, 'idle'));
    expect(added.splice(0)).toHaveLength(1);
    dispatcher.offer(offersOf('one', 4, 31, 'part'));
    await turnsOfTheLoop();
    expect(added).toHaveLength(0);
    dispatcher.offer(offersOf('one', 4, 1, 'last'));
    await turnsOfTheLoop();
    expect(turns.map(({ deliveries }) => deliveries.length)).toEqual([1, 32]);
    turns.length = 0;

    await restart({ queue: queueOf({ collectMs: 30 }) });
    added = [];
    dispatcher.offer(offersOf('two', 4, 1, 'idle'));
    dispatcher.offer(offersOf('two', 4, 4, 'part'));
    await until(() => added.length > 1);
    expect(turns.map(({ deliveries }) => deliveries.length)).toEqual([1, 4]);
  });

  it('does not admit a delivery of the previous leader again before its job has ended', async () => {
    const leftovers = [{ id: 'left', tenantId: 'one', deliveries: [{ deliveryId: 'one/0/0', attempt: 1 }] }];
    await restart({ queue: queueOf({ turns: async () => leftovers }) });
    dispatcher.offer(offersOf('one', 1, 2, ''));
    await turnsOfTheLoop();
    expect(added.map(({ deliveryId }) => deliveryId)).toEqual(['one/0/1']);
    end([{ deliveryId: 'one/0/0', attempt: 1 }]);
    dispatcher.offer(offersOf('one', 1, 1, ''));
    await turnsOfTheLoop();
    expect(added.map(({ deliveryId }) => deliveryId)).toEqual(['one/0/1', 'one/0/0']);
  });

  it('admits no delivery before it has read the queue', async () => {
    let answer: (turns: Turn[]) => void = () => undefined;
    await restart({ queue: queueOf({ turns: () => new Promise((resolve) => (answer = resolve)) }) });
    dispatcher.offer(offersOf('one', 1, 1, ''));
    await turnsOfTheLoop();
    expect(added).toHaveLength(0);
    answer([]);
    await turnsOfTheLoop();
    expect(added).toHaveLength(1);
  });

  it('adds refused turns again unchanged', async () => {
    const ids: string[][] = [];
    const add: Queue['add'] = async (given) => {
      ids.push(given.map(({ id }) => id));
      if (ids.length === 1) throw new Error('no answer');
      await queueOf().add(given);
    };
    await restart({ queue: queueOf({ add }) });
    dispatcher.offer(offersOf('one', 2, 2, ''));
    await turnsOfTheLoop();
    dispatcher.offer(offersOf('one', 2, 2, 'later'));
    await until(() => added.length > 2);
    expect(ids[1]).toEqual(ids[0]);
    expect(added.map(({ deliveryId }) => deliveryId).sort()).toEqual([
      'one/0/0',
      'one/0/later0',
      'one/1/1',
      'one/1/later1',
    ]);
  });

  it('keeps the permit of an attempt though an earlier attempt of its delivery ends late', async () => {
    await restart({ capacity: 1 });
    await prove(offersOf('one', 1, 1, 'first'));
    dispatcher.offer(offersOf('one', 1, 2, ''));
    await turnsOfTheLoop();
    const [first] = added.splice(0) as [DueDelivery];
    end([{ ...first, attempt: 0 }]);
    end([{ ...first, attempt: 2 }]);
    await turnsOfTheLoop();
    expect(added).toHaveLength(0);
    end([first]);
    expect(added).toHaveLength(1);
  });

  it('shares no state with another dispatcher of the process', async () => {
    const other = newDispatcher({ capacity: 1 });
    other.start();
    try {
      await turnsOfTheLoop();
      other.offer(offersOf('one', 1, 2, 'other'));
      dispatcher.offer(offersOf('one', 1, 2, ''));
      await turnsOfTheLoop();
      expect(added.map(({ deliveryId }) => deliveryId).sort()).toEqual(['one/0/0', 'one/0/1', 'one/0/other0']);
      expect([other.demand, dispatcher.demand]).toEqual([2, 2]);
    } finally {
      other.stop();
    }
  });

  it('continues after a pause although the clock of the machine has stepped back', async () => {
    let isAway = true;
    const add: Queue['add'] = async (given) => {
      if (isAway) throw new Error('away');
      await queueOf().add(given);
    };
    await restart({ queue: queueOf({ add }) });
    dispatcher.offer(offersOf('one', 2, 2, ''));
    await turnsOfTheLoop();
    isAway = false;
    const clock = jest.spyOn(Date, 'now').mockReturnValue(Date.now() - 3_600_000);
    try {
      dispatcher.offer(offersOf('two', 1, 1, 'next'));
      await until(() => added.some(({ deliveryId }) => deliveryId === 'two/0/next0'));
    } finally {
      clock.mockRestore();
    }
  });

  describe('while a tenant changes its owner', () => {
    const offer = (tenantId: string, count: number) => dispatcher.offer(offersOf(tenantId, 1, count, 'x'));
    const proven = (tenantId: string) =>
      dispatcher.completeAttempts([
        { tenantId, endpointId: `${tenantId}/0`, deliveryId: added.at(-1)?.deliveryId ?? '', ok: true, durationMs: 1 },
      ]);

    it('admits no delivery of a gained tenant before it has read the jobs of the previous owner', async () => {
      let learned: (left: Turn[]) => void = () => undefined;
      const left = new Promise<Turn[]>((resolve) => (learned = resolve));
      await restart({ queue: queueOf({ turns: () => left }) });
      offer('a', 2);
      await turnsOfTheLoop();
      expect(added).toEqual([]);
      learned([{ id: 'old-1', tenantId: 'a', deliveries: [{ deliveryId: 'a/0/old', attempt: 1 }] }]);
      await turnsOfTheLoop();
      expect(added.map(({ deliveryId }) => deliveryId)).toEqual(['a/0/x0', 'a/0/x1']);
      expect(dispatcher.inUse).toBe(3);
    });

    it('admits nothing until the queue can be read', async () => {
      let reads = 0;
      const left: Turn[] = [{ id: 'old-1', tenantId: 'a', deliveries: [{ deliveryId: 'a/0/old', attempt: 1 }] }];
      const turnsOfQueue = async (): Promise<Turn[]> => {
        if (++reads < 3) throw new Error('the queue did not respond in time');
        return left;
      };
      await restart({ queue: queueOf({ turns: turnsOfQueue }) });
      offer('a', 2);
      await until(() => reads === 2);
      await turnsOfTheLoop();
      expect(added).toEqual([]);
      await until(() => added.length > 0);
      expect(reads).toBe(3);
      expect(dispatcher.inUse).toBe(3);
    });

    it('ignores the jobs of other tenants', async () => {
      const jobs = [{ id: 'other-1', tenantId: 'b', deliveries: [{ deliveryId: 'b/0/x0', attempt: 1 }] }];
      dispatcher.stop();
      dispatcher = newDispatcher({ queue: queueOf({ turns: async () => jobs }) });
      dispatcher.start();
      await dispatcher.takeOver((tenantId) => tenantId === 'a');
      expect(dispatcher.inUse).toBe(0);
      await dispatcher.takeOver((tenantId) => tenantId === 'b');
      expect(dispatcher.inUse).toBe(1);
    });

    it('releases the permits of a lost tenant, and keeps those of others', async () => {
      const owned = new Set(['a', 'b']);
      await restart({ isOwned: (tenantId) => owned.has(tenantId) });
      offer('a', 40);
      offer('b', 1);
      await turnsOfTheLoop();
      const before = dispatcher.inUse;
      const ofB = added.filter(({ deliveryId }) => tenantOf(deliveryId) === 'b').length;
      expect(before).toBeGreaterThan(ofB);
      owned.delete('a');
      await dispatcher.release();
      expect([dispatcher.inUse, ofB]).toEqual([1, 1]);
      // The sweep of another moment does not bring the tenant back.
      proven('b');
      expect(dispatcher.inUse).toBe(0);
    });

    it('completes its last add before it releases a tenant, and adds no further job of it', async () => {
      const owned = new Set(['a']);
      let fail: (error: Error) => void = () => undefined;
      let adds = 0;
      const add = (): Promise<void> => {
        adds++;
        return new Promise((_, reject) => (fail = reject));
      };
      await restart({ isOwned: (tenantId) => owned.has(tenantId), queue: queueOf({ add }) });
      offer('a', 1);
      await turnsOfTheLoop();
      owned.delete('a');
      let isReleased = false;
      const released = dispatcher.release().then(() => (isReleased = true));
      await turnsOfTheLoop();
      expect([adds, isReleased]).toEqual([1, false]);
      fail(new Error('the queue is unavailable'));
      await released;
      await new Promise((resolve) => setTimeout(resolve, 700));
      expect(adds).toBe(1);
    });

    it('counts the jobs of a previous owner as in use, up to half of its permits', async () => {
      const deliveries = Array.from({ length: 400 }, (_, at) => ({ deliveryId: `a/0/old${at}`, attempt: 1 }));
      await restart({ queue: queueOf({ turns: async () => [{ id: 'old-400', tenantId: 'a', deliveries }] }) });
      expect(dispatcher.inUse).toBe(256);
      dispatcher.completeAttempts(
        deliveries.slice(0, 300).map(({ deliveryId }) => ({ tenantId: 'a', endpointId: 'a/0', deliveryId, ok: true })),
      );
      expect(dispatcher.inUse).toBe(100);
    });
  });
});
