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
  'after the job was taken',
  'before the request',
  'after the response',
  'after the attempt was written',
];
const ORDERS = 6;

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
      receiver.respond = (response) => void response.writeHead(204).end();
      await Promise.all(workers.map((worker) => worker.kill('SIGKILL')));
      workers = [];
      // A job that was in flight is taken again by the next worker, which would reach its step too early.
      if (redis) await redis.flush();
      else await service.database.sql('delete from bullmq.job');
    });
    afterAll(async () => {
      await service.stop();
      await receiver.stop();
      await redis?.stop();
    });

    function start(crashAt?: string, env: Record<string, string> = {}): WorkerProcess {
      const worker = startWorkerProcess(
        service.database,
        { ...(redis ? { REDIS_URL: redis.url } : {}), ...env },
        crashAt,
      );
      workers.push(worker);
      return worker;
    }

    it.each(STEPS)('loses no delivery when it dies %s', async (step) => {
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

    it.each([
      ['the job was taken', 'after the job was taken', 1, 0],
      ['some were sent', 'after some responses', 2, 2],
      ['some were recorded', 'after the attempt was written', 2, 2],
    ])(
      'repeats only the deliveries without an outcome of a job, when it dies after %s',
      async (_, step, pass, answered) => {
        const QUICK = 2;
        const SLOW = 3;
        const tenant = await service.tenant();
        const prefix = `/${encodeURIComponent(step)}-${backend}-`;
        for (let i = 0; i < QUICK; i++) await createEndpoint(tenant, `${receiver.url}${prefix}quick-${i}`);
        for (let i = 0; i < SLOW; i++) await createEndpoint(tenant, `${receiver.url}${prefix}slow-${i}`);
        const mine = () => receiver.received.filter(({ path }) => path.startsWith(prefix));
        receiver.respond = (response, { path }) => {
          if (path.startsWith(`${prefix}slow`)) return; // its worker dies first
          // Both are under way before one is answered.
          void until('all to be sent', () => mine().length === QUICK + SLOW).then(() => response.writeHead(204).end());
        };
        const dying = start(step, { CRASH_PASS: String(pass) });
        await until('the worker to lead', () => dying.output().includes('leading'), 30_000);
        await tenant.createOrder();
        expect(await dying.ended).toBe('SIGKILL');
        const arrivals = () => mine().length;
        expect(arrivals()).toBe(answered === 0 ? 0 : QUICK + SLOW);
        const statusOf = async () =>
          service.database.sql<{ id: string; status: string; attempt_count: number }>(
            'select id, status, attempt_count from deliveries where tenant_id = $1',
            [tenant.tenantId],
          );
        const recorded = (await statusOf()).filter(({ status }) => status === 'succeeded').map(({ id }) => id);
        if (step === 'after the attempt was written') expect(recorded.length).toBeGreaterThan(0);

        receiver.respond = (response) => void response.writeHead(204).end();
        start();
        await until(
          'every delivery to succeed',
          async () => {
            const rows = await statusOf();
            return rows.length === QUICK + SLOW && rows.every(({ status }) => status === 'succeeded');
          },
          40_000,
        );
        expect((await statusOf()).map((row) => row.attempt_count)).toEqual(Array(QUICK + SLOW).fill(1));
        const times = new Map<unknown, number>();
        for (const { headers } of mine()) {
          times.set(headers['webhook-id'], (times.get(headers['webhook-id']) ?? 0) + 1);
        }
        expect(times.size).toBe(QUICK + SLOW);
        for (const [id, count] of times) {
          const once = answered === 0 || recorded.includes(id as string);
          expect([id, count]).toEqual([id, once ? 1 : 2]);
        }
      },
    );

    it('sends no event of a change that was rolled back', async () => {
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
