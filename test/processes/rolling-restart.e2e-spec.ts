import { Balancer } from '../harness/balancer';
import { ApiClient } from '../harness/client';
import { createTestDatabase, type TestDatabase } from '../harness/databases';
import { createEndpoint } from '../harness/endpoints';
import { Load } from '../harness/load';
import { hasRedis, startRedis, type TestRedis } from '../harness/redis';
import { type Received, type Receiver, startReceiver } from '../harness/receiver';
import { type ApiProcess, buildOnce, type ServiceProcess, startApiProcess } from '../harness/service-process';
import { startWorkerProcess } from '../harness/worker-process';
import { until } from '../harness/until';

const APIS = 3;
const WORKERS = 2;
const REQUESTS_PER_SECOND = 30;

describe.each(hasRedis() ? ['PostgreSQL', 'Redis'] : ['PostgreSQL'])(
  'a rolling restart under load, with BullMQ on %s',
  (backend) => {
    let database: TestDatabase;
    let receiver: Receiver;
    let redis: TestRedis | undefined;
    let balancer: Balancer;
    let load: Load | undefined;
    const processes: ServiceProcess[] = [];

    beforeAll(async () => {
      buildOnce();
      redis = backend === 'Redis' ? await startRedis() : undefined;
      database = await createTestDatabase();
      receiver = await startReceiver();
      balancer = await Balancer.start();
    });
    afterAll(async () => {
      await load?.stop();
      await Promise.all(processes.map((process) => process.kill('SIGKILL')));
      await balancer.stop();
      await receiver.stop();
      await database.drop();
      await redis?.stop();
    });

    const shared = () => ({ WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8', ...(redis ? { REDIS_URL: redis.url } : {}) });

    async function startApi(): Promise<ApiProcess> {
      const api = await startApiProcess(database, { ...shared(), SHUTDOWN_DELAY: '3s' });
      processes.push(api);
      balancer.add(api.url);
      await until('the balancer to see it ready', () => balancer.isReady(api.url), 20_000);
      return api;
    }

    async function startWorker(): Promise<ServiceProcess> {
      const worker = startWorkerProcess(database, shared());
      processes.push(worker);
      await until('the worker to work', () => worker.output().includes('"working"'), 30_000);
      return worker;
    }

    it('fails not one request, and loses or doubles not one delivery', async () => {
      const apis: ApiProcess[] = [];
      while (apis.length < APIS) apis.push(await startApi());
      const workers: ServiceProcess[] = [];
      while (workers.length < WORKERS) workers.push(await startWorker());
      const tenant = await new ApiClient(balancer.url).register();
      await createEndpoint(tenant, receiver.url, { event_types: ['order.created'] });

      load = new Load(tenant, REQUESTS_PER_SECOND);
      for (const api of apis) {
        await startApi();
        api.signal('SIGTERM');
        expect(await api.ended).toBe(0);
        balancer.remove(api.url);
      }
      for (const worker of workers) {
        await startWorker();
        worker.signal('SIGTERM');
        expect(await worker.ended).toBe(0);
      }
      const outcomes = await load.stop();

      expect(load.failures.map(({ kind, status, text }) => ({ kind, status, text }))).toEqual([]);
      expect(outcomes.length).toBeGreaterThan(REQUESTS_PER_SECOND);
      const made = outcomes.flatMap(({ orderId }) => orderId ?? []).sort();
      const rows = await database.sql<{ id: string }>('select id from orders order by id');
      expect(rows.map(({ id }) => id)).toEqual(made);

      await until('every delivery to succeed', () => allSucceeded(made.length), 60_000);
      // Exactly one webhook for each order: deliveries in flight at a SIGTERM were finished and recorded.
      expect(receiver.received.map(orderOf).sort()).toEqual(made);
      for (const { output } of [...apis, ...workers]) {
        expect(output()).toContain('"stopped"');
        expect(output()).not.toMatch(/"level":"(error|fatal)"|Unhandled/);
      }

      // Later processes have the key of a request to an ended process.
      for (const { key, orderId } of outcomes.filter((outcome) => outcome.orderId).slice(0, 5)) {
        const body = load.creates.find((create) => create.key === key)?.body;
        const again = await tenant.post('/orders', body, { 'idempotency-key': key as string });
        expect([again.status, again.body.id, again.headers.get('idempotency-replayed')]).toEqual([
          201,
          orderId,
          'true',
        ]);
      }
    });

    async function allSucceeded(count: number): Promise<boolean> {
      const rows = await database.sql<{ status: string; count: string }>(
        'select status, count(*) from deliveries group by status',
      );
      return rows.length === 1 && rows[0]?.status === 'succeeded' && Number(rows[0].count) === count;
    }
  },
);

function orderOf({ body }: Received): string {
  return (JSON.parse(body) as { data: { id: string } }).data.id;
}
