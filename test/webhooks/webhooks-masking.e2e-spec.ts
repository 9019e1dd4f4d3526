import { ApiClient } from '../harness/client';
import { createEndpoint } from '../harness/endpoints';
import { faultsOf } from '../harness/problems';
import { startReceiver, type Received, type Receiver } from '../harness/receiver';
import { startService, type TestService } from '../harness/service';
import { makeEndpoint } from '../harness/webhooks';
import { startWorker, type TestWorker } from '../harness/worker';
import { PartsBackfill } from '../../src/webhooks/endpoints/parts-backfill';

const URL = 'https://example.com/hooks?token=IN-THE-URL';
const HEADERS = { Authorization: 'Bearer IN-A-HEADER', 'X-Team': 'a' };
const MASKED = { url: 'https://example.com/hooks?***', headers: { Authorization: '***', 'X-Team': '***' } };

describe('the URL and headers of an endpoint', () => {
  let service: TestService;
  let worker: TestWorker;
  let receiver: Receiver;
  let tenant: ApiClient;

  beforeAll(async () => {
    service = await startService({ env: { WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8' } });
    worker = await startWorker(service.database);
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

  const secretOf = async (id: string) => (await tenant.get(`/webhooks/endpoints/${id}/secret`)).body;
  const rowOf = async (id: string) =>
    JSON.stringify(await service.database.sql('select * from webhook_endpoints where id = $1', [id]));

  it('is shown masked, and whole at the secret’s route only', async () => {
    const response = await tenant.post('/webhooks/endpoints', { url: URL, headers: HEADERS, event_types: ['*'] });
    expect(response.body).toMatchObject(MASKED);
    const { id, secret } = response.body;
    for (const path of ['', `/${id}`])
      expect((await tenant.get(`/webhooks/endpoints${path}`)).text).not.toContain('IN-');
    expect((await tenant.get(`/webhooks/endpoints/${id}`)).body).toMatchObject(MASKED);
    const patched = await tenant.patch(`/webhooks/endpoints/${id}`, { description: 'x' });
    expect(patched.body).toMatchObject({ ...MASKED, version: 2 });
    expect(await secretOf(id)).toEqual({ secret, url: URL, headers: HEADERS });
  });

  it('is encrypted at rest, bound to its row', async () => {
    const { id } = await makeEndpoint(tenant, { url: URL, headers: HEADERS });
    const row = await rowOf(id);
    expect(row).not.toContain('IN-');
    const other = await makeEndpoint(tenant, { url: URL, headers: HEADERS });
    await service.database.sql(
      'update webhook_endpoints set encrypted_parts = (select encrypted_parts from webhook_endpoints where id = $2) where id = $1',
      [id, other.id],
    );
    expect((await tenant.get(`/webhooks/endpoints/${id}/secret`)).status).toBe(500);
    expect(await secretOf(other.id)).toMatchObject({ url: URL });
  });

  it('is what the receiver gets', async () => {
    const { id } = await createEndpoint(tenant, `${receiver.url}/in?token=IN-THE-URL`, { headers: HEADERS });
    await tenant.createOrder();
    const [first] = (await receiver.waitFor(1)) as [Received];
    expect([first.path, first.headers.authorization]).toEqual(['/in?token=IN-THE-URL', HEADERS.Authorization]);
    expect((await tenant.patch(`/webhooks/endpoints/${id}`, { headers: { 'X-Other': 'b' } })).status).toBe(200);
    await tenant.createOrder();
    const [, second] = (await receiver.waitFor(2)) as [Received, Received];
    expect([second.path, second.headers['x-other'], second.headers.authorization]).toEqual([
      '/in?token=IN-THE-URL',
      'b',
      undefined,
    ]);
  });

  it('stays what it is when it is sent back as it was read', async () => {
    const { id, secret } = await makeEndpoint(tenant, { url: URL, headers: HEADERS });
    const { url, headers } = (await tenant.get(`/webhooks/endpoints/${id}`)).body;
    const same = await tenant.patch(`/webhooks/endpoints/${id}`, { url, headers });
    expect([same.status, same.body.version]).toEqual([200, 1]);
    const partly = await tenant.patch(`/webhooks/endpoints/${id}`, { headers: { authorization: '***', 'X-New': 'n' } });
    expect(partly.body).toMatchObject({ version: 2, headers: { authorization: '***', 'X-New': '***' } });
    expect(await secretOf(id)).toEqual({
      secret,
      url: URL,
      headers: { authorization: HEADERS.Authorization, 'X-New': 'n' },
    });
    const query = await tenant.patch(`/webhooks/endpoints/${id}`, { url: 'https://example.com/hooks?token=another' });
    expect(query.body).toMatchObject({ version: 3, url: MASKED.url });
    expect(await secretOf(id)).toMatchObject({ url: 'https://example.com/hooks?token=another' });
  });

  it('is not replaced by a mask that stands for nothing', async () => {
    const { id } = await makeEndpoint(tenant, { url: 'https://example.com/hooks', headers: { A: '1' } });
    const response = await tenant.patch(`/webhooks/endpoints/${id}`, {
      url: 'https://example.org/?***',
      headers: { B: '***' },
    });
    expect(faultsOf(response)).toEqual(['headers.B: masked', 'url: masked']);
    expect(await secretOf(id)).toMatchObject({ url: 'https://example.com/hooks', headers: { A: '1' } });
  });

  it('of a release before is masked, sent, and encrypted by the leader after a while', async () => {
    const { id } = await createEndpoint(tenant, receiver.url);
    const clear = `${receiver.url}/old?token=IN-THE-URL`;
    await service.database.sql('update webhook_endpoints set url = $2, headers = $3 where id = $1', [
      id,
      clear,
      JSON.stringify(HEADERS),
    ]);
    const shown = (await tenant.get(`/webhooks/endpoints/${id}`)).body;
    expect(shown).toMatchObject({ url: `${receiver.url}/old?***`, headers: MASKED.headers });
    expect(await secretOf(id)).toMatchObject({ url: clear, headers: HEADERS });
    await tenant.createOrder();
    expect((await receiver.waitFor(1))[0]).toMatchObject({ path: '/old?token=IN-THE-URL' });

    expect(await worker.app.get(PartsBackfill).run()).toBeGreaterThanOrEqual(1);
    expect(await rowOf(id)).not.toContain('IN-');
    expect((await tenant.get(`/webhooks/endpoints/${id}`)).body).toEqual(shown);
    expect(await secretOf(id)).toMatchObject({ url: clear, headers: HEADERS });
    await tenant.createOrder();
    const second = (await receiver.waitFor(2))[1] as Received;
    expect([second.path, second.headers.authorization]).toEqual(['/old?token=IN-THE-URL', HEADERS.Authorization]);
    expect(await worker.app.get(PartsBackfill).run()).toBe(0);
  });
});
