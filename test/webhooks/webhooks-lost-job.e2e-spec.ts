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
    await Promise.all(workers.map((worker) => worker.kill('SIGKILL')));
    await service.stop();
    await receiver.stop();
    await redis?.stop();
  });

  function start(crashAt?: string): WorkerProcess {
    const worker = startWorkerProcess(service.database, redis ? { REDIS_URL: redis.url } : {}, crashAt);
    workers.push(worker);
    return worker;
  }

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
});
