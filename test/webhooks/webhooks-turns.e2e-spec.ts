import type { ServerResponse } from 'node:http';
import { createEndpoint } from '../harness/endpoints';
import { hasRedis, startRedis, type TestRedis } from '../harness/redis';
import { type Receiver, startReceiver } from '../harness/receiver';
import { startService, type TestService } from '../harness/service';
import { until } from '../harness/until';
import { startWorker, type TestWorker } from '../harness/worker';
import { DeliveryQueue } from '../../src/webhooks/dispatch/delivery-queue';
import { DeliveryLoader } from '../../src/webhooks/sending/delivery-loader';

const ENDPOINTS = 10;

describe.each(hasRedis() ? ['PostgreSQL', 'Redis'] : ['PostgreSQL'])('a turn, with BullMQ on %s', (backend) => {
  let service: TestService;
  let worker: TestWorker;
  let receiver: Receiver;
  let redis: TestRedis | undefined;

  beforeAll(async () => {
    redis = backend === 'Redis' ? await startRedis() : undefined;
    service = await startService({ env: { WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8' } });
    worker = await startWorker(service.database, redis ? { REDIS_URL: redis.url } : {});
    receiver = await startReceiver();
  });
  afterEach(() => {
    jest.restoreAllMocks();
    receiver.respond = (response) => void response.writeHead(204).end();
  });
  afterAll(async () => {
    await worker.stop();
    await service.stop();
    await receiver.stop();
    await redis?.stop();
  });

  it('has the deliveries of one event to a tenant’s endpoints in one job, loaded once', async () => {
    const tenant = await service.tenant();
    for (let i = 0; i < ENDPOINTS; i++) await createEndpoint(tenant, `${receiver.url}/together-${i}`);
    const add = jest.spyOn(DeliveryQueue.prototype, 'add');
    const load = jest.spyOn(DeliveryLoader.prototype, 'load');
    await tenant.createOrder();
    await until('all to arrive', () => receiver.received.length === ENDPOINTS);
    expect(add.mock.calls.flatMap(([turns]) => turns.map(({ deliveries }) => deliveries.length))).toEqual([ENDPOINTS]);
    expect(load.mock.calls.map(([tenantId, ids]) => [tenantId, ids.length])).toEqual([[tenant.tenantId, ENDPOINTS]]);
    const rows = [...(await load.mock.results[0]?.value).values()];
    expect(rows.filter(({ row }) => row.data !== null)).toHaveLength(1);
    expect(new Set(rows.map(({ body }) => body)).size).toBe(1);
    expect(new Set(receiver.received.map(({ body }) => body)).size).toBe(1);
    expect(new Set(receiver.received.map(({ headers }) => headers['webhook-signature'])).size).toBe(ENDPOINTS);
  });

  it('records each outcome at its own time: a hanging receiver delays no other', async () => {
    const tenant = await service.tenant();
    const held: ServerResponse[] = [];
    receiver.respond = (response, { path }) => {
      if (path === '/hangs') held.push(response);
      else response.writeHead(204).end();
    };
    await createEndpoint(tenant, `${receiver.url}/hangs`, { event_types: ['order.created'] });
    await createEndpoint(tenant, `${receiver.url}/answers`);
    const add = jest.spyOn(DeliveryQueue.prototype, 'add');
    const order = await tenant.createOrder();
    const succeeded = async () =>
      (await tenant.get('/webhooks/deliveries?status=succeeded')).body.data as { attempt_count: number }[];
    await until('the quick one to be recorded', async () => (await succeeded()).length === 1);
    expect(add.mock.calls[0]?.[0].map(({ deliveries }) => deliveries.length)).toEqual([2]);
    // More than an endpoint without a response may have in flight: the permits of those before are free again.
    for (const status of ['confirmed', 'processing', 'completed']) {
      expect((await tenant.patch(`/orders/${order.id}/status`, { status })).status).toBe(200);
    }
    await until('the others to be recorded', async () => (await succeeded()).length === 4);
    expect(held).toHaveLength(1);
    held[0]?.writeHead(204).end();
    await until('the last to be recorded', async () => (await succeeded()).length === 5);
    expect((await succeeded()).map((delivery) => delivery.attempt_count)).toEqual([1, 1, 1, 1, 1]);
  });
});
