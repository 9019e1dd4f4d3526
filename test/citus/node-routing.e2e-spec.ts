import { ConnectionManager } from '../../src/platform/database/connections/connection-manager';
import type { NodeRouting } from '../../src/platform/database/connections/node-routing';
import { TENANT_SERVERS } from '../../src/platform/database/connections/tenant-server';
import { findTenant } from '../../src/platform/database/migrate/move-shards';
import { citusUrls, createDistributedDatabase, type DistributedDatabase } from '../harness/citus';
import { type ApiClient, orderInput } from '../harness/client';
import { createEndpoint } from '../harness/endpoints';
import { type Receiver, startReceiver } from '../harness/receiver';
import { startService, type TestService } from '../harness/service';
import { until } from '../harness/until';
import { startWorker, type TestWorker } from '../harness/worker';

jest.setTimeout(240_000);

const urls = citusUrls();
const onCitus = urls.length > 2 ? describe : describe.skip;
const NODE = { DATABASE_ROUTING: 'node', DB_NODE_POOL_SIZE: '6' };

onCitus('statements of tenants sent to the servers with their rows', () => {
  let database: DistributedDatabase;
  let service: TestService;
  let worker: TestWorker;
  let receiver: Receiver;

  beforeAll(async () => {
    database = await createDistributedDatabase(urls);
    service = await startService({ database, env: { ...NODE, WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8' } });
    worker = await startWorker(database, NODE);
    receiver = await startReceiver();
  });
  afterAll(async () => {
    await worker?.stop();
    await service?.stop();
    await receiver?.stop();
    await database?.drop();
  });

  const routing = (): NodeRouting => service.app.get<NodeRouting>(TENANT_SERVERS, { strict: false });

  async function portServing(tenantId: string): Promise<number> {
    const { connections } = routing().of(tenantId);
    const [row] = await connections.query<{ port: number }>(connections.transactionSettings('app_service', []), {
      name: 'port',
      text: 'select inet_server_port() as port',
      values: [],
    });
    return row?.port as number;
  }

  it('serve a tenant from registration to export', async () => {
    const tenant = await service.tenant();
    const { port } = await findTenant(database.ownerUrl, tenant.tenantId);
    expect(await portServing(tenant.tenantId)).toBe(port);
    const key = { 'idempotency-key': 'one' };
    const body = orderInput();
    const made = await tenant.post('/orders', body, key);
    expect(made.status).toBe(201);
    const again = await tenant.post('/orders', body, key);
    expect([again.status, again.text, again.headers.get('idempotency-replayed')]).toEqual([201, made.text, 'true']);
    const id = made.body.id as string;
    expect((await tenant.get(`/orders/${id}`)).status).toBe(200);
    expect((await tenant.patch(`/orders/${id}`, { notes: 'x' })).status).toBe(200);
    expect((await tenant.patch(`/orders/${id}/status`, { status: 'confirmed' })).status).toBe(200);
    expect((await tenant.post('/orders/batch', { orders: [orderInput(), orderInput()] })).status).toBe(201);
    expect((await tenant.get('/orders?limit=2')).body.data).toHaveLength(2);
    expect((await tenant.get('/orders/export')).text.trim().split('\n')).toHaveLength(3);
    expect((await tenant.get('/auth/me')).status).toBe(200);
    const session = tenant.session as NonNullable<typeof tenant.session>;
    const signedIn = await service.client.post('/auth/login', {
      email: session.user.email,
      password: 'a password for tests',
    });
    expect(signedIn.status).toBe(200);
    const refreshed = await service.client.post('/auth/refresh', { refresh_token: session.refresh_token });
    expect(refreshed.status).toBe(200);
    expect((await service.client.get('/.well-known/audit-keys.json')).status).toBe(200);
  });

  it('deliver webhooks', async () => {
    const tenant = await service.tenant();
    await createEndpoint(tenant, receiver.url, { event_types: ['order.*'] });
    const put = await tenant.request('PUT', '/webhooks/event-types/invoice.paid', {
      body: { schema: { type: 'object' } },
    });
    expect(put.status).toBe(201);
    const ids: string[] = [];
    for (let i = 0; i < 10; i++) ids.push((await tenant.createOrder()).id as string);
    const arrived = (): string[] =>
      receiver.received.map(({ body }) => (JSON.parse(body) as { data: { id: string } }).data.id);
    await until('every order to arrive', () => arrived().length >= ids.length, 30_000);
    expect(arrived().sort()).toEqual(ids.sort());
  });
});
