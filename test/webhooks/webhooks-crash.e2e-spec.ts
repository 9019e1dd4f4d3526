import { createEndpoint } from '../harness/endpoints';
import { hasRedis, startRedis, type TestRedis } from '../harness/redis';
import { startReceiver, type Receiver } from '../harness/receiver';
import { startService, type TestService } from '../harness/service';
import { buildOnce } from '../harness/service-process';
import { startWorkerProcess, type WorkerProcess } from '../harness/worker-process';
import { until } from '../harness/until';

const STEPS = [
  'during the claim',
  'after the row',
  'after the job',
  'before the request',
  'after the answer',
  'after the attempt was written',
];
const ORDERS = 6;

jest.setTimeout(90_000);

describe.each(hasRedis() ? ['PostgreSQL', 'Redis'] : ['PostgreSQL'])(
  'a worker that is killed, with BullMQ on %s',
  (backend) => {
    let service: TestService;
    let receiver: Receiver;
    let redis: TestRedis | undefined;
    let workers: WorkerProcess[] = [];

    beforeAll(async () => {
      buildOnce();
      redis = backend === 'Redis' ? await startRedis() : undefined;
      service = await startService({ env: { WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8' } });
      receiver = await startReceiver();
    });
    afterEach(async () => {
      await Promise.all(workers.map((worker) => worker.kill('SIGKILL')));
      workers = [];
    });
    afterAll(async () => {
      await service.stop();
      await receiver.stop();
      await redis?.stop();
    });

    function start(crashAt?: string): WorkerProcess {
      const worker = startWorkerProcess(service.database, redis ? { REDIS_URL: redis.url } : {}, crashAt);
      workers.push(worker);
      return worker;
    }

    it.each(STEPS)('loses nothing when it dies %s', async (step) => {
      const tenant = await service.tenant();
      const endpoint = await createEndpoint(tenant, `${receiver.url}/${encodeURIComponent(step)}-${backend}`);
      const mine = () =>
        receiver.received.filter((received) => received.path.endsWith(`${encodeURIComponent(step)}-${backend}`));
      const dying = start(step);
      await until('the worker to lead', () => dying.output().includes('leading'), 30_000);
      const ids: string[] = [];
      // The first one is done before the rest comes, so that the step is passed once and the second pass is fatal.
      ids.push((await tenant.createOrder()).id as string);
      await until('the first delivery', () => mine().length > 0, 20_000);
      while (ids.length < ORDERS) ids.push((await tenant.createOrder()).id as string);
      expect(await dying.ended).toBe('SIGKILL');
      start();
      await until(
        'every delivery to succeed',
        async () => {
          const rows = await service.database.sql(
            'select status from deliveries where tenant_id = $1 and endpoint_id = $2',
            [tenant.tenantId, endpoint.id],
          );
          return rows.length === ORDERS && rows.every((row) => row.status === 'succeeded');
        },
        40_000,
      );
      const arrived = new Set(
        mine().map((received) => (JSON.parse(received.body) as { data: { id: string } }).data.id),
      );
      expect([...arrived].sort()).toEqual([...ids].sort());
      // However often it was sent, it was one webhook-id per event.
      expect(new Set(mine().map((received) => received.headers['webhook-id'])).size).toBe(ORDERS);
      expect(await service.database.sql('select 1 from outbox where tenant_id = $1', [tenant.tenantId])).toEqual([]);
    });

    it('sends nothing of a change that was rolled back', async () => {
      const tenant = await service.tenant();
      await createEndpoint(tenant, `${receiver.url}/rollback-${backend}`);
      start();
      const order = await tenant.createOrder();
      expect((await tenant.patch(`/orders/${order.id}/status`, { status: 'completed' })).status).toBe(422);
      const last = await tenant.createOrder();
      const mine = () => receiver.received.filter((received) => received.path === `/rollback-${backend}`);
      await until('both events', () => mine().length >= 2, 20_000);
      expect(mine().map((received) => (JSON.parse(received.body) as { data: { id: string } }).data.id)).toEqual([
        order.id,
        last.id,
      ]);
    });
  },
);
