import { setTimeout as delay } from 'node:timers/promises';
import { createEndpoint } from '../harness/endpoints';
import { startReceiver, type Receiver } from '../harness/receiver';
import { hasRedis, startRedis } from '../harness/redis';
import { startService, type TestService } from '../harness/service';
import { until } from '../harness/until';
import { startWorker, type TestWorker } from '../harness/worker';

/** Far longer than a healthy delivery on the slowest machine: a delivery behind a hanging one is later than this. */
const DEADLINE = '25s';
const TIMEOUT_MS = 12_000;

describe('fairness', () => {
  let service: TestService;
  let worker: TestWorker;
  let healthy: Receiver;
  let hanging: Receiver;

  beforeAll(async () => {
    service = await startService({ env: { WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8' } });
    worker = await startWorker(service.database, { WEBHOOK_TIMEOUT: DEADLINE, WEBHOOK_CONCURRENCY: '64' });
  });
  afterAll(async () => {
    await worker.stop();
    await service.stop();
  });
  beforeEach(async () => {
    healthy = await startReceiver();
    hanging = await startReceiver();
    hanging.respond = () => undefined;
  });
  afterEach(async () => {
    await hanging.stop();
    await healthy.stop();
  });

  it('delivers to a healthy endpoint, and to a new one, while far more deliveries than workers hang', async () => {
    const known = await service.tenant();
    await createEndpoint(known, healthy.url);
    await known.createOrder();
    await healthy.waitFor(1);
    await until('the known endpoint to be seen to answer', async () => {
      const { body } = await known.get('/webhooks/deliveries?status=succeeded');
      return body.data.length === 1;
    });

    const noisy = await Promise.all(Array.from({ length: 5 }, () => service.tenant()));
    for (const tenant of noisy) {
      for (let i = 0; i < 3; i++) await createEndpoint(tenant, `${hanging.url}/${i}`);
      const order = { customer_id: tenant.tenantId, currency: 'USD', items: [item()] };
      expect((await tenant.post('/orders/batch', { orders: Array.from({ length: 20 }, () => order) })).status).toBe(
        201,
      );
    }
    await hanging.waitFor(30, TIMEOUT_MS);

    await known.createOrder();
    await healthy.waitFor(2, TIMEOUT_MS);
    const stranger = await service.tenant();
    await createEndpoint(stranger, `${healthy.url}/new`);
    await stranger.createOrder();
    await healthy.waitFor(3, TIMEOUT_MS);
    // All hanging requests still hang: nothing above had to wait for the end of one of them.
    const [row] = await service.database.sql<{ ended: string }>(
      'select count(*) as ended from delivery_attempts where not succeeded',
    );
    expect(Number(row?.ended)).toBe(0);
  });

  it('sends first attempts before the backlog of retries of an endpoint', async () => {
    const tenant = await service.tenant();
    const endpoint = await createEndpoint(tenant, healthy.url);
    await tenant.createOrder();
    await healthy.waitFor(1);
    await service.database.sql(
      `insert into events select tenant_id, gen_random_uuid(), 'made.up', null, null, null, '{}', now()
         from webhook_endpoints, generate_series(1, 3000) where id = $1`,
      [endpoint.id],
    );
    await service.database.sql(
      `insert into deliveries (tenant_id, id, endpoint_id, event_id, event_type, status, attempt_count, tries, next_attempt_at, created_at)
       select tenant_id, gen_random_uuid(), $1, id, type, 'retrying', 1, 1, now() - interval '1 minute', now()
         from events where type = 'made.up' and tenant_id = $2`,
      [endpoint.id, tenant.tenantId],
    );
    await healthy.waitFor(20, TIMEOUT_MS);
    const order = await tenant.createOrder();
    const position = await until(
      'the new order',
      () => {
        const at = healthy.received.findIndex((received) => received.body.includes(order.id as string));
        return at === -1 ? undefined : at;
      },
      TIMEOUT_MS,
    );
    expect(position).toBeLessThan(2_900);
    await service.database.sql('update webhook_endpoints set enabled = false where id = $1', [endpoint.id]);
  });
});

describe.each(hasRedis() ? ['PostgreSQL', 'Redis'] : ['PostgreSQL'])('a worker with its queue in %s', (backend) => {
  it('takes its maximum while all deliveries hang, and still serves receivers that respond', async () => {
    const service = await startService({ env: { WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8' } });
    const hanging = await startReceiver();
    hanging.respond = () => undefined;
    const healthy = await startReceiver();
    const redis = backend === 'Redis' ? await startRedis() : undefined;
    const worker = await startWorker(service.database, {
      WEBHOOK_TIMEOUT: DEADLINE,
      WEBHOOK_CONCURRENCY: '400',
      ...(redis ? { REDIS_URL: redis.url } : {}),
    });
    try {
      const known = await service.tenant();
      await createEndpoint(known, healthy.url);
      await known.createOrder();
      await healthy.waitFor(1);
      for (const tenant of await Promise.all(Array.from({ length: 10 }, () => service.tenant()))) {
        for (let i = 0; i < 16; i++) await createEndpoint(tenant, `${hanging.url}/${i}`);
        for (let i = 0; i < 2; i++) await tenant.createOrder();
      }
      // Three quarters of its permits, and far more than it processes at once.
      await hanging.waitFor(300, TIMEOUT_MS);
      await known.createOrder();
      await healthy.waitFor(2, TIMEOUT_MS);
      expect(hanging.received).toHaveLength(300);
    } finally {
      await hanging.stop();
      await healthy.stop();
      await worker.stop();
      await redis?.stop();
      await service.stop();
    }
  });
});

describe('several workers', () => {
  it('have as many deliveries in flight as all of them can send, although each decides for its own tenants', async () => {
    const service = await startService({ env: { WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8' } });
    const hanging = await startReceiver();
    hanging.respond = () => undefined;
    const env = { WEBHOOK_TIMEOUT: DEADLINE, WEBHOOK_CONCURRENCY: '48' };
    const workers = [await startWorker(service.database, env)];
    try {
      for (const tenant of await Promise.all(Array.from({ length: 24 }, () => service.tenant()))) {
        for (let i = 0; i < 6; i++) await createEndpoint(tenant, `${hanging.url}/${i}`);
        await tenant.createOrder();
      }
      // Three quarters of the permits of one worker: the rest is reserved for endpoints that respond.
      await hanging.waitFor(36, TIMEOUT_MS);
      expect(hanging.received).toHaveLength(36);
      workers.push(await startWorker(service.database, env));
      // The same of both, less what is not worth raising; what the first one has handed over counts for the second one.
      await hanging.waitFor(66, TIMEOUT_MS);
      await delay(2_000);
      expect(hanging.received.length).toBeLessThanOrEqual(96);
    } finally {
      await hanging.stop();
      await Promise.all(workers.map((worker) => worker.stop()));
      await service.stop();
    }
  });
});

function item() {
  return { product_id: 'p', product_name: 'Widget', quantity: 1, unit_price: '1.00' };
}
