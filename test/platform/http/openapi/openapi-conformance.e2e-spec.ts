import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { AuditFolder } from '../../../../src/audit/folding/audit-folder';
import { type ApiResponse, ApiClient, orderInput } from '../../../harness/client';
import { Conformance, type OpenApiDocument } from '../../../harness/openapi';
import { peopleTour } from '../../../harness/people-tour';
import { startReceiver } from '../../../harness/receiver';
import { newEmail, startService, type TestService } from '../../../harness/service';
import { TcpProxy } from '../../../harness/tcp-proxy';
import { endpointInput, seedDeliveries } from '../../../harness/webhooks';
import { startWorker } from '../../../harness/worker';

/** A client that checks every response against the document. */
class Checked extends ApiClient {
  constructor(
    private readonly conformance: Conformance,
    private readonly plain: ApiClient,
  ) {
    super(plain.url, plain.session);
  }

  override async request(...call: Parameters<ApiClient['request']>): Promise<ApiResponse> {
    const response = await this.plain.request(...call);
    const [method, path, options] = call;
    const url = /^\/(health|docs|openapi|\.well-known|$)/.test(path) ? path : `/api/v1${path}`;
    expect(this.conformance.faultsOf(method, url, response, options?.body)).toEqual([]);
    return response;
  }
}

