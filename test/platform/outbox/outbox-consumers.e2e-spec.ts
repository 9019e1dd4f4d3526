import { type OutboxConsumer, OutboxConsumers, type OutboxEvent } from '../../../src/platform/outbox/relay';
import type { ApiClient } from '../../harness/client';
import { createEndpoint } from '../../harness/endpoints';
import { type Receiver, startReceiver } from '../../harness/receiver';
import { startService, type TestService } from '../../harness/service';
import { until } from '../../harness/until';
import { startWorker, type TestWorker } from '../../harness/worker';

describe('a consumer of the outbox', () => {
  let service: TestService;
  let worker: TestWorker;
  let receiver: Receiver;
  let tenant: ApiClient;
  let consumers: OutboxConsumers;
  const seen: OutboxEvent[] = [];
  let failing = false;

  let committed = 0;

  /** Writes a row for each event, so that its effect is visible exactly if its transaction has committed. */
  const consumer: OutboxConsumer = {
    async open(tx) {
      return {
        limit: 100,
        take(events) {
          seen.push(...events);
          for (const event of events) {
            tx.defer({
              name: 'test_effect',
              text: `insert into idempotency_keys (tenant_id, caller, key, request_hash, status, headers, body, created_at, expires_at)
                     values ($1, 'test consumer', $2, '', 200, '{}', '', now(), now() + interval '1 day')`,
              values: [tx.tenantId, event.event_id],
            });
          }
          if (failing) throw new Error('the consumer fails');
        },
        committed: () => void committed++,
      };
    },
  };

  beforeAll(async () => {
    const env = { WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8' };
    service = await startService({ env });
    worker = await startWorker(service.database, env);
    receiver = await startReceiver();
    tenant = await service.tenant();
    await createEndpoint(tenant, receiver.url);
    consumers = worker.app.get(OutboxConsumers, { strict: false });
    consumers.add(consumer);
  });
  afterAll(async () => {
    await worker?.stop();
    await service?.stop();
    await receiver?.stop();
  });

  async function effects(): Promise<string[]> {
    const rows = await service.database.sql<{ key: string }>(
      `select key from idempotency_keys where caller = 'test consumer' order by key`,
    );
    return rows.map(({ key }) => key);
  }

  async function outbox(): Promise<number> {
    return (await service.database.sql('select 1 from outbox')).length;
  }

  it('gets the events in order, beside the webhooks', async () => {
    const order = await tenant.createOrder();
    await tenant.patch(`/orders/${order.id}/status`, { status: 'confirmed' });
    await tenant.post('/webhooks/events', { type: 'own.thing', data: { a: 1 } });
    await receiver.waitFor(3);
    await until('an empty outbox', async () => (await outbox()) === 0);
    const types = seen.map((event) => event.event_type).filter((type) => !type.startsWith('audit.'));
    expect(types).toEqual(['order.created', 'order.confirmed', 'own.thing']);
    expect(seen[0]).toMatchObject({ aggregate_id: order.id, sequence: 1, created_at: expect.any(Date) });
    expect(await effects()).toEqual(seen.map((event) => event.event_id).sort());
    expect(committed).toBeGreaterThan(0);
  });

  it('that fails undoes the batch for all consumers, and each has its effect once when it no longer does', async () => {
    const before = (await effects()).length;
    const received = receiver.received.length;
    failing = true;
    const called = seen.length;
    const { id } = await tenant.createOrder();
    await until('two attempts', () => seen.length >= called + 2);
    expect([await outbox(), (await effects()).length, receiver.received.length]).toEqual([1, before, received]);
    const made = await service.database.sql(
      `select 1 from deliveries d join events e on e.tenant_id = d.tenant_id and e.id = d.event_id
        where e.aggregate_id = '${id}'`,
    );
    expect(made).toEqual([]);
    failing = false;
    await receiver.waitFor(received + 1);
    await until('an empty outbox', async () => (await outbox()) === 0);
    expect([(await effects()).length, receiver.received.length]).toEqual([before + 1, received + 1]);
  });
});
