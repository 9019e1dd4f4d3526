import type { ApiClient } from '../harness/client';
import { createEndpoint } from '../harness/endpoints';
import { startReceiver, type Received, type Receiver } from '../harness/receiver';
import { startService, type TestService } from '../harness/service';
import { until } from '../harness/until';
import { seedDeliveries } from '../harness/webhooks';
import { startWorker, type TestWorker } from '../harness/worker';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

describe('an endpoint that has failed for days', () => {
  let service: TestService;
  let worker: TestWorker;
  let receiver: Receiver;
  let witness: Receiver;
  let tenant: ApiClient;

  beforeAll(async () => {
    service = await startService({ env: { WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8' } });
    worker = await startWorker(service.database, { WEBHOOK_RETRY_SCHEDULE: '200ms,400ms' });
  });
  afterAll(async () => {
    await worker.stop();
    await service.stop();
  });
  beforeEach(async () => {
    receiver = await startReceiver();
    witness = await startReceiver();
    tenant = await service.tenant();
    await createEndpoint(tenant, witness.url, { event_types: ['webhook.endpoint.disabled'] });
  });
  afterEach(() => Promise.all([receiver.stop(), witness.stop()]));

  /** An endpoint with one failed attempt at each of these times, and none that succeeded. */
  async function failingSince(...ago: number[]): Promise<string> {
    const { id } = await createEndpoint(tenant, receiver.url, { event_types: ['order.created'] });
    const seeds = ago.map((milliseconds) => {
      const startedAt = new Date(Date.now() - milliseconds);
      const attempts = [{ succeeded: false, durationMs: 5, startedAt }];
      return { status: 'failed', createdAt: startedAt, attempts };
    });
    await seedDeliveries(service.database, tenant.tenantId, id, seeds);
    await service.database.sql('update webhook_endpoints set failing_since = $2 where id = $1', [
      id,
      new Date(Date.now() - Math.max(...ago)),
    ]);
    return id;
  }

  const endpoint = async (id: string) => (await tenant.get(`/webhooks/endpoints/${id}`)).body;

  it('is not disabled by one failure after a long silence, and works on after the retry', async () => {
    const id = await failingSince(6 * DAY);
    receiver.respond = (response) => void response.writeHead(receiver.received.length > 1 ? 204 : 500).end();
    await tenant.createOrder();
    await receiver.waitFor(2);
    await until('the delivery to succeed', async () => {
      const { body } = await tenant.get(`/webhooks/deliveries?endpoint_id=${id}&status=succeeded`);
      return body.data.length === 1;
    });
    expect(await endpoint(id)).toMatchObject({ enabled: true, disabled_reason: null });
    expect(witness.received).toEqual([]);
  });

  it('is not disabled where a day of the last three had no failure', async () => {
    const id = await failingSince(6 * DAY, 2 * DAY + HOUR);
    receiver.respond = (response) => void response.writeHead(receiver.received.length > 1 ? 204 : 500).end();
    await tenant.createOrder();
    await receiver.waitFor(2);
    expect(await endpoint(id)).toMatchObject({ enabled: true });
  });

  it('is disabled when the newest delivery has used up its schedule, and the event reports it', async () => {
    const id = await failingSince(6 * DAY);
    receiver.respond = (response) => void response.writeHead(500).end();
    await tenant.createOrder();
    const [told] = (await witness.waitFor(1)) as [Received];
    expect(receiver.received).toHaveLength(3);
    const { type, data } = JSON.parse(told.body) as { type: string; data: Record<string, unknown> };
    expect([type, data.id, data.enabled]).toEqual(['webhook.endpoint.disabled', id, false]);
    expect(data.disabled_reason).toMatch(
      /^Every delivery has failed for 5 days: none has succeeded since 20.*newest delivery/,
    );
    expect((await endpoint(id)).disabled_reason).toBe(data.disabled_reason);
  });

  it('is disabled at once where an attempt failed on each of the last three days', async () => {
    const id = await failingSince(6 * DAY, 2 * DAY + HOUR, DAY + HOUR);
    receiver.respond = (response) => void response.writeHead(500).end();
    await tenant.createOrder();
    const [told] = (await witness.waitFor(1)) as [Received];
    expect(receiver.received).toHaveLength(1);
    const { data } = JSON.parse(told.body) as { data: Record<string, unknown> };
    expect(data).toMatchObject({ id, enabled: false });
    expect(data.disabled_reason).toMatch(/on each of the last three days\.$/);
  });

  it('is not disabled where anything succeeded meanwhile', async () => {
    const id = await failingSince(6 * DAY, 2 * DAY + HOUR, DAY + HOUR);
    const startedAt = new Date(Date.now() - 4 * DAY);
    const attempts = [{ succeeded: true, durationMs: 5, startedAt }];
    await seedDeliveries(service.database, tenant.tenantId, id, [
      { status: 'succeeded', createdAt: startedAt, attempts },
    ]);
    receiver.respond = (response) => void response.writeHead(500).end();
    await tenant.createOrder();
    await until('the schedule to be used up', async () => {
      const { body } = await tenant.get(`/webhooks/deliveries?endpoint_id=${id}&status=failed&limit=1`);
      return body.data[0]?.attempt_count === 3;
    });
    expect(await endpoint(id)).toMatchObject({ enabled: true });
  });
});
