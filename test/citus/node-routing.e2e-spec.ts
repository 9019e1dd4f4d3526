import type { TenantServer, TenantServers } from '../../src/platform/database/connections/tenant-server';
import { TENANT_SERVERS } from '../../src/platform/database/connections/tenant-server';
import { findTenant, moveTenant } from '../../src/platform/database/migrate/move-shards';
import { DB_ROLES } from '../../src/platform/database/sql/db-roles';
import { TenantDatabase } from '../../src/platform/database/tenant-database';
import { lockMembers } from '../../src/tenants/tenant-lock';
import {
  citusUrls,
  createDistributedDatabase,
  createOwnedDatabase,
  type DistributedDatabase,
  type OwnedDatabase,
  runOn,
} from '../harness/citus';
import { type ApiClient, type ApiResponse, orderInput } from '../harness/client';
import { createEndpoint } from '../harness/endpoints';
import { type Receiver, startReceiver } from '../harness/receiver';
import { startService, type TestService } from '../harness/service';
import { TcpProxy } from '../harness/tcp-proxy';
import { until } from '../harness/until';
import { startWorker, type TestWorker } from '../harness/worker';

const urls = citusUrls();
const onCitus = urls.length > 2 ? describe : describe.skip;
const MAX_ENDPOINTS = 3;
const NODE = {
  DATABASE_ROUTING: 'node',
  DB_NODE_POOL_SIZE: '6',
  WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8',
  WEBHOOK_MAX_ENDPOINTS: String(MAX_ENDPOINTS),
};

