import { Redis } from 'ioredis';
import { createEndpoint } from '../../harness/endpoints';
import { startReceiver, type Receiver } from '../../harness/receiver';
import { hasRedis, startRedis, type TestRedis } from '../../harness/redis';
import { startService, type TestService } from '../../harness/service';
import { TcpProxy } from '../../harness/tcp-proxy';
import { until } from '../../harness/until';
import { startWorker, type TestWorker } from '../../harness/worker';

/** Two servers behind one address, as a service's name or a load balancer gives it. */
(hasRedis() ? describe : describe.skip)('one redis:// address whose server changes', () => {
  let first: TestRedis;
  let second: TestRedis;
  let a: Redis;
  let b: Redis;
  let proxy: TcpProxy;
  let service: TestService;
  let worker: TestWorker;
  let receiver: Receiver;

  const portOf = ({ url }: TestRedis): number => Number(new URL(url).port);
  const ready = async () => (await service.client.get('/health/ready')).body.checks.queue as string;
  const readyIs = (state: string) => until(`the queue to be ${state}`, async () => (await ready()) === state);

  beforeAll(async () => {
    [first, second] = [await startRedis(), await startRedis()];
    [a, b] = [new Redis(first.url), new Redis(second.url)];
    for (const client of [a, b]) client.on('error', () => undefined);
    await b.replicaof('127.0.0.1', portOf(first));
    await until('the replica to follow', async () => (await b.info('replication')).includes('master_link_status:up'));
    proxy = await TcpProxy.start(portOf(first));
    const REDIS_URL = proxy.through(first.url);
    service = await startService({ env: { REDIS_URL, WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8' } });
    worker = await startWorker(service.database, { REDIS_URL });
    receiver = await startReceiver();
  });
  afterAll(async () => {
    await worker.stop();
    await service.stop();
    for (const client of [a, b]) client.disconnect();
    await proxy.refuse();
    await Promise.all([receiver.stop(), first.stop(), second.stop()]);
  });

  it('is followed: clients of the demoted server reconnect, and no delivery waits', async () => {
    const tenant = await service.tenant();
    await createEndpoint(tenant, receiver.url);
    await tenant.createOrder();
    await receiver.waitFor(1);
    await readyIs('ok');

    await b.replicaof('NO', 'ONE');
    await proxy.pass(portOf(second));
    await a.replicaof('127.0.0.1', portOf(second));
    await until('the demotion', async () => (await a.role())[0] === 'slave');

    for (let i = 0; i < 12; i++) await tenant.createOrder();
    await receiver.waitFor(13, 20_000);
    await readyIs('ok');
    // The connections that hung on the demoted server have closed without help.
    const clients = ((await a.client('LIST')) as string).split('\n').filter((line) => /lib-name=ioredis/.test(line));
    expect(clients.length).toBeLessThanOrEqual(1);
  });

  it('is not ready while it takes no writes: full, a replica, or without the replicas that it must have', async () => {
    const master = b;
    await readyIs('ok');
    await master.config('SET', 'maxmemory', '1');
    await readyIs('unavailable');
    expect((await service.client.get('/health/ready?exclude=queue')).status).toBe(200);
    await master.config('SET', 'maxmemory', '0');
    await readyIs('ok');

    await master.config('SET', 'min-replicas-to-write', '5');
    await readyIs('unavailable');
    await master.config('SET', 'min-replicas-to-write', '0');
    await readyIs('ok');

    await a.replicaof('NO', 'ONE');
    await master.replicaof('127.0.0.1', portOf(first));
    await readyIs('unavailable');
    await master.replicaof('NO', 'ONE');
    await readyIs('ok');
  });
});
