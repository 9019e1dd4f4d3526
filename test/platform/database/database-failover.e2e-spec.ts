import { migrate } from '../../../src/platform/database/migrate/migrations';
import { adminEnv } from '../../harness/admin';
import { type ApiResponse, type ApiClient, orderInput } from '../../harness/client';
import { TestCluster } from '../../harness/cluster';
import { SERVICE_PASSWORD, type TestDatabase, withLogin } from '../../harness/databases';
import { createEndpoint } from '../../harness/endpoints';
import { expectProblem } from '../../harness/problems';
import { type Receiver, startReceiver } from '../../harness/receiver';
import { runProcess } from '../../harness/run-process';
import { newEmail, startService, type TestService } from '../../harness/service';
import { buildOnce } from '../../harness/service-process';
import { TcpProxy } from '../../harness/tcp-proxy';
import { until } from '../../harness/until';
import { startWorker, type TestWorker } from '../../harness/worker';

const HEALS_WITHIN_MS = 20_000;

/**
 * A fail-over behind one address, which is the proxy's. Its old connections stay on the demoted server, which continues
 * and accepts no writes, and its new ones lead to a streaming standby that is promoted.
 */
describe('a database that fails over behind one address', () => {
  let old: TestCluster;
  let standby: TestCluster;
  let proxy: TcpProxy;
  let database: TestDatabase;
  let service: TestService;
  let worker: TestWorker;
  let receiver: Receiver;
  let tenant: ApiClient;
  /** Its refresh token is used again and again, which ends its session at some time. */
  let spare: ApiClient;

  beforeAll(async () => {
    buildOnce();
    old = await TestCluster.start();
    await old.sql('postgres', 'create database orders');
    standby = await old.replica();
    const serviceUrl = withLogin(old.url('orders'), 'app_service', SERVICE_PASSWORD);
    await migrate({ migrationUrl: old.url('orders'), serviceUrl, statementTimeout: 15_000 });
    proxy = await TcpProxy.start(old.port);
    database = {
      name: 'orders',
      serviceUrl: proxy.through(serviceUrl),
      ownerUrl: proxy.through(old.url('orders')),
      sql: (text) => old.sql('orders', text),
      drop: () => Promise.resolve(),
    };
    const env = { WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8' };
    service = await startService({ database, env });
    worker = await startWorker(database, env);
    receiver = await startReceiver();
    tenant = await service.tenant();
    await createEndpoint(tenant, receiver.url);
  });
  beforeEach(async () => {
    spare = await service.tenant();
  });
  afterAll(async () => {
    await worker?.stop();
    await service?.stop();
    await receiver?.stop();
    await proxy?.refuse();
    await standby?.remove();
    await old?.remove();
  });

  /**
   * One request of each kind that writes: by pipelined connections, by the pool, before and after a tenant is known.
   */
  function everyWrite(order: { id: string }): Promise<ApiResponse>[] {
    return [
      tenant.post('/orders', orderInput()),
      tenant.post('/orders', orderInput(), { 'idempotency-key': newEmail() }),
      tenant.patch(`/orders/${order.id}`, { notes: 'later' }),
      tenant.patch(`/orders/${order.id}/status`, { status: 'confirmed' }),
      tenant.post('/webhooks/events', { type: 'own.thing', data: {} }),
      service.client.post('/auth/login', { email: newEmail(), password: 'a password' }),
      service.client.post('/auth/refresh', { refresh_token: spare.session?.refresh_token }),
      service.client.post('/auth/register', { email: newEmail(), password: 'a long password 1', tenant_name: 'T' }),
    ];
  }

  function expectRefused(responses: readonly ApiResponse[]): void {
    for (const response of responses) {
      expectProblem(response, 'unavailable');
      expect(Number(response.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    }
  }

  async function expectNotReady(): Promise<void> {
    const ready = await service.client.get('/health/ready');
    expect(ready).toMatchObject({ status: 503, body: { checks: { database: 'unavailable' } } });
  }

  async function expectHealed(): Promise<void> {
    await until('ready', async () => (await service.client.get('/health/ready')).status === 200, HEALS_WITHIN_MS);
    const makes = async (): Promise<boolean> => (await tenant.post('/orders', orderInput())).status === 201;
    await until('an order is made', makes, HEALS_WITHIN_MS);
    // Uses each pipelined connection and each of the pool: none remains on the wrong server.
    const order = (await tenant.get('/orders?limit=1')).body.data[0] as { id: string };
    for (let round = 0; round < 4; round++) {
      const responses = await Promise.all([...everyWrite(order), ...everyWrite(order)]);
      expect(responses.filter(({ status }) => status >= 500)).toEqual([]);
    }
  }

  async function expectDelivered(id: string): Promise<void> {
    const arrived = (): boolean => receiver.received.some(({ body }) => body.includes(id));
    await until('its webhook', arrived, HEALS_WITHIN_MS);
  }

  it('refuses writes with 503 while the server is read-only, reports it, continues to read, and recovers with the server', async () => {
    const order = (await tenant.createOrder()) as { id: string };
    await expectDelivered(order.id);
    await old.sql('postgres', 'alter system set default_transaction_read_only = on');
    await old.sql('postgres', 'select pg_reload_conf()');
    await until('a refusal', async () => (await tenant.post('/orders', orderInput())).status !== 201);
    expectRefused(await Promise.all(everyWrite(order)));
    await expectNotReady();
    expect((await tenant.get('/orders')).status).toBe(200);
    // A command of the operator reports it in one line. It runs as a process of its own: here it would lose its
    // connections whenever the service replaces all connections of this process.
    const suspend = await runProcess(['admin', 'tenants', 'suspend', tenant.tenantId], adminEnv(database));
    expect(suspend).toEqual({ code: 1, stdout: '', stderr: expect.stringMatching(/^database: .*read-only.*\n$/) });
    await old
      .sql('postgres', 'begin read write; alter system reset default_transaction_read_only')
      .catch(() => undefined);
    await old.sql('postgres', 'alter system reset default_transaction_read_only');
    await old.sql('postgres', 'select pg_reload_conf()');
    await expectHealed();
    await expectDelivered((await tenant.createOrder()).id as string);
  });

  it('refuses while the address leads to a standby, and continues there after its promotion', async () => {
    const order = (await tenant.createOrder()) as { id: string };
    const { length } = await old.sql('orders', 'select 1 from orders');
    await until(
      'the standby has it',
      async () => (await standby.sql('orders', 'select 1 from orders')).length === length,
    );
    // The old server lives on with every connection that it has, and takes no writes.
    await old.sql('postgres', 'alter system set default_transaction_read_only = on');
    await old.sql('postgres', 'select pg_reload_conf()');
    await proxy.pass(standby.port);
    await until('a refusal', async () => (await tenant.post('/orders', orderInput())).status !== 201);
    expectRefused(await Promise.all(everyWrite(order)));
    await expectNotReady();
    const migrating = migrate({
      migrationUrl: database.ownerUrl,
      serviceUrl: database.serviceUrl,
      statementTimeout: 15_000,
    });
    await expect(migrating).rejects.toMatchObject({ code: 'unavailable' });

    await standby.sql('postgres', 'select pg_promote()');
    await expectHealed();
    const made = (await tenant.createOrder()).id as string;
    const where = `select 1 from orders where id = '${made}'`;
    expect([(await standby.sql('orders', where)).length, (await old.sql('orders', where)).length]).toEqual([1, 0]);
    // Reads have left the old server, too.
    for (let round = 0; round < 6; round++) expect((await tenant.get(`/orders/${made}`)).status).toBe(200);
    expect((await tenant.get('/orders?limit=1')).body.data[0].id).toBe(made);
    await expectDelivered(made);
    const left = `select 1 from pg_stat_activity where usename = 'app_service' and pid <> pg_backend_pid()`;
    await until(
      'no connection is left on the old server',
      async () => (await old.sql('orders', left)).length === 0,
      HEALS_WITHIN_MS,
    );
  });
});
