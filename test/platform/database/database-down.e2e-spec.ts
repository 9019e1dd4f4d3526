import { migrate, migrationNames, revertLast } from '../../../src/platform/database/migrate/migrations';
import { type ApiResponse, type ApiClient, orderInput } from '../../harness/client';
import { TestCluster } from '../../harness/cluster';
import { createTestDatabase, SERVICE_PASSWORD, type TestDatabase, withLogin } from '../../harness/databases';
import { expectProblem } from '../../harness/problems';
import { newEmail, startService, type TestService } from '../../harness/service';
import { TcpProxy } from '../../harness/tcp-proxy';
import { until } from '../../harness/until';

/** A statement's time, and how long a connection may stay silent beyond it. */
const SILENT_FOR_MS = 500 + 5_000;

describe('while the database', () => {
  let cluster: TestCluster;
  let proxy: TcpProxy;
  let service: TestService;
  let tenant: ApiClient;
  /** Its session may end: a refresh token that is sent again after its grace revokes its family. */
  let refresher: ApiClient;

  beforeAll(async () => {
    cluster = await TestCluster.start();
    await cluster.sql('postgres', 'create database orders');
    const serviceUrl = withLogin(cluster.url('orders'), 'app_service', SERVICE_PASSWORD);
    await migrate({ migrationUrl: cluster.url('orders'), serviceUrl, statementTimeout: 15_000 });
    proxy = await TcpProxy.start(cluster.port);
    const database: TestDatabase = {
      name: 'orders',
      serviceUrl: proxy.through(serviceUrl),
      ownerUrl: cluster.url('orders'),
      sql: (text) => cluster.sql('orders', text),
      drop: () => Promise.resolve(),
    };
    service = await startService({ database, env: { DB_STATEMENT_TIMEOUT: '500ms' } });
    tenant = await service.tenant();
    refresher = await service.tenant();
  });
  afterAll(async () => {
    await proxy?.pass();
    await service?.stop();
    await proxy?.refuse();
    await cluster?.remove();
  });

  async function timed(request: Promise<ApiResponse>): Promise<{ response: ApiResponse; took: number }> {
    const begun = Date.now();
    return { response: await request, took: Date.now() - begun };
  }

  /** One request of each kind: by pipelined reads and writes, by the pool, before and after a tenant is known. */
  function everyKind(order: { id: string }): Promise<ApiResponse>[] {
    return [
      tenant.get('/orders'),
      tenant.get(`/orders/${order.id}`),
      tenant.post('/orders', orderInput()),
      tenant.post('/orders', orderInput(), { 'idempotency-key': newEmail() }),
      tenant.patch(`/orders/${order.id}`, { notes: 'later' }),
      tenant.patch(`/orders/${order.id}/status`, { status: 'confirmed' }),
      tenant.get('/auth/me'),
      service.client.post('/auth/login', { email: newEmail(), password: 'a password' }),
      service.client.post('/auth/refresh', { refresh_token: refresher.session?.refresh_token }),
      service.client.post('/auth/register', { email: newEmail(), password: 'a password', tenant_name: 'T' }),
    ];
  }

  function expectUnavailable(response: ApiResponse): void {
    const problem = expectProblem(response, 'unavailable');
    expect(problem.detail).not.toMatch(/database|postgres|connect/i);
    expect(Number(response.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
  }

  async function expectNotReady(): Promise<void> {
    // A report of the second before may say otherwise.
    const { response, took } = await until('the database to be missed', async () => {
      const asked = await timed(service.client.get('/health/ready'));
      return asked.response.status === 503 && asked;
    });
    expect(response).toMatchObject({
      status: 503,
      body: { status: 'unavailable', checks: { database: 'unavailable' } },
    });
    expect(response.headers.get('retry-after')).toMatch(/^[1-9]\d*$/);
    expect(took).toBeLessThan(4_000);
    for (const path of ['/health', '/health/live']) {
      expect([path, (await service.client.get(path)).status]).toEqual([path, 200]);
    }
  }

  async function expectRecovered(): Promise<void> {
    await until('the service is ready', async () => (await service.client.get('/health/ready')).status === 200, 15_000);
    await until('an order is made', async () => (await tenant.post('/orders', orderInput())).status === 201, 15_000);
    await until(
      'orders are changed and people sign in',
      async () => {
        const order = await tenant.get('/orders?limit=1');
        const responses = await Promise.all(order.status === 200 ? everyKind(order.body.data[0]) : []);
        return responses.length > 0 && responses.every((response) => response.status < 500);
      },
      15_000,
    );
  }

  it('responds with 503 at once when stopped, reports it in readiness, and recovers by itself', async () => {
    const order = await tenant.createOrder();
    const key = { 'idempotency-key': 'across the outage' };
    const made = await tenant.post('/orders', orderInput(), key);
    // Requests continue during the stop: each succeeds or is refused, and none hangs.
    const acknowledged: string[] = [];
    let stopping = true;
    const pressure = Array.from({ length: 4 }, async () => {
      while (stopping) {
        const response = await tenant.post('/orders', orderInput());
        if (response.status === 201) acknowledged.push(response.body.id);
        else expectUnavailable(response);
      }
    });
    await until('orders are being made', () => acknowledged.length > 8);
    await cluster.stop();
    await proxy.refuse();
    stopping = false;
    await Promise.all(pressure);

    for (let round = 0; round < 3; round++) {
      const outcomes = await Promise.all(everyKind(order).map(timed));
      for (const { response: reply, took } of outcomes) {
        expectUnavailable(reply);
        expect(took).toBeLessThan(3_000);
      }
    }
    await expectNotReady();
    // Requests without the database are served as usual.
    expectProblem(await service.client.get('/orders'), 'unauthorized');
    expectProblem(await service.client.post('/auth/login', {}), 'validation_error');
    expectProblem(await service.client.withToken('x').get('/orders'), 'unauthorized');

    await cluster.start();
    await proxy.pass(cluster.port);
    await expectRecovered();
    expect((await tenant.get(`/orders/${order.id}`)).status).toBe(200);
    for (const id of acknowledged) expect([id, (await tenant.get(`/orders/${id}`)).status]).toEqual([id, 200]);
    const again = await tenant.get(`/orders/${made.body.id}`);
    expect(again.body).toEqual(made.body);
  });

  it('responds with 503 within the statement timeout and some seconds when silent, and recovers by itself', async () => {
    const order = await tenant.createOrder();
    proxy.hang();
    const requests = everyKind(order).map(timed);
    await expectNotReady();
    for (const { response, took } of await Promise.all(requests)) {
      expectUnavailable(response);
      expect(took).toBeLessThan(SILENT_FOR_MS + 8_000);
    }
    await proxy.pass();
    await expectRecovered();
  });

  it('cuts every connection at once, now and then, is hardly noticed', async () => {
    for (let round = 0; round < 3; round++) {
      await proxy.refuse();
      await proxy.pass();
      await until('a list is read', async () => (await tenant.get('/orders')).status === 200, 15_000);
    }
    await expectRecovered();
  });
});

describe('the service', () => {
  it('does not start without a database, and reports it soon', async () => {
    const database = await createTestDatabase();
    const proxy = await TcpProxy.start(1);
    await proxy.refuse();
    const begun = Date.now();
    try {
      const start = startService({ database, env: { DATABASE_URL: proxy.through(database.serviceUrl) } });
      await expect(start).rejects.toMatchObject({ code: 'unavailable' });
      expect(Date.now() - begun).toBeLessThan(10_000);
    } finally {
      await database.drop();
    }
  });

  it('is not ready before the migrations of its build have run, and names them', async () => {
    const database = await createTestDatabase();
    const service = await startService({ database });
    try {
      expect((await service.client.get('/health/ready')).body.checks).toMatchObject({
        database: 'ok',
        migrations: 'ok',
      });
      await revertLast(database.ownerUrl);
      const readyTo = (status: number) =>
        until(`readiness to be ${status}`, async () => {
          const response = await service.client.get('/health/ready');
          return response.status === status && response;
        });
      expect(await readyTo(503)).toMatchObject({
        status: 503,
        body: { status: 'unavailable', checks: { database: 'ok', migrations: `pending: ${migrationNames().at(-1)}` } },
      });
      await migrate({ migrationUrl: database.ownerUrl, serviceUrl: database.serviceUrl, statementTimeout: 15_000 });
      await readyTo(200);
    } finally {
      await service.stop();
      await database.drop();
    }
  });
});