describe('the responses of the service', () => {
  let service: TestService;
  let conformance: Conformance;
  let anyone: Checked;
  let tenant: Checked;

  const checked = (client: ApiClient) => new Checked(conformance, client);
  const expectStatuses = async (...calls: [() => Promise<ApiResponse>, number][]) => {
    for (const [call, status] of calls) expect((await call()).status).toBe(status);
  };

  beforeAll(async () => {
    service = await startService();
    conformance = new Conformance((await service.client.get('/openapi.json')).body as OpenApiDocument);
    anyone = checked(service.client);
    tenant = checked(await service.tenant());
  });
  afterAll(() => service.stop());

  it('is as documented for health and documents', async () => {
    for (const path of ['/', '/health', '/health/live', '/health/ready', '/openapi.json', '/openapi.yaml', '/docs']) {
      await expectStatuses([() => anyone.get(path), 200]);
    }
    for (const file of ['start.js', 'page.css', 'swagger-ui.css', 'swagger-ui-bundle.js', 'favicon-32x32.png']) {
      await expectStatuses([() => anyone.get(`/docs/${file}`), 200]);
    }
    await expectStatuses(
      [() => anyone.get('/docs/swagger-ui.css', { range: 'bytes=0-9' }), 206],
      [() => anyone.get('/docs/swagger-ui.css', { range: 'bytes=99999999-' }), 416],
      [() => anyone.get('/docs/swagger-ui.css', { 'if-match': '"zz"' }), 412],
    );
  });

  it('is as documented for signing in and out', async () => {
    const input = { email: newEmail(), password: 'a password for tests', tenant_name: 'Tenant' };
    await expectStatuses(
      [() => anyone.post('/auth/register', input), 201],
      [() => anyone.post('/auth/register', input), 409],
      [() => anyone.post('/auth/register', { ...input, email: 'x', password: 'y', extra: 1 }), 422],
    );
    const login = await anyone.post('/auth/login', { email: input.email, password: input.password });
    expect(login.status).toBe(200);
    const refreshed = await anyone.post('/auth/refresh', { refresh_token: login.body.refresh_token });
    expect(refreshed.status).toBe(200);
    await expectStatuses(
      [() => anyone.post('/auth/login', { email: input.email, password: 'wrong' }), 401],
      [() => anyone.post('/auth/refresh', { refresh_token: 'unknown' }), 401],
      [() => anyone.post('/auth/logout', { refresh_token: refreshed.body.refresh_token }), 204],
      [() => anyone.get('/auth/me'), 401],
      [() => tenant.get('/auth/me'), 200],
    );
  });

  it('is as documented for orders', async () => {
    const key = { 'idempotency-key': randomUUID() };
    const input = { ...orderInput(), notes: 'n', metadata: { a: 'b' } };
    const created = await tenant.post('/orders', input, key);
    expect(created.status).toBe(201);
    const replayed = await tenant.post('/orders', input, key);
    expect(replayed.headers.get('idempotency-replayed')).toBe('true');
    const path = `/orders/${created.body.id}`;
    const etag = created.headers.get('etag') as string;
    await expectStatuses(
      [() => tenant.post('/orders', orderInput(), key), 422],
      [() => tenant.post('/orders', { ...input, items: [], currency: 'XXX' }), 422],
      [() => tenant.post('/orders/batch', { orders: [orderInput(), orderInput()] }), 201],
      [() => tenant.get(path), 200],
      [() => tenant.get(path, { 'if-none-match': etag }), 304],
      [() => tenant.get(`/orders/${randomUUID()}`), 404],
      [() => tenant.patch(path, { notes: null, metadata: { a: null } }, { 'if-match': etag }), 200],
      [() => tenant.patch(path, { notes: 'x' }, { 'if-match': etag }), 412],
      [() => tenant.patch(`${path}/status`, { status: 'confirmed' }), 200],
      [() => tenant.patch(`${path}/status`, { status: 'pending' }), 422],
      [() => tenant.get(`${path}/events?limit=1`), 200],
      [() => tenant.get('/orders?limit=1&status=confirmed&currency=usd'), 200],
      [() => tenant.get('/orders?limit=0'), 422],
      [() => tenant.get('/orders?cursor=x'), 400],
      [() => tenant.get('/orders/export'), 200],
      [() => tenant.get('/orders/export?format=csv'), 200],
    );
    const page = await tenant.get('/orders?limit=1');
    expect(page.headers.get('link')).toContain('rel="next"');
  });

  it('is as documented for requests that cannot be read', async () => {
    await expectStatuses(
      [() => tenant.post('/orders', '{'), 400],
      [() => tenant.post('/orders', orderInput(), { 'content-type': 'text/plain' }), 415],
      [() => tenant.post('/orders', { notes: 'x'.repeat(1_100_000) }), 413],
      [() => tenant.get('/orders', { accept: 'image/png' }), 406],
    );
  });

  it('is as documented for webhooks', async () => {
    const created = await tenant.post('/webhooks/endpoints', endpointInput({ rate_limit: 5, headers: { 'X-A': 'b' } }));
    expect(created.status).toBe(201);
    const path = `/webhooks/endpoints/${created.body.id}`;
    const [delivery] = await seedDeliveries(service.database, tenant.tenantId, created.body.id as string, [
      { status: 'failed', attempts: [{ succeeded: false, durationMs: 3 }] },
    ]);
    const event = await tenant.post('/webhooks/events', { type: 'a.b', data: { n: 1 }, event_id: randomUUID() });
    expect(event.status).toBe(202);
    const signed = await tenant.post('/webhooks/endpoints', endpointInput({ signature: 'v1a' }));
    expect(signed.status).toBe(201);
    await expectStatuses(
      [() => tenant.post('/webhooks/endpoints', { url: 'http://localhost', event_types: [] }), 422],
      [() => tenant.get('/webhooks/endpoints?limit=1'), 200],
      [() => tenant.get(path), 200],
      [() => tenant.patch(path, { description: 'd', rate_limit: null }), 200],
      [() => tenant.get(`${path}/secret`), 200],
      [() => tenant.post(`${path}/rotate-secret`, { overlap_seconds: 60 }), 200],
      [() => tenant.post(`${path}/test`), 202],
      [() => tenant.post(`${path}/recover`, { since: new Date(Date.now() - 60_000).toISOString() }), 202],
      [() => tenant.get(`${path}/stats`), 200],
      [() => tenant.get('/webhooks/jwks'), 200],
      [() => tenant.get('/webhooks/event-types'), 200],
      [() => tenant.request('PUT', '/webhooks/event-types/a.b', { body: { schema: { required: ['n'] } } }), 201],
      [() => tenant.request('PUT', '/webhooks/event-types/a.b', { body: { schema: { required: ['m'] } } }), 200],
      [() => tenant.request('PUT', '/webhooks/event-types/a.b', { body: { schema: { pattern: 'x' } } }), 422],
      [() => tenant.post('/webhooks/events', { type: 'a.b', data: {} }), 422],
      [() => tenant.get('/webhooks/event-types/a.b'), 200],
      [() => tenant.get('/webhooks/event-types'), 200],
      [() => tenant.get('/webhooks/event-types/order.created'), 200],
      [() => tenant.get('/webhooks/event-types/c.d'), 404],
      [() => tenant.delete('/webhooks/event-types/a.b', { 'if-match': '"999"' }), 412],
      [() => tenant.delete('/webhooks/event-types/order.created'), 422],
      [() => tenant.delete('/webhooks/event-types/a.b'), 204],
      [() => tenant.get('/webhooks/events'), 200],
      [() => tenant.get(`/webhooks/events/${event.body.id}`), 200],
      [() => tenant.get('/webhooks/deliveries?status=failed'), 200],
      [() => tenant.get(`/webhooks/deliveries/${delivery}`), 200],
      [() => tenant.post(`/webhooks/deliveries/${delivery}/retry`), 202],
      [() => tenant.delete(path, { 'if-match': '"999"' }), 412],
      [() => tenant.delete(path), 204],
      [() => tenant.get(path), 404],
    );
  });

  it('is as documented for people, roles, keys, the tenant and its log', async () => {
    const { database } = service;
    const env = { MAIL_DIRECTORY: tmpdir() };
    const open = await startService({ database, env: { ...env, REGISTRATION: 'open' } });
    const verified = await startService({ database, env: { ...env, REGISTRATION: 'verified' } });
    const worker = await startWorker(database);
    const folder = worker.app.get(AuditFolder, { strict: false });
    try {
      const fold = async (tenantId: string): Promise<void> => void (await folder.fold(tenantId));
      await peopleTour({ service: open, verified, wrap: checked, fold });
    } finally {
      await worker.stop();
      await verified.stop();
      await open.stop();
    }
  });

  it('is as documented over the limit', async () => {
    const few = { RATE_LIMIT_TENANT_PER_SECOND: '1', RATE_LIMIT_TENANT_BURST: '2', RATE_LIMIT_ADDRESS_PER_MINUTE: '3' };
    const limited = await startService({ database: service.database, env: few });
    try {
      const caller = checked(new ApiClient(limited.url, tenant.session));
      await expectStatuses(
        [() => caller.get('/orders'), 200],
        [() => caller.get('/orders'), 200],
        [() => caller.get('/orders'), 429],
      );
      const anonymous = checked(limited.client);
      for (let i = 0; i < 3; i++) await anonymous.post('/auth/logout', { refresh_token: 'x' });
      await expectStatuses([() => anonymous.post('/auth/logout', { refresh_token: 'x' }), 429]);
    } finally {
      await limited.stop();
    }
  });

  it('is as documented while the database is away', async () => {
    const proxy = await TcpProxy.start(Number(new URL(service.database.serviceUrl).port));
    const serviceUrl = proxy.through(service.database.serviceUrl);
    const cut = await startService({ database: { ...service.database, serviceUrl } });
    try {
      const anonymous = checked(cut.client);
      const caller = checked(new ApiClient(cut.url, tenant.session));
      await proxy.refuse();
      await expectStatuses(
        [() => caller.get('/orders'), 503],
        [() => caller.post('/orders', orderInput()), 503],
        [() => anonymous.post('/auth/login', { email: newEmail(), password: 'x' }), 503],
        [() => anonymous.get('/health/ready'), 503],
        [() => anonymous.get('/health'), 200],
      );
    } finally {
      await proxy.pass();
      await cut.stop();
      await proxy.refuse();
    }
  });

  it('has been checked for every success that is documented', () => {
    const missed = conformance.operations.flatMap(({ name, responses }) =>
      Object.keys(responses)
        .filter((status) => /^[23]/.test(status) && !conformance.seen.has(`${name} ${status}`))
        .map((status) => `${name} ${status}`),
    );
    // A 304 is one function for all.
    expect(missed.filter((what) => !what.endsWith(' 304'))).toEqual([]);
  });
});

