import { randomUUID } from 'node:crypto';
import type { ApiClient } from '../harness/client';
import { expectProblem } from '../harness/problems';
import { startService, type TestService } from '../harness/service';
import { endpointInput, makeEndpoint, seedDeliveries } from '../harness/webhooks';

describe('webhook endpoints', () => {
  let service: TestService;
  let tenant: ApiClient;

  beforeAll(async () => {
    service = await startService();
    tenant = await service.tenant();
  });
  afterAll(() => service.stop());

  const rowsOf = (client: ApiClient) =>
    service.database.sql<{ id: string }>('select id from webhook_endpoints where tenant_id = $1', [client.tenantId]);

  describe('creating', () => {
    it('responds with 201 with every field and the secret', async () => {
      const response = await tenant.post('/webhooks/endpoints', {
        url: 'https://example.com:8443/hooks?x=1',
        description: 'Warehouse\nnorth',
        event_types: ['order.created', 'order.*', 'invoice.*', '*', 'order.created'],
        headers: { Authorization: 'Bearer mine', 'X-Team': 'a' },
        rate_limit: 10,
        ordering: 'by_aggregate',
      });
      expect(response.status).toBe(201);
      const { secret, ...endpoint } = response.body;
      expect(endpoint).toEqual({
        id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-7/),
        url: 'https://example.com:8443/hooks?***',
        description: 'Warehouse\nnorth',
        event_types: ['order.created', 'order.*', 'invoice.*', '*'],
        headers: { Authorization: '***', 'X-Team': '***' },
        rate_limit: 10,
        ordering: 'by_aggregate',
        signature: 'v1',
        enabled: true,
        disabled_reason: null,
        version: 1,
        created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
        updated_at: endpoint.created_at,
      });
      expect(secret).toMatch(/^whsec_/);
      expect(Buffer.from(secret.slice(6), 'base64')).toHaveLength(32);
      expect(response.headers.get('location')).toBe(`/api/v1/webhooks/endpoints/${endpoint.id}`);
      expect(response.headers.get('etag')).toBe('"1"');
      expect(response.headers.get('cache-control')).toBe('no-store');
      const read = await tenant.get(`/webhooks/endpoints/${endpoint.id}`);
      expect(read.body).toEqual(endpoint);
      expect(read.text).not.toContain('whsec_');
    });

    it('fills in what is left out', async () => {
      const endpoint = await makeEndpoint(tenant);
      expect(endpoint).toMatchObject({
        description: null,
        headers: {},
        rate_limit: null,
        ordering: 'none',
        enabled: true,
      });
    });

    it('makes one that is disabled', async () => {
      expect(await makeEndpoint(tenant, { enabled: false })).toMatchObject({
        enabled: false,
        disabled_reason: 'Disabled by a person.',
      });
    });

    it('replays the secret under an Idempotency-Key, and stores it encrypted', async () => {
      const key = randomUUID();
      const first = await tenant.post('/webhooks/endpoints', endpointInput(), { 'idempotency-key': key });
      const second = await tenant.post('/webhooks/endpoints', endpointInput(), { 'idempotency-key': key });
      expect(second.text).toBe(first.text);
      expect(second.headers.get('idempotency-replayed')).toBe('true');
      expect(second.headers.get('etag')).toBe('"1"');
      const other = await tenant.post('/webhooks/endpoints', endpointInput({ rate_limit: 1 }), {
        'idempotency-key': key,
      });
      expectProblem(other, 'idempotency_key_reused');

      const { secret, id } = first.body;
      const [kept] = await service.database.sql('select body from idempotency_keys where key = $1', [key]);
      expect(kept?.body).toMatch(/^v1\.jwt\./);
      expect(await dump()).not.toContain(secret);
      expect(await dump()).toContain(id);
      // An encrypted response is bound to its key: copied under another, it does not decrypt.
      await service.database.sql('update idempotency_keys set key = $2 where key = $1', [key, 'another']);
      const moved = await tenant.post('/webhooks/endpoints', endpointInput(), { 'idempotency-key': 'another' });
      expectProblem(moved, 'internal_error');
      expect(moved.text).not.toContain('whsec');
    });

    /** Everything that a dump of the webhooks' and idempotency tables would show. */
    async function dump(): Promise<string> {
      const [rows] = await service.database.sql(
        `select (select json_agg(i)::text from idempotency_keys i) || (select json_agg(p)::text from webhook_endpoints p) as text`,
      );
      return rows?.text as string;
    }

    it('stops at 1,000 endpoints of a tenant, also where two come at once', async () => {
      const crowded = await service.tenant();
      const { id } = await makeEndpoint(crowded);
      await service.database.sql(
        `insert into webhook_endpoints select p.tenant_id, gen_random_uuid(), p.url, p.description, p.event_types,
           p.headers, p.rate_limit, p.ordering, p.signature, p.secret, null, null, p.enabled, null, null, 1,
           p.created_at, p.updated_at
         from webhook_endpoints p, generate_series(1, 998) where p.id = $1`,
        [id],
      );
      const responses = await Promise.all([1, 2, 3, 4].map(() => crowded.post('/webhooks/endpoints', endpointInput())));
      expect(responses.map((response) => response.status).sort()).toEqual([201, 422, 422, 422]);
      const refused = responses.find((response) => response.status === 422);
      expectProblem(refused as (typeof responses)[0], 'business_rule_violation');
      expect(await rowsOf(crowded)).toHaveLength(1000);
      expect((await tenant.post('/webhooks/endpoints', endpointInput())).status).toBe(201);
    });
  });

  describe('reading', () => {
    it('lists by cursor, newest first, without secrets', async () => {
      const lister = await service.tenant();
      const ids: string[] = [];
      for (let i = 0; i < 5; i++) ids.unshift((await makeEndpoint(lister)).id);
      const seen: string[] = [];
      let path: string | null = '/webhooks/endpoints?limit=2';
      while (path) {
        const page = await lister.get(path);
        expect(page.status).toBe(200);
        expect(page.text).not.toContain('secret');
        expect(page.body.has_more).toBe(page.body.next_cursor !== null);
        seen.push(...page.body.data.map((endpoint: { id: string }) => endpoint.id));
        const link: string | undefined = /<\/api\/v1([^>]+)>; rel="next"/.exec(page.headers.get('link') ?? '')?.[1];
        expect(link === undefined).toBe(page.body.next_cursor === null);
        path = link ?? null;
      }
      expect(seen).toEqual(ids);
      const { next_cursor: cursor } = (await lister.get('/webhooks/endpoints?limit=2')).body;
      expectProblem(await tenant.get(`/webhooks/endpoints?limit=2&cursor=${cursor}`), 'invalid_cursor');
      expectProblem(await lister.get(`/webhooks/events?cursor=${cursor}`), 'invalid_cursor');
    });

    it('responds with 304 for a current version', async () => {
      const { id } = await makeEndpoint(tenant);
      const same = await tenant.get(`/webhooks/endpoints/${id}`, { 'if-none-match': '"1"' });
      expect([same.status, same.text, same.headers.get('etag')]).toEqual([304, '', '"1"']);
      expect((await tenant.get(`/webhooks/endpoints/${id}`, { 'if-none-match': '"2"' })).status).toBe(200);
    });

    it.each(['not-an-id', randomUUID()])('responds with 404 for %s', async (id) => {
      const problem = expectProblem(await tenant.get(`/webhooks/endpoints/${id}`), 'not_found');
      expect(problem.detail).toBe(`Endpoint '${id}' not found`);
    });
  });

  describe('changing', () => {
    it('changes what is sent and keeps the rest', async () => {
      const { id, ...before } = await makeEndpoint(tenant, { description: 'a', headers: { A: '1' }, rate_limit: 5 });
      const change = { url: 'https://example.org/x', description: null, headers: { B: '2' }, event_types: ['*'] };
      const response = await tenant.patch(`/webhooks/endpoints/${id}`, change, { 'if-match': '"1"' });
      expect(response.status).toBe(200);
      expect(response.headers.get('etag')).toBe('"2"');
      const { secret: _, updated_at: __, ...kept } = before;
      expect(response.body).toMatchObject({ ...kept, ...change, headers: { B: '***' }, version: 2, rate_limit: 5 });
      expect(Object.keys(response.body)).not.toContain('secret');
      const unlimited = await tenant.patch(`/webhooks/endpoints/${id}`, { rate_limit: null, ordering: 'by_aggregate' });
      expect(unlimited.body).toMatchObject({ rate_limit: null, ordering: 'by_aggregate', version: 3 });
    });

    it('keeps the version where nothing changes', async () => {
      const endpoint = await makeEndpoint(tenant, { headers: { B: '2', A: '1' } });
      for (const change of [
        {},
        { url: endpoint.url, event_types: ['order.*', 'order.*'], headers: { A: '1', B: '2' }, enabled: true },
        { description: null, rate_limit: null, ordering: 'none', signature: 'v1' },
      ]) {
        const response = await tenant.patch(`/webhooks/endpoints/${endpoint.id}`, change);
        expect(response.body).toMatchObject({ version: 1, updated_at: endpoint.updated_at });
      }
    });

    it('responds with 412 for another version, and lets one of two racers win', async () => {
      const { id } = await makeEndpoint(tenant);
      const responses = await Promise.all(
        [1, 2, 3, 4].map((limit) =>
          tenant.patch(`/webhooks/endpoints/${id}`, { rate_limit: limit }, { 'if-match': '"1"' }),
        ),
      );
      expect(responses.map((response) => response.status).sort()).toEqual([200, 412, 412, 412]);
      expectProblem(await tenant.delete(`/webhooks/endpoints/${id}`, { 'if-match': '"1"' }), 'version_conflict');
      expect((await tenant.delete(`/webhooks/endpoints/${id}`, { 'if-match': '"2"' })).status).toBe(204);
    });

    it('keeps what waits as disabled, and clears the reason when it is enabled again', async () => {
      const { id } = await makeEndpoint(tenant);
      const other = await makeEndpoint(tenant);
      const statuses = ['pending', 'retrying', 'succeeded', 'failed', 'filtered'].map((status) => ({ status }));
      await seedDeliveries(service.database, tenant.tenantId, id, statuses);
      await seedDeliveries(service.database, tenant.tenantId, other.id, [{ status: 'pending' }]);
      await service.database.sql('update webhook_endpoints set failing_since = now() where id = $1', [id]);

      const disabled = (await tenant.patch(`/webhooks/endpoints/${id}`, { enabled: false })).body;
      expect(disabled).toMatchObject({ enabled: false, disabled_reason: 'Disabled by a person.', version: 2 });
      const { data } = (await tenant.get(`/webhooks/deliveries?endpoint_id=${id}`)).body;
      expect(data.map((delivery: { status: string }) => delivery.status).sort()).toEqual(
        ['disabled', 'disabled', 'failed', 'filtered', 'succeeded'],
      ); // prettier-ignore
      for (const delivery of data)
        expect([delivery.next_attempt_at, delivery.completed_at === null]).toEqual([null, false]);
      expect((await tenant.get(`/webhooks/deliveries?endpoint_id=${other.id}`)).body.data[0].status).toBe('pending');

      const enabled = (await tenant.patch(`/webhooks/endpoints/${id}`, { enabled: true })).body;
      expect(enabled).toMatchObject({ enabled: true, disabled_reason: null, version: 3 });
      const [row] = await service.database.sql('select failing_since from webhook_endpoints where id = $1', [id]);
      expect(row?.failing_since).toBeNull();
    });
  });

  it('removes an endpoint, cancels what waits for it and keeps the log', async () => {
    const { id } = await makeEndpoint(tenant);
    const seeds = ['pending', 'retrying', 'succeeded'].map((status) => ({ status }));
    await seedDeliveries(service.database, tenant.tenantId, id, seeds);
    const response = await tenant.delete(`/webhooks/endpoints/${id}`);
    expect([response.status, response.text]).toEqual([204, '']);
    const { data } = (await tenant.get(`/webhooks/deliveries?endpoint_id=${id}`)).body;
    const left = data.map((delivery: { status: string }) => delivery.status).sort();
    expect(left).toEqual(['cancelled', 'cancelled', 'succeeded']);
    expectProblem(await tenant.get(`/webhooks/endpoints/${id}`), 'not_found');
    expectProblem(await tenant.delete(`/webhooks/endpoints/${id}`), 'not_found');
    expectProblem(await tenant.patch(`/webhooks/endpoints/${id}`, { rate_limit: 1 }), 'not_found');
  });
});