onCitus('DATABASE_ROUTING=node, on a real Citus', () => {
  let database: OwnedDatabase;
  let service: TestService;
  /** A process that takes each tenant for one of another server. */
  let mistaken: TestService;
  let worker: TestWorker;
  let receiver: Receiver;

  beforeAll(async () => {
    database = await createOwnedDatabase(urls);
    await database.joinServers();
    await database.migrate();
    service = await startService({ database, env: NODE });
    mistaken = await startService({ database, env: NODE });
    mistake(serversOf(mistaken));
    worker = await startWorker(database, NODE);
    receiver = await startReceiver();
  });
  afterAll(async () => {
    await worker?.stop();
    await mistaken?.stop();
    await service?.stop();
    await receiver?.stop();
    await database?.drop();
  });

  const serversOf = ({ app }: TestService): TenantServers => app.get<TenantServers>(TENANT_SERVERS, { strict: false });

  function mistake(servers: TenantServers): void {
    const right = servers.of.bind(servers);
    const all = new Set<TenantServer>();
    for (let i = 0; i < 200; i++) all.add(right(`01a00000-0000-7000-8000-${String(i).padStart(12, '0')}`));
    expect(all.size).toBe(urls.length - 1);
    servers.of = (tenantId, central) => {
      const server = right(tenantId, central);
      return central ? server : ([...all].find((one) => one !== server) as TenantServer);
    };
  }

  /** The same caller at another process. */
  function at(other: TestService, tenant: ApiClient): ApiClient {
    return other.client.withToken((tenant.session as NonNullable<typeof tenant.session>).access_token);
  }

  async function portServing(of: TestService, tenantId: string): Promise<number> {
    const [row] = await of.app
      .get(TenantDatabase, { strict: false })
      .query<{ port: number }>(
        { tenantId },
        { name: 'server_port', text: 'select inet_server_port() as port', values: [] },
      );
    return row?.port as number;
  }

  const placeOf = async (tenant: ApiClient): Promise<number> =>
    (await findTenant(database.ownerUrl, tenant.tenantId)).port;

  it('is where the rows of the tenant are; a mistaken process is elsewhere', async () => {
    for (let i = 0; i < 6; i++) {
      const tenant = await service.tenant();
      const port = await placeOf(tenant);
      expect(await portServing(service, tenant.tenantId)).toBe(port);
      expect(await portServing(mistaken, tenant.tenantId)).not.toBe(port);
    }
  });

  describe.each([
    ['a process that sends statements to the right server', () => service],
    ['a mistaken process', () => mistaken],
  ])('%s', (_, process) => {
    it('serves a tenant from registration to export', async () => {
      const { client } = process();
      const tenant = await process().tenant();
      const key = { 'idempotency-key': 'one' };
      const body = orderInput();
      const made = await tenant.post('/orders', body, key);
      expect(made.status).toBe(201);
      const again = await tenant.post('/orders', body, key);
      expect([again.status, again.text, again.headers.get('idempotency-replayed')]).toEqual([201, made.text, 'true']);
      const id = made.body.id as string;
      expect((await tenant.get(`/orders/${id}`)).body).toEqual(made.body);
      expect((await tenant.patch(`/orders/${id}`, { notes: 'x' })).status).toBe(200);
      expect((await tenant.patch(`/orders/${id}/status`, { status: 'confirmed' })).status).toBe(200);
      expect((await tenant.post('/orders/batch', { orders: [orderInput(), orderInput()] })).status).toBe(201);
      const list = await tenant.get('/orders?limit=2');
      expect([list.body.data.length, list.body.has_more]).toEqual([2, true]);
      expect((await tenant.get(`/orders/${id}/events`)).body.data).toHaveLength(3);
      expect((await tenant.get('/orders/export')).text.trim().split('\n')).toHaveLength(3);
      expect((await tenant.get('/auth/me')).status).toBe(200);
      expect((await tenant.get('/audit-log')).status).toBe(200);
      expect((await tenant.post('/api-keys', { name: 'k', kind: 'tenant', scopes: ['orders:read'] })).status).toBe(201);
      const session = tenant.session as NonNullable<typeof tenant.session>;
      const login = { email: session.user.email, password: 'a password for tests' };
      const signedIn = await client.post('/auth/login', login);
      expect(signedIn.status).toBe(200);
      expect((await client.post('/auth/refresh', { refresh_token: session.refresh_token })).status).toBe(200);
      expect((await client.post('/auth/logout', { refresh_token: signedIn.body.refresh_token })).status).toBe(204);
      expect((await client.get('/.well-known/audit-keys.json')).status).toBe(200);
    });

    it('keeps tenants apart', async () => {
      const [one, two] = [await process().tenant(), await process().tenant()];
      const order = await one.createOrder();
      expect((await two.get(`/orders/${order.id as string}`)).status).toBe(404);
      expect((await two.get('/orders')).body.data).toEqual([]);
      const unfiltered = { name: 'orders_of_all', text: 'select tenant_id from orders', values: [] };
      const rows = await process()
        .app.get(TenantDatabase, { strict: false })
        .query({ tenantId: one.tenantId }, unfiltered);
      expect(rows).toEqual([{ tenant_id: one.tenantId }]);
    });

    it('sees no row without a tenant, and has the settings of the role', async () => {
      const { tenantId } = await process().tenant();
      const { connections } = serversOf(process()).of(tenantId);
      const nobody = connections.transactionSettings(DB_ROLES.service, [], true);
      const orders = { name: 'orders_any', text: 'select 1 from orders limit 1', values: [] };
      await expect(connections.query(nobody, orders)).rejects.toThrow();
      const text = `select current_setting('statement_timeout') as timeout, current_user as role, session_user as login,
                           current_setting('citus.max_adaptive_executor_pool_size') as connections`;
      expect(await connections.query(nobody, { name: 'settings_seen', text, values: [] })).toEqual([
        { timeout: '15s', role: 'app_service', login: 'app_service', connections: '1' },
      ]);
      // A setting beyond these would be one that migrate has not made on the server.
      expect(nobody.settings.map(([name]) => name)).toEqual(['transaction_read_only']);
    });
  });

  describe('two processes that disagree on the server of a tenant', () => {
    it.each([
      ['an order', '/orders', () => orderInput(), 201],
      ['an event', '/webhooks/events', () => ({ type: 'invoice.paid', data: {} }), 202],
    ])('make %s once for a key', async (_, path, body, status) => {
      const tenant = await service.tenant();
      await tenant.request('PUT', '/webhooks/event-types/invoice.paid', { body: { schema: { type: 'object' } } });
      const elsewhere = at(mistaken, tenant);
      for (let round = 0; round < 20; round++) {
        const key = { 'idempotency-key': `round-${round}` };
        const content = body();
        const calls = [tenant, elsewhere, tenant, elsewhere].map((client) => client.post(path, content, key));
        const answers: ApiResponse[] = await Promise.all(calls);
        const made = answers.filter((answer) => answer.status === status);
        expect(made.length).toBeGreaterThan(0);
        expect(new Set(made.map(({ body }) => body.id as string)).size).toBe(1);
        expect(answers.filter((answer) => answer.status !== status && answer.status !== 409)).toEqual([]);
        const replay = await elsewhere.post(path, content, key);
        expect([replay.status, replay.body.id]).toEqual([status, made[0]?.body.id]);
      }
    });

    it('count the endpoints of a tenant together', async () => {
      const tenant = await service.tenant();
      const clients = [tenant, at(mistaken, tenant)];
      const calls = Array.from({ length: 12 }, (_, n) =>
        (clients[n % 2] as ApiClient).post('/webhooks/endpoints', {
          url: `${receiver.url}/${n}`,
          event_types: ['order.*'],
        }),
      );
      const statuses = (await Promise.all(calls)).map(({ status }) => status);
      expect(statuses.filter((status) => status === 201)).toHaveLength(MAX_ENDPOINTS);
      expect((await tenant.get('/webhooks/endpoints')).body.data).toHaveLength(MAX_ENDPOINTS);
    });

    it('change an event type one after the other', async () => {
      const tenant = await service.tenant();
      const clients = [tenant, at(mistaken, tenant)];
      const calls = Array.from({ length: 8 }, (_, n) =>
        (clients[n % 2] as ApiClient).request('PUT', '/webhooks/event-types/invoice.paid', {
          body: { schema: { type: 'object', description: `number ${n}` } },
        }),
      );
      const answers = await Promise.all(calls);
      expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
      expect(answers.map(({ body }) => body.version as number).sort()).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    });

    it('change the members of a tenant one after the other', async () => {
      const { tenantId } = await service.tenant();
      const [one, other] = [service, mistaken].map(({ app }) => app.get(TenantDatabase, { strict: false }));
      const order: string[] = [];
      let second: Promise<void> | undefined;
      await (one as TenantDatabase).transaction({ tenantId }, async (tx) => {
        await lockMembers(tx);
        second = (other as TenantDatabase).transaction({ tenantId }, async (otherTx) => {
          await lockMembers(otherTx);
          order.push('second');
        });
        await new Promise((resolve) => setTimeout(resolve, 500));
        order.push('first');
      });
      await second;
      expect(order).toEqual(['first', 'second']);
    });
  });

  it('delivers each event once, in order', async () => {
    const tenant = await service.tenant();
    const url = `${receiver.url}/ordered`;
    await createEndpoint(tenant, url, { event_types: ['order.*'] });
    const elsewhere = at(mistaken, tenant);
    const ids: string[] = [];
    for (let i = 0; i < 20; i++) {
      ids.push((await (i % 2 ? tenant : elsewhere).post('/orders', orderInput())).body.id as string);
    }
    const arrived = (): string[] =>
      receiver.received
        .filter(({ path }) => path === '/ordered')
        .map(({ body }) => (JSON.parse(body) as { data: { id: string } }).data.id);
    await until('every order to arrive', () => arrived().length >= ids.length, 30_000);
    expect(arrived().sort()).toEqual(ids.sort());
  });

  it('follows a tenant that moves while it is served', async () => {
    const tenant = await service.tenant();
    const from = await placeOf(tenant);
    const to = urls
      .slice(1)
      .map((url) => new URL(url))
      .find(({ port }) => Number(port) !== from) as URL;
    let made = 0;
    let isMoving = true;
    const writes = (async () => {
      while (isMoving) {
        await (made % 2 ? tenant : at(mistaken, tenant)).post('/orders', orderInput()).then(({ status }) => {
          expect(status).toBe(201);
        });
        made++;
      }
    })();
    await until('the first orders', () => made > 3);
    await moveTenant(database.ownerUrl, tenant.tenantId, { host: to.hostname, port: Number(to.port) });
    await until('the map', async () => (await portServing(service, tenant.tenantId)) === Number(to.port), 30_000);
    isMoving = false;
    await writes;
    const [row] = await database.sql<{ count: number }>(
      'select count(*)::int as count from orders where tenant_id = $1',
      [tenant.tenantId],
    );
    expect(row?.count).toBe(made);
  });

  it('logs no warning', () => {
    for (const { logLines } of [service, mistaken]) {
      expect(logLines.filter((line) => JSON.parse(line).level > 40)).toEqual([]);
    }
  });

  describe('while a server cannot be reached', () => {
    let proxy: TcpProxy;
    let through: TestService;
    let here: ApiClient;
    let there: ApiClient;

    beforeAll(async () => {
      const [, one, two] = urls.map((url) => new URL(url)) as [URL, URL, URL];
      proxy = await TcpProxy.start(Number(two.port));
      const address = new URL(proxy.through(two.href)).host;
      through = await startService({
        database,
        env: { ...NODE, DB_STATEMENT_TIMEOUT: '2s', DATABASE_NODE_ADDRESSES: `${two.host}=${address}` },
      });
      do here = await through.tenant();
      while ((await placeOf(here)) !== Number(one.port));
      do there = await through.tenant();
      while ((await placeOf(there)) !== Number(two.port));
    });
    afterAll(async () => {
      await proxy?.pass();
      await through?.stop();
      await proxy?.refuse();
    });

    it.each([
      ['refuses', () => proxy.refuse()],
      ['hangs', () => Promise.resolve(proxy.hang())],
    ])('its tenants alone get 503 (it %s)', async (_, cut) => {
      expect((await there.post('/orders', orderInput())).status).toBe(201);
      await cut();
      const away = Promise.all(Array.from({ length: 20 }, () => there.get('/orders')));
      for (let i = 0; i < 20; i++) expect((await here.post('/orders', orderInput())).status).toBe(201);
      const session = here.session as NonNullable<typeof here.session>;
      const login = { email: session.user.email, password: 'a password for tests' };
      expect((await through.client.post('/auth/login', login)).status).toBe(200);
      expect(new Set((await away).map(({ status }) => status))).toEqual(new Set([503]));
      expect((await through.client.get('/health/ready')).status).toBe(200);
      await proxy.pass();
      await until('its tenants', async () => (await there.post('/orders', orderInput())).status === 201, 60_000);
    });
  });
});