describe('the messages of the service', () => {
  it('is as documented', async () => {
    const service = await startService({ env: { WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8' } });
    const receiver = await startReceiver();
    const worker = await startWorker(service.database);
    try {
      const document = (await service.client.get('/openapi.json')).body as OpenApiDocument;
      const conformance = new Conformance(document);
      const tenant = await service.tenant();
      await tenant.post('/webhooks/endpoints', { url: receiver.url, event_types: ['*'] });
      const order = (await tenant.createOrder()) as { id: string };
      await tenant.patch(`/orders/${order.id}`, { notes: 'n' });
      for (const status of ['confirmed', 'processing', 'completed']) {
        await tenant.patch(`/orders/${order.id}/status`, { status });
      }
      const types = new Set<string>();
      for (const { body, headers } of await receiver.waitFor(5)) {
        const message = JSON.parse(body) as { type: string };
        types.add(message.type);
        const { post } = document.webhooks[message.type] as { post: Record<string, unknown> };
        const { content } = post.requestBody as { content: Record<string, { schema: Record<string, unknown> }> };
        expect(conformance.schemaFaults(content['application/json']?.schema ?? {}, message, message.type)).toEqual([]);
        for (const { name, schema } of post.parameters as { name: string; schema: Record<string, unknown> }[]) {
          const text = headers[name] as string;
          expect(conformance.schemaFaults(schema, schema.type === 'integer' ? Number(text) : text, name)).toEqual([]);
        }
      }
      expect([...types].sort()).toEqual(
        ['completed', 'confirmed', 'created', 'processing', 'updated'].map((type) => `order.${type}`),
      );
    } finally {
      await worker.stop();
      await receiver.stop();
      await service.stop();
    }
  });
});
