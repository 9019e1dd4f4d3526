import { Webhook } from 'standardwebhooks';
import type { ApiClient } from '../harness/client';
import { createEndpoint } from '../harness/endpoints';
import { startReceiver, type Received, type Receiver } from '../harness/receiver';
import { startService, type TestService } from '../harness/service';
import { until } from '../harness/until';
import { makeEndpoint } from '../harness/webhooks';
import { startWorker, type TestWorker } from '../harness/worker';

interface Message {
  type: string;
  data: { challenge: string };
}
const messageOf = ({ body }: Received) => JSON.parse(body) as Message;

describe('the consent of receivers', () => {
  let service: TestService;
  let worker: TestWorker;
  let receiver: Receiver;
  let tenant: ApiClient;

  beforeAll(async () => {
    service = await startService({ env: { WEBHOOK_CONSENT: 'true', WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8' } });
    worker = await startWorker(service.database, { WEBHOOK_RETRY_SCHEDULE: '200ms,200ms,200ms,200ms,200ms,200ms' });
  });
  beforeEach(async () => {
    tenant = await service.tenant();
    receiver = await startReceiver();
  });
  afterEach(() => receiver.stop());
  afterAll(async () => {
    await worker.stop();
    await service.stop();
  });

  const shown = async (id: string) => (await tenant.get(`/webhooks/endpoints/${id}`)).body;
  const types = () => receiver.received.map((received) => messageOf(received).type);

  /** An endpoint on a public host; its URL is changed to the receiver before anything is sent. */
  async function publicEndpoint(): Promise<{ id: string; secret: string; consent?: string }> {
    const endpoint = await makeEndpoint(tenant, { event_types: ['*'], enabled: false });
    await service.database.sql('update webhook_endpoints set url = $2 where id = $1', [endpoint.id, receiver.url]);
    expect((await tenant.patch(`/webhooks/endpoints/${endpoint.id}`, { enabled: true })).status).toBe(200);
    return endpoint;
  }

  it('is requested by a signed challenge, and no other event is sent before it is given', async () => {
    let agree = false;
    receiver.respond = (response, received) => {
      const { type, data } = messageOf(received);
      if (type !== 'webhook.challenge') response.writeHead(204).end();
      else response.writeHead(200).end(JSON.stringify({ challenge: agree ? data.challenge : 'another' }));
    };
    const { id, secret, consent } = await publicEndpoint();
    expect(consent).toBe('pending');
    const early = await tenant.createOrder();
    await tenant.post(`/webhooks/endpoints/${id}/test`);
    const [first] = (await receiver.waitFor(2)) as [Received];
    new Webhook(secret).verify(first.body, first.headers as Record<string, string>);
    expect(messageOf(first).data.challenge).toMatch(/^[\w-]{43}$/);
    expect(await shown(id)).toMatchObject({ consent: 'pending' });
    const tries = (await tenant.get(`/webhooks/deliveries?endpoint_id=${id}&event_type=webhook.challenge`)).body.data;
    const { attempts } = (await tenant.get(`/webhooks/deliveries/${tries[0].id}`)).body;
    expect(attempts[0]).toMatchObject({ response_status: 200, error: 'challenge not answered' });

    agree = true;
    await until('the consent', async () => !('consent' in (await shown(id))));
    expect(new Set(types().slice(0, -1))).toEqual(new Set(['webhook.challenge']));
    // The requested test waits until then.
    await until('the test', () => types().includes('webhook.test'));
    const kept = (await tenant.get(`/webhooks/deliveries?endpoint_id=${id}&event_type=order.created`)).body.data;
    expect(kept).toMatchObject([{ status: 'disabled' }]);
    const since = new Date(Date.now() - 60_000).toISOString();
    expect((await tenant.post(`/webhooks/endpoints/${id}/recover`, { since })).body).toEqual({ count: 1 });
    const later = await tenant.createOrder();
    await until('both orders', () => types().filter((type) => type === 'order.created').length === 2);
    const orders = receiver.received.map((received) => (JSON.parse(received.body) as { data: { id: string } }).data.id);
    expect(orders).toEqual(expect.arrayContaining([early.id, later.id]));
  });

  it.each([
    ['204', 204, () => ''],
    ['200 without it', 200, () => 'ok'],
    ['201 with it', 201, (challenge: string) => JSON.stringify({ challenge })],
  ])('is not given by %s', async (_name, status, body) => {
    receiver.respond = (response, received) => {
      const text = body(messageOf(received).data.challenge);
      response.writeHead(status).end(status === 204 ? undefined : text);
    };
    const { id } = await publicEndpoint();
    await receiver.waitFor(2);
    expect(await shown(id)).toMatchObject({ consent: 'pending' });
    await tenant.createOrder();
    await receiver.waitFor(4);
    expect(new Set(types())).toEqual(new Set(['webhook.challenge']));
  });

  it('is requested again when the URL changes, and not for the service’s own networks', async () => {
    const own = await createEndpoint(tenant, receiver.url);
    expect(own).not.toHaveProperty('consent');
    await tenant.createOrder();
    await receiver.waitFor(1);
    expect(types()).toEqual(['order.created']);
    const moved = await tenant.patch(`/webhooks/endpoints/${own.id}`, { url: 'https://example.org/hooks' });
    expect(moved.body).toMatchObject({ consent: 'pending', version: 2 });
    const back = await tenant.patch(`/webhooks/endpoints/${own.id}`, { url: receiver.url });
    expect(back.body).not.toHaveProperty('consent');
  });

  it('is in the catalogue, and cannot be subscribed to by chance', async () => {
    const { body } = await tenant.get('/webhooks/event-types');
    const entry = body.data.find(({ name }: { name: string }) => name === 'webhook.challenge');
    expect(entry.example.data).toEqual({ challenge: expect.any(String) });
  });
});
