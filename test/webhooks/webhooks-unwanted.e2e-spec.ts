import { readFile } from 'node:fs/promises';
import { admin } from '../harness/admin';
import { createEndpoint } from '../harness/endpoints';
import { startReceiver, type Receiver } from '../harness/receiver';
import { startService, type TestService } from '../harness/service';
import { buildOnce } from '../harness/service-process';
import { until } from '../harness/until';
import { startWorkerProcess, type WorkerProcess } from '../harness/worker-process';

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

describe('a delivery that is not to be sent any more', () => {
  let service: TestService;
  let receiver: Receiver;
  let worker: WorkerProcess | undefined;

  beforeAll(async () => {
    buildOnce();
    service = await startService({ env: { WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8' } });
  });
  beforeEach(async () => {
    receiver = await startReceiver();
  });
  afterEach(async () => {
    await worker?.kill('SIGKILL');
    await receiver.stop();
  });
  afterAll(() => service.stop());

  const deliveries = (tenantId: string) =>
    service.database.sql('select id, status, attempt_count from deliveries where tenant_id = $1', [tenantId]);

  it('does not go out of a worker that stood still while another one sent it', async () => {
    const tenant = await service.tenant();
    await createEndpoint(tenant, receiver.url);
    worker = startWorkerProcess(service.database, {}, 'standing still before the request');
    await tenant.createOrder();
    const { pid } = worker;
    await until('the worker to stand still', () => isStopped(pid), 20_000);
    // Another worker sends it, and has its success written.
    await service.database.sql(
      `update deliveries set status = 'succeeded', attempt_count = 1, tries = 1, next_attempt_at = null, completed_at = now()
        where tenant_id = $1`,
      [tenant.tenantId],
    );
    await pause(1_200);
    worker.signal('SIGCONT');
    await pause(2_000);
    expect(receiver.received).toEqual([]);
    expect(await deliveries(tenant.tenantId)).toMatchObject([{ status: 'succeeded', attempt_count: 1 }]);
  });

  it('waits while its tenant is suspended, and goes out once that is over', async () => {
    const tenant = await service.tenant();
    await createEndpoint(tenant, receiver.url);
    receiver.respond = (response) => void response.writeHead(503, { 'retry-after': '1' }).end();
    worker = startWorkerProcess(service.database);
    await tenant.createOrder();
    await tenant.createOrder();
    await receiver.waitFor(2, 20_000);
    await until('both to wait', async () =>
      (await deliveries(tenant.tenantId)).every(({ status }) => status === 'retrying'),
    );
    await admin(service.database, ['tenants', 'suspend', tenant.tenantId]);
    const before = receiver.received.length;
    receiver.respond = (response) => void response.writeHead(204).end();
    await pause(4_000);
    expect(receiver.received).toHaveLength(before);
    expect((await deliveries(tenant.tenantId)).map(({ status }) => status)).toEqual(['retrying', 'retrying']);
    await admin(service.database, ['tenants', 'resume', tenant.tenantId]);
    await receiver.waitFor(before + 2, 15_000);
  });
});

/** Whether a process is stopped by a signal, as the kernel has it. */
async function isStopped(pid: number): Promise<boolean> {
  return / \(.*\) T /.test(await readFile(`/proc/${pid}/stat`, 'utf8'));
}