onCitus('a Citus of one server', () => {
  let database: DistributedDatabase;
  let service: TestService;

  beforeAll(async () => {
    database = await createDistributedDatabase(urls.slice(0, 1));
    service = await startService({ database });
  });
  afterAll(async () => {
    await service?.stop();
    const [, joined] = urls as [string, string];
    await database?.drop();
    const { pathname } = new URL(database.ownerUrl);
    await runOn(joined, `drop database if exists ${pathname.slice(1)} with (force)`);
  });

  it('has its reads pipelined, and finds the rows of a tenant that moves to a server that joins', async () => {
    const tenant = await service.tenant();
    const order = await tenant.createOrder();
    const read = async (): Promise<unknown> => (await tenant.get(`/orders/${order.id as string}`)).body;
    expect(await read()).toEqual(order);
    const text = await service.metrics.registry.metrics();
    expect(text).toMatch(/db_pool_connections\{pool="read",state="idle"\} [1-9]/);
    const [, joined] = urls.map((url) => new URL(url)) as [URL, URL];
    const { pathname } = new URL(database.ownerUrl);
    await runOn(joined.href, `create database ${pathname.slice(1)}`);
    await runOn(Object.assign(new URL(joined), { pathname }).href, 'create extension citus');
    await database.sql(`select citus_add_node('${joined.hostname}', ${joined.port})`);
    await database.sql(`select replicate_reference_tables('block_writes')`);
    await database.migrate();
    await moveTenant(database.ownerUrl, tenant.tenantId, { host: joined.hostname, port: Number(joined.port) });
    expect((await findTenant(database.ownerUrl, tenant.tenantId)).port).toBe(Number(joined.port));
    expect(await read()).toEqual(order);
    expect((await tenant.post('/orders', orderInput())).status).toBe(201);
    expect((await tenant.get('/orders')).body.data).toHaveLength(2);
  });
});
