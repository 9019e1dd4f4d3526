import pino from 'pino';
import type { Config } from '../platform/config/config';
import type { DiscoveryDatabase } from '../platform/database/role-databases';
import type { TenantDatabase } from '../platform/database/tenant-database';
import type { DeliveryJob } from '../platform/queue/queue';
import type { DeliveryMetrics } from './delivery-metrics';
import type { DeliveryQueue } from './delivery-queue';
import { Dispatcher, type Offer } from './dispatcher';

describe('the dispatcher', () => {
  let added: DeliveryJob[];
  let dispatcher: Dispatcher;

  beforeEach(() => {
    added = [];
    const queue = { add: async (jobs: DeliveryJob[]) => void added.push(...jobs), pauseAfter: () => 0 };
    dispatcher = new Dispatcher(
      { WEBHOOK_CONCURRENCY: 512 } as Config,
      { waitingEndpoints: async () => [] } as unknown as DiscoveryDatabase,
      {} as TenantDatabase,
      queue as unknown as DeliveryQueue,
      {} as DeliveryMetrics,
      pino({ level: 'silent' }),
    );
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

  it('gives a tenant a turn of deliveries, which its endpoints share, and then the next its own', async () => {
    // Endpoints that were not seen to answer would be given two each.
    dispatcher.offer([...offersOf('one', 1, 1, 'first'), ...offersOf('many', 10, 10, 'first')]);
    await turnsOfTheLoop();
    dispatcher.ended(
      added.splice(0).map(({ tenantId, deliveryId }) => ({
        tenantId,
        endpointId: endpointOf(deliveryId),
        deliveryId,
        ok: true,
        durationMs: 1,
      })),
    );

    dispatcher.offer([...offersOf('one', 1, 60, ''), ...offersOf('many', 10, 60, '')]);
    await turnsOfTheLoop();
    expect(new Set(added.map(({ deliveryId }) => deliveryId)).size).toBe(120);
    const turns: DeliveryJob[][] = [];
    for (const job of added) {
      if (turns.at(-1)?.[0]?.tenantId === job.tenantId) turns.at(-1)?.push(job);
      else turns.push([job]);
    }
    const [first, second] = turns.slice(0, 2).sort((a, b) => b.length - a.length);
    expect(first?.map(({ tenantId }) => tenantId)).toEqual(Array.from({ length: 40 }, () => 'many'));
    expect(new Set(first?.map(({ deliveryId }) => endpointOf(deliveryId))).size).toBe(10);
    expect(second?.map(({ tenantId }) => tenantId)).toEqual(Array.from({ length: 32 }, () => 'one'));
    expect(turns.map(({ length }) => length).sort()).toEqual([20, 28, 32, 40]);
  });
});
