import pino from 'pino';
import type { Config } from '../../platform/config/config';
import type { DispatcherDatabase } from '../../platform/database/roles/dispatcher-database';
import type { TenantDatabase } from '../../platform/database/tenant-database';
import type { DeliveryJob } from '../notifications/delivery-job';
import type { DeliveryMetrics } from '../deliveries/delivery-metrics';
import type { DeliveryQueue } from './delivery-queue';
import { Dispatcher, type Offer } from './dispatcher';
import type { OwnedShards } from '../../platform/shards/owned-shards';

/** A row of an empty lane. */
const NOTHING_WAITS = { id: null, enabled: true, rate_limit: null, ordering: 'none' };

describe('the dispatcher', () => {
  let added: DeliveryJob[];
  let dispatcher: Dispatcher;

  const newDispatcher = (queue: Pick<DeliveryQueue, 'add' | 'pauseAfter'>): Dispatcher =>
    new Dispatcher(
      { WEBHOOK_CONCURRENCY: 512 } as Config,
      { isDistributed: false, query: async () => [] } as unknown as DispatcherDatabase,
      { read: async () => [NOTHING_WAITS] } as unknown as TenantDatabase,
      queue as unknown as DeliveryQueue,
      {} as DeliveryMetrics,
      { owns: () => true } as unknown as OwnedShards,
      pino({ level: 'silent' }),
    );

  beforeEach(() => {
    added = [];
    dispatcher = newDispatcher({ add: async (jobs) => void added.push(...jobs), pauseAfter: () => 0 });
    dispatcher.start();
  });
  afterEach(() => dispatcher.stop());

  const turnsOfTheLoop = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20));
  const offersOf = (tenantId: string, endpoints: number, count: number, name: string): Offer[] =>
    Array.from({ length: count }, (_, i) => ({
      tenantId,
      deliveryId: `${tenantId}/${i % endpoints}/${name}${i}`,
      endpoint: { id: `${tenantId}/${i % endpoints}`, enabled: true, rate_limit: null, ordering: 'none' },
    }));
  const endpointOf = (deliveryId: string): string => deliveryId.slice(0, deliveryId.lastIndexOf('/'));

  const end = (jobs: readonly DeliveryJob[]): void =>
    dispatcher.ended(
      jobs.map(({ tenantId, deliveryId }) => ({
        tenantId,
        endpointId: endpointOf(deliveryId),
        deliveryId,
        ok: true,
        durationMs: 1,
      })),
    );
  /** An endpoint of unknown health would get two each. */
  const prove = async (offers: Offer[]): Promise<void> => {
    dispatcher.offer(offers);
    await turnsOfTheLoop();
    end(added.splice(0));
  };

  it('gives a tenant a turn of deliveries, which its endpoints share, and then the next its own', async () => {
    await prove([...offersOf('one', 1, 1, 'first'), ...offersOf('many', 10, 10, 'first')]);
    dispatcher.offer([...offersOf('one', 1, 60, ''), ...offersOf('many', 10, 60, '')]);
    await turnsOfTheLoop();
    expect(new Set(added.map(({ deliveryId }) => deliveryId)).size).toBe(120);
    const turns: DeliveryJob[][] = [];
    for (const job of added) {
      if (turns.at(-1)?.[0]?.tenantId === job.tenantId) turns.at(-1)?.push(job);
      else turns.push([job]);
    }
    expect(turns.map(({ length }) => length)).toEqual([32, 32, 28, 28]);
    const ofMany = turns.filter(([job]) => job?.tenantId === 'many');
    expect(new Set(ofMany[0]?.map(({ deliveryId }) => endpointOf(deliveryId))).size).toBe(8);
    // Endpoints that the first turn did not reach come first in the second.
    const next = ofMany[1]?.slice(0, 8).map(({ deliveryId }) => endpointOf(deliveryId));
    expect(ofMany[0]?.map(({ deliveryId }) => endpointOf(deliveryId))).not.toEqual(expect.arrayContaining(next ?? []));
  });

  it('waits for room for a whole turn, and then gives it at once; when nothing moves, it gives what there is', async () => {
    await prove([...offersOf('one', 10, 10, 'first'), ...offersOf('two', 10, 10, 'first')]);
    dispatcher.offer([...offersOf('one', 10, 400, ''), ...offersOf('two', 10, 400, '')]);
    await turnsOfTheLoop();
    const underWay = added.splice(0);
    expect(underWay).toHaveLength(512);

    end(underWay.splice(0, 20));
    expect(added).toHaveLength(0);
    end(underWay.splice(0, 12));
    expect(added.splice(0)).toHaveLength(32);

    await turnsOfTheLoop();
    end(underWay.splice(0, 20));
    expect(added).toHaveLength(0);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(added).toHaveLength(20);
  });

  it('lets one that has nothing under way in at once, while those that have wait for room', async () => {
    await prove([
      ...offersOf('one', 10, 10, 'first'),
      ...offersOf('two', 10, 10, 'first'),
      ...offersOf('idle', 1, 1, ''),
    ]);
    dispatcher.offer([...offersOf('one', 10, 400, ''), ...offersOf('two', 10, 400, '')]);
    await turnsOfTheLoop();
    const underWay = added.splice(0);
    end(underWay.splice(0, 5));
    expect(added).toHaveLength(0);
    dispatcher.offer(offersOf('idle', 1, 3, 'now'));
    await turnsOfTheLoop();
    expect(added.map(({ tenantId }) => tenantId)).toEqual(['idle', 'idle', 'idle']);
  });

  it('goes on after a pause though the clock of the machine has stepped back', async () => {
    dispatcher.stop();
    let isAway = true;
    const add = async (jobs: DeliveryJob[]): Promise<void> => {
      if (isAway) throw new Error('away');
      added.push(...jobs);
    };
    dispatcher = newDispatcher({ add, pauseAfter: () => 0 });
    dispatcher.start();
    dispatcher.offer(offersOf('one', 2, 2, ''));
    await turnsOfTheLoop();
    isAway = false;
    const clock = jest.spyOn(Date, 'now').mockReturnValue(Date.now() - 3_600_000);
    try {
      dispatcher.offer(offersOf('two', 1, 1, 'next'));
      await new Promise((resolve) => setTimeout(resolve, 700));
      expect(added.map(({ deliveryId }) => deliveryId)).toContain('two/0/next0');
    } finally {
      clock.mockRestore();
    }
  });
});
