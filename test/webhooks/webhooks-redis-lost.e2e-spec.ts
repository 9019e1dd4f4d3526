import type { ServerResponse } from 'node:http';
import { createEndpoint } from '../harness/endpoints';
import { type Receiver, startReceiver } from '../harness/receiver';
import { hasRedis, startRedis, type TestRedis } from '../harness/redis';
import { startService, type TestService } from '../harness/service';
import { buildOnce } from '../harness/service-process';
import { until } from '../harness/until';
import { startWorkerProcess, type WorkerProcess } from '../harness/worker-process';

/** A shutdown's own deadline is 20 s; a regular shutdown takes a few. */
const IN_ORDER_MS = 12_000;

(hasRedis() ? describe : describe.skip)('a worker that is stopped while its Redis is lost', () => {
  let service: TestService;
  let receiver: Receiver;
  let redis: TestRedis;
  let worker: WorkerProcess;

  beforeAll(async () => {
    buildOnce();
    service = await startService({ env: { WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8' } });
    receiver = await startReceiver();
  });
  beforeEach(async () => {
    redis = await startRedis();
    worker = startWorkerProcess(service.database, { PORT: '0', REDIS_URL: redis.url });
    await until('the worker leads', () => worker.output().includes('leading'), 30_000);
  });
  afterEach(async () => {
    await worker.kill('SIGKILL');
    await redis.stop();
  });
  afterAll(async () => {
    await receiver.stop();
    await service.stop();
  });

  /** Sends SIGTERM; the process must end by itself, in order. */
  async function stopInOrder(): Promise<void> {
    const began = Date.now();
    await worker.kill('SIGTERM');
    expect(await worker.ended).toBe(0);
    expect(worker.output()).toContain('"msg":"stopped"');
    expect(Date.now() - began).toBeLessThan(IN_ORDER_MS);
  }

  it('stops while Redis is unavailable', async () => {
    await redis.kill();
    await until('the worker misses it', () => worker.output().includes('the queue is unavailable'));
    await stopInOrder();
  });

  it('stops when it has just come back', async () => {
    await redis.kill();
    await redis.start();
    await stopInOrder();
  });

  it('completes its requests, and records the outcomes', async () => {
    const held: ServerResponse[] = [];
    receiver.respond = (response) => void held.push(response);
    const tenant = await service.tenant();
    await createEndpoint(tenant, receiver.url);
    await tenant.createOrder();
    await receiver.waitFor(1, 20_000);
    await redis.kill();
    const stopped = stopInOrder();
    await until('it is stopping', () => worker.output().includes('"msg":"stopping"'));
    for (const response of held) response.writeHead(204).end();
    await stopped;
    const [delivery] = (await tenant.get('/webhooks/deliveries')).body.data as {
      status: string;
      attempt_count: number;
    }[];
    expect(delivery).toMatchObject({ status: 'succeeded', attempt_count: 1 });
  });
});
