import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createEndpoint } from '../../harness/endpoints';
import { startReceiver, type Receiver } from '../../harness/receiver';
import { startService, type TestService } from '../../harness/service';
import { buildOnce } from '../../harness/service-process';
import { TcpProxy } from '../../harness/tcp-proxy';
import { until } from '../../harness/until';
import { startWorkerProcess, type WorkerProcess } from '../../harness/worker-process';

describe('a worker with its queue in PostgreSQL', () => {
  let service: TestService;
  let receiver: Receiver;
  let proxy: TcpProxy;
  let worker: WorkerProcess | undefined;

  beforeAll(async () => {
    buildOnce();
    service = await startService({ env: { WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8' } });
    receiver = await startReceiver();
    proxy = await TcpProxy.start(Number(new URL(service.database.serviceUrl).port));
  });
  afterAll(async () => {
    await worker?.kill('SIGKILL');
    await proxy.refuse();
    await service.stop();
    await receiver.stop();
  });

  it('recovers where the first queries of the queue fail: it stays alive, and sends once they do not', async () => {
    const tenant = await service.tenant();
    await createEndpoint(tenant, receiver.url);
    await proxy.refuse();
    const started = startWorkerProcess(service.database, {
      DIRECT_DATABASE_URL: proxy.through(service.database.serviceUrl),
    });
    worker = started;
    const port = await until('the worker works', () => /"port":(\d+)/.exec(started.output())?.[1], 30_000);
    await tenant.createOrder();
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    const live = await fetch(`http://127.0.0.1:${port}/health/live`, { signal: AbortSignal.timeout(5_000) });
    expect(live.status).toBe(200);
    expect(receiver.received).toEqual([]);
    await proxy.pass();
    await receiver.waitFor(1, 30_000);
  });
});

describe('the watch over the event loop', () => {
  const WATCHDOG = join(__dirname, '..', '..', '..', 'dist', 'src', 'processes', 'watchdog.js');

  async function endOf(work: string): Promise<{ signal: NodeJS.Signals | null; code: number | null; errors: string }> {
    const script = `require(${JSON.stringify(WATCHDOG)}).watchEventLoop(50, 6); ${work}`;
    const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'ignore', 'pipe'], timeout: 30_000 });
    let errors = '';
    child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
    const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
    return { signal, code, errors };
  }

  beforeAll(() => buildOnce());

  it('ends a process with a blocked event loop, and reports it', async () => {
    const { signal, errors } = await endOf('setTimeout(() => { (async () => { for (;;) await null; })(); }, 200);');
    expect(signal).toBe('SIGKILL');
    expect(JSON.parse(errors.trim().split('\n').at(-1) as string)).toMatchObject({
      level: 'fatal',
      msg: expect.stringContaining('the event loop stood still'),
    });
  });

  it('lets a process be that is busy for a while, and keeps none alive', async () => {
    const busy = 'const end = Date.now() + 120; while (Date.now() < end);';
    expect(await endOf(`setTimeout(() => { ${busy} }, 100); setTimeout(() => undefined, 1500);`)).toMatchObject({
      code: 0,
      signal: null,
    });
  });
});
