import { Client } from 'pg';
import { migrate } from '../../../src/platform/database/migrate/migrations';
import { Metrics } from '../../../src/platform/observability/metrics';
import { ApiClient, orderInput } from '../../harness/client';
import { TestCluster } from '../../harness/cluster';
import { SERVICE_PASSWORD, type TestDatabase, withLogin } from '../../harness/databases';
import { startService, type TestService } from '../../harness/service';
import { TcpProxy } from '../../harness/tcp-proxy';
import { until } from '../../harness/until';

/** Whether a commit may be acknowledged before it is on disk decides on how far "written" is. */
describe.each(['on', 'off'])('with a replica, synchronous_commit %s', (synchronousCommit) => {
  let primary: TestCluster;
  let replica: TestCluster;
  let proxy: TcpProxy;
  let database: TestDatabase;
  let service: TestService;
  let tenant: ApiClient;

  beforeAll(async () => {
    primary = await TestCluster.start({ synchronous_commit: synchronousCommit });
    await primary.sql('postgres', 'create database orders');
    replica = await primary.replica();
    const serviceUrl = withLogin(primary.url('orders'), 'app_service', SERVICE_PASSWORD);
    await migrate({ migrationUrl: primary.url('orders'), serviceUrl, statementTimeout: 15_000 });
    const schemaThere = async (): Promise<boolean> =>
      (await replica.sql<{ there: boolean }>('orders', `select to_regclass('deliveries') is not null as there`))[0]
        ?.there === true;
    await until('the replica to have the schema', schemaThere, 20_000);
    proxy = await TcpProxy.start(replica.port);
    database = {
      name: 'orders',
      serviceUrl,
      ownerUrl: primary.url('orders'),
      sql: (text) => primary.sql('orders', text),
      drop: () => Promise.resolve(),
    };
    service = await start(withLogin(replica.url('orders'), 'app_service', SERVICE_PASSWORD));
    tenant = await service.tenant();
  });
  afterAll(async () => {
    await service?.stop();
    await proxy?.refuse();
    await replica?.remove();
    await primary?.remove();
  });

  /** A service that may use the replica by this URL. */
  function start(replicaUrl: string): Promise<TestService> {
    return startService({
      database,
      env: { DATABASE_REPLICA_URL: proxy.through(replicaUrl), DATABASE_REPLICA_TIMEOUT: '100ms' },
    });
  }

  async function answered(by: 'replica' | 'primary', app = service.app): Promise<number> {
    const metric = app.get(Metrics, { strict: false }).registry.getSingleMetric('db_replica_reads_total');
    const { values } = (await metric?.get()) as { values: { value: number; labels: { served_by?: string } }[] };
    return values.find(({ labels }) => labels.served_by === by)?.value ?? 0;
  }

  /** Lists until the replica serves: after an outage it is skipped for a while. */
  async function untilReplicaAnswers(client = tenant, app = service.app): Promise<void> {
    const before = await answered('replica', app);
    await until(
      'the replica to answer',
      async () => {
        expect((await client.get('/orders?limit=1')).status).toBe(200);
        return (await answered('replica', app)) > before;
      },
      20_000,
    );
  }

  /** Creates an order and immediately searches it in the list. */
  async function expectOwnWrite(client: ApiClient): Promise<void> {
    const { id } = await client.createOrder();
    const list = await client.get('/orders?limit=1');
    expect([list.status, list.body.data[0]?.id]).toEqual([200, id]);
  }

  it('lists and exports from there, and everything else from the primary', async () => {
    const order = await tenant.createOrder();
    await untilReplicaAnswers();
    await until('an export from the replica', async () => {
      const before = await answered('replica');
      const exported = await tenant.get('/orders/export');
      expect(exported.text).toContain(order.id as string);
      return (await answered('replica')) > before;
    });
    const ours = await replica.sql<{ query: string }>(
      'orders',
      `select query from pg_stat_activity where application_name = 'orders-saas-api'`,
    );
    // Of a long statement the server shows the beginning.
    expect(ours.some(({ query }) => query.includes('select o.id'))).toBe(true);
    const counted = (await answered('replica')) + (await answered('primary'));
    expect((await tenant.get(`/orders/${order.id}`)).status).toBe(200);
    expect((await tenant.get(`/orders/${order.id}/events`)).status).toBe(200);
    expect((await tenant.get('/webhooks/endpoints')).status).toBe(200);
    expect((await answered('replica')) + (await answered('primary'))).toBe(counted);
  });

  it('never lacks an earlier write, by this process or another, whatever the replica does', async () => {
    const other = await start(withLogin(replica.url('orders'), 'app_service', SERVICE_PASSWORD));
    try {
      const elsewhere = new ApiClient(other.url, tenant.session);
      const neighbour = await service.tenant();
      let going = true;
      const pressure = (async () => {
        while (going) await neighbour.createOrder();
      })();
      const hiccups = (async () => {
        while (going) {
          await replica.sql('orders', 'select pg_wal_replay_pause()');
          await neighbour.get('/orders?limit=1');
          await replica.sql('orders', 'select pg_wal_replay_resume()');
          await neighbour.get('/orders?limit=1');
        }
      })();
      for (let i = 0; i < 40; i++) {
        await expectOwnWrite(tenant);
        // Written through one process, listed through another.
        const { id } = await tenant.createOrder();
        expect((await elsewhere.get('/orders?limit=1')).body.data[0].id).toBe(id);
      }
      going = false;
      await Promise.all([pressure, hiccups]);
      await untilReplicaAnswers();
    } finally {
      await other.stop();
    }
  });

  it('comes from the primary while the replica is behind, and from the replica again when it has caught up', async () => {
    await untilReplicaAnswers();
    await replica.sql('orders', 'select pg_wal_replay_pause()');
    const before = await answered('primary');
    for (let i = 0; i < 5; i++) await expectOwnWrite(tenant);
    expect(await answered('primary')).toBe(before + 5);
    await replica.sql('orders', 'select pg_wal_replay_resume()');
    await untilReplicaAnswers();
  });

  it.each<[string, () => Promise<void> | void]>([
    ['refuses', () => proxy.refuse()],
    ['says nothing any more', () => proxy.hang()],
  ])('reads from the primary when the replica %s, and returns to the replica', async (_, goes) => {
    await untilReplicaAnswers();
    await goes();
    const begun = Date.now();
    for (let i = 0; i < 5; i++) await expectOwnWrite(tenant);
    expect(Date.now() - begun).toBeLessThan(15_000);
    await proxy.pass();
    await untilReplicaAnswers();
  });

  it('starts without it', async () => {
    await proxy.refuse();
    const lonely = await start(withLogin(replica.url('orders'), 'app_service', SERVICE_PASSWORD));
    try {
      const client = new ApiClient(lonely.url, tenant.session);
      await expectOwnWrite(client);
      await proxy.pass();
      await untilReplicaAnswers(client, lonely.app);
    } finally {
      await lonely.stop();
    }
  });

  it('isolates tenants there, with any login', async () => {
    const mine = (await tenant.createOrder()) as { id: string };
    const stranger = await service.tenant();
    const theirs = (await stranger.createOrder()) as { id: string };
    for (const login of [withLogin(replica.url('orders'), 'app_service', SERVICE_PASSWORD), replica.url('orders')]) {
      const one = await start(login);
      try {
        for (const [of, own, foreign] of [
          [tenant, mine.id, theirs.id],
          [stranger, theirs.id, mine.id],
        ] as const) {
          const client = new ApiClient(one.url, of.session);
          await until('a list from the replica', async () => {
            const before = await answered('replica', one.app);
            const list = await client.get('/orders?limit=100');
            const ids = (list.body.data as { id: string }[]).map(({ id }) => id);
            expect([ids.includes(own), ids.includes(foreign)]).toEqual([true, false]);
            return (await answered('replica', one.app)) > before;
          });
        }
      } finally {
        await one.stop();
      }
    }
    // The second defence: the role itself sees nothing there without a tenant.
    const client = new Client({ connectionString: withLogin(replica.url('orders'), 'app_service', SERVICE_PASSWORD) });
    await client.connect();
    try {
      await expect(client.query('select 1 from orders')).rejects.toMatchObject({ code: '42704' });
    } finally {
      await client.end();
    }
  });

  it('is not used any more once it was promoted', async () => {
    await untilReplicaAnswers();
    await replica.sql('orders', 'select pg_promote()');
    await until('no answer of the replica', async () => {
      const before = await answered('primary');
      await expectOwnWrite(tenant);
      return (await answered('primary')) > before;
    });
    const before = await answered('replica');
    for (let i = 0; i < 5; i++) {
      expect((await tenant.post('/orders', orderInput())).status).toBe(201);
      expect((await tenant.get('/orders')).status).toBe(200);
    }
    expect(await answered('replica')).toBe(before);
  });
});
