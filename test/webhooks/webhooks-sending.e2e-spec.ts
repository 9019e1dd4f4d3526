import { Queue } from 'bullmq';
import { Webhook } from 'standardwebhooks';
import { Config } from '../../src/platform/config/config';
import { createSecretBox, newKey } from '../../src/platform/crypto/secret-box';
import { producerOptions } from '../../src/platform/queue/queue';
import { secretContext } from '../../src/webhooks/endpoints/endpoint-secrets';
import { DELIVERY_JOB_OPTIONS, TURN_QUEUE, type TurnData } from '../../src/webhooks/notifications/delivery-job';
import type { ApiClient } from '../harness/client';
import { createEndpoint } from '../harness/endpoints';
import { hasRedis, startRedis, type TestRedis } from '../harness/redis';
import { startReceiver, type Received, type Receiver } from '../harness/receiver';
import { startService, type TestService } from '../harness/service';
import { until } from '../harness/until';
import { startWorker, type TestWorker } from '../harness/worker';

interface Message {
  id: string;
  type: string;
  timestamp: string;
  data: { id: string; version: number };
}

describe.each(hasRedis() ? ['PostgreSQL', 'Redis'] : ['PostgreSQL'])('sending, with BullMQ on %s', (backend) => {
  let service: TestService;
  let worker: TestWorker;
  let receiver: Receiver;
  let redis: TestRedis | undefined;
  let tenant: ApiClient;

  beforeAll(async () => {
    redis = backend === 'Redis' ? await startRedis() : undefined;
    service = await startService({ env: { WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8' } });
    worker = await startWorker(service.database, {
      WEBHOOK_TIMEOUT: '1s',
      WEBHOOK_RETRY_SCHEDULE: '200ms,400ms',
      ...(redis ? { REDIS_URL: redis.url } : {}),
    });
  });
  afterAll(async () => {
    await worker.stop();
    await service.stop();
    await redis?.stop();
  });
  beforeEach(async () => {
    receiver = await startReceiver();
    tenant = await service.tenant();
  });
  afterEach(() => receiver.stop());

  const message = (received: Received) => JSON.parse(received.body) as Message;

  async function delivery(endpointId: string, status: string) {
    return until(`a delivery that is ${status}`, async () => {
      const { body } = await tenant.get(`/webhooks/deliveries?endpoint_id=${endpointId}&status=${status}`);
      return (body.data as { id: string; attempt_count: number }[])[0];
    });
  }

  it('signs what it sends, and shows the resource as the API did', async () => {
    const endpoint = await createEndpoint(tenant, receiver.url, { headers: { 'x-tenant': 'mine' } });
    const order = await tenant.createOrder();
    const [received] = (await receiver.waitFor(1)) as [Received];
    const verified = new Webhook(endpoint.secret).verify(received.body, received.headers as Record<string, string>);
    expect(verified).toEqual({
      id: expect.any(String),
      type: 'order.created',
      timestamp: expect.any(String),
      data: order,
    });
    expect(received.headers['x-tenant']).toBe('mine');
    const done = await delivery(endpoint.id, 'succeeded');
    expect(received.headers['webhook-id']).toBe(done.id);
    expect((await tenant.get(`/webhooks/deliveries/${done.id}`)).body).toMatchObject({
      attempt_count: 1,
      next_attempt_at: null,
      attempts: [{ number: 1, response_status: 204, error: null }],
    });
  });

  it('sends the numbers of a tenant’s own event in the characters in which they came', async () => {
    await createEndpoint(tenant, receiver.url);
    const body =
      '{"type":"invoice.paid","data":{"big":9007199254740993,"list":[1e5,0.10000000000000000001],"text":"1e5"}}';
    expect((await tenant.post('/webhooks/events', body)).status).toBe(202);
    const [received] = (await receiver.waitFor(1)) as [Received];
    expect(received.body).toContain(
      '"data":{"big":9007199254740993,"list":[1e5,0.10000000000000000001],"text":"1e5"}}',
    );
  });

  it('records in the attempt that it could not sign, retries, and does not count it as a failure of the receiver', async () => {
    const endpoint = await createEndpoint(tenant, receiver.url);
    const rows = await service.database.sql<{ secret: string }>('select secret from webhook_endpoints where id = $1', [
      endpoint.id,
    ]);
    const put = (secret: string) =>
      service.database.sql('update webhook_endpoints set secret = $2 where id = $1', [endpoint.id, secret]);
    await put(createSecretBox(newKey('lost')).encrypt('whsec_lost', secretContext(tenant.tenantId, endpoint.id)));
    await tenant.createOrder();
    const { id } = await delivery(endpoint.id, 'retrying');
    const { body } = await tenant.get(`/webhooks/deliveries/${id}`);
    expect(body.attempts[0]).toMatchObject({ error: 'not signed', response_status: null, response_body: null });
    const state = await service.database.sql('select failing_since from webhook_endpoints where id = $1', [
      endpoint.id,
    ]);
    expect(state).toEqual([{ failing_since: null }]);
    expect(receiver.received).toEqual([]);
    await put(rows[0]?.secret as string);
    const [received] = (await receiver.waitFor(1)) as [Received];
    new Webhook(endpoint.secret).verify(received.body, received.headers as Record<string, string>);
  });

  it('signs with the new secret alone where the key of the previous one is lost', async () => {
    const endpoint = await createEndpoint(tenant, receiver.url);
    const { body } = await tenant.post(`/webhooks/endpoints/${endpoint.id}/rotate-secret`, { overlap_seconds: 60 });
    await service.database.sql('update webhook_endpoints set previous_secret = $2 where id = $1', [
      endpoint.id,
      createSecretBox(newKey('lost')).encrypt('whsec_lost', secretContext(tenant.tenantId, endpoint.id)),
    ]);
    await tenant.createOrder();
    const [received] = (await receiver.waitFor(1)) as [Received];
    new Webhook(body.secret as string).verify(received.body, received.headers as Record<string, string>);
    expect(String(received.headers['webhook-signature']).split(' ')).toHaveLength(1);
  });

  it('signs with both secrets while one replaces the other', async () => {
    const endpoint = await createEndpoint(tenant, receiver.url);
    const { body } = await tenant.post(`/webhooks/endpoints/${endpoint.id}/rotate-secret`, { overlap_seconds: 60 });
    await tenant.createOrder();
    const [received] = (await receiver.waitFor(1)) as [Received];
    for (const secret of [endpoint.secret, body.secret as string]) {
      new Webhook(secret).verify(received.body, received.headers as Record<string, string>);
    }
  });

  it('retries by the schedule, with one webhook-id, and fails at its end', async () => {
    const endpoint = await createEndpoint(tenant, receiver.url);
    receiver.respond = (response) => void response.writeHead(500).end('no');
    await tenant.createOrder();
    const failed = await delivery(endpoint.id, 'failed');
    expect(receiver.received).toHaveLength(3);
    expect(new Set(receiver.received.map((received) => received.headers['webhook-id']))).toEqual(new Set([failed.id]));
    const { attempts } = (await tenant.get(`/webhooks/deliveries/${failed.id}`)).body;
    expect(attempts.map((attempt: { response_status: number }) => attempt.response_status)).toEqual([500, 500, 500]);
    expect(attempts[0].response_body).toBe('no');
  });

  it('waits as long as Retry-After', async () => {
    await createEndpoint(tenant, receiver.url);
    receiver.respond = (response) => {
      if (receiver.received.length > 1) response.writeHead(200).end();
      else response.writeHead(503, { 'retry-after': '2' }).end();
    };
    await tenant.createOrder();
    const [first, second] = (await receiver.waitFor(2)) as [Received, Received];
    expect(second.at - first.at).toBeGreaterThanOrEqual(1_900);
  });

  it('fails a receiver that hangs after the deadline', async () => {
    const endpoint = await createEndpoint(tenant, receiver.url);
    receiver.respond = () => undefined;
    await tenant.createOrder();
    const retrying = await delivery(endpoint.id, 'retrying');
    expect((await tenant.get(`/webhooks/deliveries/${retrying.id}`)).body.attempts[0]).toMatchObject({
      error: 'timed out',
      response_status: null,
    });
  });

  it('disables an endpoint that responds with 410, notifies the members, and recovers the kept deliveries', async () => {
    const witness = await startReceiver();
    const gone = await createEndpoint(tenant, receiver.url, { event_types: ['order.*'] });
    await createEndpoint(tenant, witness.url, { event_types: ['webhook.endpoint.disabled'] });
    receiver.respond = (response) => void response.writeHead(410).end();
    const since = new Date(Date.now() - 60_000).toISOString();
    const first = await tenant.createOrder();
    const [told] = (await witness.waitFor(1)) as [Received];
    expect(message(told)).toMatchObject({ type: 'webhook.endpoint.disabled', data: { id: gone.id, enabled: false } });
    const disabled = (await tenant.get(`/webhooks/endpoints/${gone.id}`)).body;
    expect(disabled).toMatchObject({ enabled: false, disabled_reason: expect.stringContaining('410') });
    const second = await tenant.createOrder();
    await delivery(gone.id, 'disabled');
    expect(receiver.received).toHaveLength(1);

    receiver.respond = (response) => void response.writeHead(204).end();
    expect((await tenant.patch(`/webhooks/endpoints/${gone.id}`, { enabled: true })).status).toBe(200);
    const recovered = await tenant.post(`/webhooks/endpoints/${gone.id}/recover`, { since });
    expect([recovered.status, recovered.body]).toEqual([202, { count: 2 }]);
    await receiver.waitFor(3);
    const ids = receiver.received.slice(1).map((received) => message(received).data.id);
    expect(ids.sort()).toEqual([first.id, second.id].sort());
    await witness.stop();
  });

  it('sends again on request, also after a success', async () => {
    const endpoint = await createEndpoint(tenant, receiver.url);
    await tenant.createOrder();
    const done = await delivery(endpoint.id, 'succeeded');
    expect((await tenant.post(`/webhooks/deliveries/${done.id}/retry`)).status).toBe(202);
    const [first, second] = (await receiver.waitFor(2)) as [Received, Received];
    expect(second.headers['webhook-id']).toBe(first.headers['webhook-id']);
    expect(second.body).toBe(first.body);
  });

  it('tests one endpoint alone', async () => {
    const other = await startReceiver();
    const endpoint = await createEndpoint(tenant, receiver.url, { event_types: ['order.created'] });
    await createEndpoint(tenant, other.url);
    const response = await tenant.post(`/webhooks/endpoints/${endpoint.id}/test`);
    expect(response.status).toBe(202);
    const [received] = (await receiver.waitFor(1)) as [Received];
    expect(message(received).type).toBe('webhook.test');
    expect(received.headers['webhook-id']).toBe(response.body.id ?? response.body.delivery_id);
    await tenant.createOrder();
    await other.waitFor(1);
    expect(other.received.map((each) => message(each).type)).toEqual(['order.created']);
    await other.stop();
  });

  it('keeps the order of the events of an order, and a failure of one order does not delay another', async () => {
    await createEndpoint(tenant, receiver.url, { ordering: 'by_aggregate' });
    const stuck = await tenant.createOrder();
    let refusals = 0;
    receiver.respond = (response, received) => {
      const refuse = message(received).data.id === stuck.id && refusals++ < 2;
      response.writeHead(refuse ? 500 : 204).end();
    };
    const orders = await Promise.all(Array.from({ length: 5 }, () => tenant.createOrder()));
    for (const order of [stuck, ...orders]) {
      for (const status of ['confirmed', 'processing', 'completed']) {
        expect((await tenant.patch(`/orders/${order.id}/status`, { status })).status).toBe(200);
      }
    }
    const accepted = new Map<string, number[]>();
    await until('all events', () => {
      accepted.clear();
      let skipped = 0;
      for (const received of receiver.received) {
        const { data } = message(received);
        if (data.id === stuck.id && skipped++ < 2) continue;
        accepted.set(data.id, [...(accepted.get(data.id) ?? []), data.version]);
      }
      return [...accepted.values()].flat().length >= 24;
    });
    expect([...accepted.values()]).toEqual(Array.from({ length: 6 }, () => [1, 2, 3, 4]));
  });

  it('keeps an endpoint’s rate limit', async () => {
    await createEndpoint(tenant, receiver.url, { rate_limit: 5 });
    await Promise.all(Array.from({ length: 8 }, () => tenant.createOrder()));
    await receiver.waitFor(8);
    const times = receiver.received.map((received) => received.at);
    // 8 at 5 a second: the last leaves 1.4 s after the first.
    expect((times[7] as number) - (times[0] as number)).toBeGreaterThan(1_200);
  });

  it('cancels the waiting deliveries of a removed endpoint', async () => {
    const endpoint = await createEndpoint(tenant, receiver.url);
    receiver.respond = (response) => void response.writeHead(500, { 'retry-after': '60' }).end();
    receiver.respond = (response) => void response.writeHead(503, { 'retry-after': '60' }).end();
    await tenant.createOrder();
    const waiting = await delivery(endpoint.id, 'retrying');
    expect((await tenant.delete(`/webhooks/endpoints/${endpoint.id}`)).status).toBe(204);
    expect((await tenant.get(`/webhooks/deliveries/${waiting.id}`)).body).toMatchObject({ status: 'cancelled' });
  });

  it('records the outcome of an attempt although its endpoint was disabled meanwhile', async () => {
    const endpoint = await createEndpoint(tenant, receiver.url);
    let disabling: Promise<unknown> | undefined;
    receiver.respond = (response) => {
      disabling = tenant
        .patch(`/webhooks/endpoints/${endpoint.id}`, { enabled: false })
        .finally(() => response.writeHead(204).end());
    };
    await tenant.createOrder();
    await receiver.waitFor(1);
    await disabling;
    const done = await delivery(endpoint.id, 'succeeded');
    expect(done.attempt_count).toBe(1);
  });

  it('disables only an endpoint whose deliveries have all failed for five days', async () => {
    const endpoint = await createEndpoint(tenant, receiver.url);
    receiver.respond = (response) => void response.writeHead(500).end();
    await service.database.sql(`update webhook_endpoints set failing_since = now() - interval '4 days' where id = $1`, [
      endpoint.id,
    ]);
    await tenant.createOrder();
    await delivery(endpoint.id, 'failed');
    expect((await tenant.get(`/webhooks/endpoints/${endpoint.id}`)).body.enabled).toBe(true);
    await service.database.sql(`update webhook_endpoints set failing_since = now() - interval '6 days' where id = $1`, [
      endpoint.id,
    ]);
    await tenant.createOrder();
    await until('the endpoint to be disabled', async () => {
      const { body } = await tenant.get(`/webhooks/endpoints/${endpoint.id}`);
      return body.enabled === false && body.disabled_reason.includes('5 days');
    });
  });

  it('does not send to a forbidden address, and reveals nothing about it', async () => {
    const endpoint = await createEndpoint(tenant, receiver.url);
    await service.database.sql('update webhook_endpoints set url = $2 where id = $1', [
      endpoint.id,
      'https://192.0.2.1/hook',
    ]);
    await tenant.createOrder();
    const retrying = await delivery(endpoint.id, 'retrying');
    expect((await tenant.get(`/webhooks/deliveries/${retrying.id}`)).body.attempts[0]).toMatchObject({
      error: 'destination not allowed',
      response_status: null,
      response_body: null,
    });
  });

  it('removes a job from the queue after success and failure', async () => {
    const queue = new Queue<TurnData>(TURN_QUEUE, producerOptions(worker.app.get(Config), DELIVERY_JOB_OPTIONS));
    try {
      const endpoint = await createEndpoint(tenant, receiver.url);
      await tenant.createOrder();
      await delivery(endpoint.id, 'succeeded');
      await queue.add('deliver', { tenantId: 'of nobody', deliveries: [['none', 1]] });
      await until('the job to fail', () => worker.logLines.some((line) => line.includes('could not be processed')));
      await until('both to be gone', async () => {
        const counts = await queue.getJobCounts('waiting', 'active', 'completed', 'failed', 'delayed', 'prioritized');
        return Object.values(counts).every((count) => count === 0);
      });
    } finally {
      await queue.close();
    }
  });

  if (backend === 'Redis') {
    it('loses no delivery when Redis is emptied, and when it dies', async () => {
      await createEndpoint(tenant, receiver.url);
      const ids: string[] = [];
      for (let i = 0; i < 30; i++) {
        ids.push((await tenant.createOrder()).id as string);
        if (i === 10) await redis?.flush();
        if (i === 15) await redis?.kill();
        if (i === 20) await redis?.start();
      }
      await until(
        'every order',
        () => {
          const arrived = new Set(receiver.received.map((received) => message(received).data.id));
          return ids.every((id) => arrived.has(id));
        },
        40_000,
      );
    });
  }
});
