import type { ServerResponse } from 'node:http';
import { createEndpoint } from '../harness/endpoints';
import { startReceiver, type Receiver } from '../harness/receiver';
import { hasRedis, startRedis, type TestRedis } from '../harness/redis';
import { startService, type TestService } from '../harness/service';
import { buildOnce } from '../harness/service-process';
import { until } from '../harness/until';
import { startWorkerProcess, type WorkerProcess } from '../harness/worker-process';

describe.each(hasRedis() ? ['PostgreSQL', 'Redis'] : ['PostgreSQL'])('a lost job, with BullMQ on %s', (backend) => {
  let service: TestService;
  let receiver: Receiver;
  let redis: TestRedis | undefined;
  const workers: WorkerProcess[] = [];

  beforeAll(async () => {
    buildOnce();
    redis = backend === 'Redis' ? await startRedis() : undefined;
    service = await startService({ env: { WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8' } });
    receiver = await startReceiver();
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

  afterEach(async () => {
    await Promise.all(workers.splice(0).map((worker) => worker.kill('SIGKILL')));
    if (redis) await redis.flush();
    else await service.database.sql('delete from bullmq.job');
    receiver.received.length = 0;
  });

  it('is not sent by the worker that took it first, while the other one sends it', async () => {
    const tenant = await service.tenant();
    await createEndpoint(tenant, receiver.url);
    const responses: ServerResponse[] = [];
    receiver.respond = (response) => void responses.push(response);
    const late = start('losing its first job');
    await until('the worker to lead', () => late.output().includes('leading'), 30_000);
    await tenant.createOrder();
    await until('the worker to take the job', () => late.output().includes('has taken a job'), 20_000);
    start();
    // The lock expires after four seconds; the receiver keeps the second worker waiting, so the row is still due.
    await receiver.waitFor(1, 40_000);
    late.signal('SIGUSR2');
    await until(
      'the first worker to send or to end',
      () => receiver.received.length > 1 || late.output().includes('has ended a job'),
      20_000,
    );
    expect(receiver.received).toHaveLength(1);
    for (const response of responses) response.writeHead(204).end();
    await until('the success', async () => {
      const rows = await service.database.sql(
        `select status, attempt_count from deliveries where tenant_id = $1 and status = 'succeeded'`,
        [tenant.tenantId],
      );
      return rows.length === 1;
    });
    expect(receiver.received).toHaveLength(1);
  });

  it('has its outcome from the worker that took it last, which sends it after that of the other one', async () => {
    const tenant = await service.tenant();
    await createEndpoint(tenant, receiver.url);
    const responses: ServerResponse[] = [];
    receiver.respond = (response) => void responses.push(response);
    const first = start('losing its job after the request');
    await until('the worker to lead', () => first.output().includes('leading'), 30_000);
    await tenant.createOrder();
    await receiver.waitFor(1, 20_000);
    start();
    await receiver.waitFor(2, 40_000);
    const [early, late] = responses as [ServerResponse, ServerResponse];
    early.writeHead(204).end();
    await until('the first worker to end', () => first.output().includes('has ended a job'), 20_000);
    const statuses = (): Promise<Record<string, unknown>[]> =>
      service.database.sql('select status, attempt_count from deliveries where tenant_id = $1', [tenant.tenantId]);
    expect(await statuses()).toEqual([{ status: 'pending', attempt_count: 0 }]);
    await until('its log', () => first.output().includes('another worker has the job of a delivery'));
    late.writeHead(204).end();
    await until('the success', async () => (await statuses())[0]?.status === 'succeeded');
    expect(await statuses()).toEqual([{ status: 'succeeded', attempt_count: 1 }]);
    expect(receiver.received).toHaveLength(2);
  });
});
