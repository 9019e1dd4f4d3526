import { setTimeout as delay } from 'node:timers/promises';
import { createEndpoint } from '../harness/endpoints';
import { hasRedis, startRedis, type TestRedis } from '../harness/redis';
import { startReceiver, type Received, type Receiver } from '../harness/receiver';
import { startService, type TestService } from '../harness/service';
import { buildOnce } from '../harness/service-process';
import { until } from '../harness/until';
import { startWorkerProcess, type WorkerProcess } from '../harness/worker-process';

/** A busy endpoint: several deliveries are in flight whenever a worker dies. */
const RESPONSE_MS = 300;
const CREATE_EVERY_MS = 50;
/** The longest wait for a dead worker, with some room for other work on the machine. */
const PAUSE_MS = 8_000;

describe.each(hasRedis() ? ['PostgreSQL', 'Redis'] : ['PostgreSQL'])('two workers, BullMQ on %s', (backend) => {
  let service: TestService;
  let receiver: Receiver;
  let redis: TestRedis | undefined;
  let workers: WorkerProcess[] = [];

  beforeAll(async () => {
    buildOnce();
    redis = backend === 'Redis' ? await startRedis() : undefined;
    service = await startService({ env: { WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8' } });
  });
  beforeEach(async () => {
    receiver = await startReceiver();
    receiver.respond = (response) => void setTimeout(() => response.writeHead(204).end(), RESPONSE_MS);
  });
  afterEach(async () => {
    await Promise.all(workers.map((worker) => worker.kill('SIGKILL')));
    workers = [];
    await receiver.stop();
  });
  afterAll(async () => {
    await service.stop();
    await redis?.stop();
  });

  function start(): WorkerProcess {
    const worker = startWorkerProcess(service.database, redis ? { REDIS_URL: redis.url } : {});
    workers.push(worker);
    return worker;
  }
  const leads = (worker: WorkerProcess) => worker.output().includes('leading');

  it.each(['the leader', 'the other one'])(
    'one is killed, %s: deliveries to its endpoint continue at once',
    async (which) => {
      const tenant = await service.tenant();
      await createEndpoint(tenant, receiver.url);
      const first = start();
      await until('a leader', () => leads(first), 30_000);
      const second = start();
      await until(
        'the second to be ready',
        () => /"url"|health/.test(second.output()) || second.output().length > 0,
        30_000,
      );

      const created = new Map<string, number>();
      let stopped = false;
      const load = (async () => {
        while (!stopped) {
          const order = await tenant.createOrder();
          created.set(order.id as string, Date.now());
          await delay(CREATE_EVERY_MS);
        }
      })();
      await receiver.waitFor(60, 40_000);
      const killedAt = Date.now();
      await (which === 'the leader' ? first : second).kill('SIGKILL');
      await delay(PAUSE_MS + 4_000);
      stopped = true;
      await load;

      const orderOf = (received: Received) => (JSON.parse(received.body) as { data: { id: string } }).data.id;
      await until('every order', () => new Set(receiver.received.map(orderOf)).size === created.size, 20_000);
      const firstArrival = new Map<string, number>();
      for (const received of receiver.received) {
        const id = orderOf(received);
        if (!firstArrival.has(id)) firstArrival.set(id, received.at);
      }
      // Orders created after the other worker could take over do not wait.
      const late = [...created].filter(([, at]) => at > killedAt + 3_000);
      expect(late.length).toBeGreaterThan(10);
      const slowest = Math.max(...late.map(([id, at]) => (firstArrival.get(id) as number) - at));
      expect(slowest).toBeLessThan(PAUSE_MS / 2);
      // The dead worker's deliveries wait for its lock, and no longer.
      const arrivals = [...firstArrival.values()].sort((a, b) => a - b);
      const gaps = arrivals.slice(1).map((at, index) => at - (arrivals[index] as number));
      expect(Math.max(...gaps)).toBeLessThan(PAUSE_MS / 2);
      const waits = [...created].map(([id, at]) => (firstArrival.get(id) as number) - Math.max(at, killedAt));
      expect(Math.max(...waits)).toBeLessThan(PAUSE_MS);
    },
  );
});
