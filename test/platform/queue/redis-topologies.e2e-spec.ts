import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeCertificate } from '../../harness/certificates';
import { setTimeout as delay } from 'node:timers/promises';
import { Config } from '../../../src/platform/config/config';
import { prefixOfPart, queueParts } from '../../../src/platform/queue/queue';
import { slotOf } from '../../../src/platform/shards/tenant-shard';
import { ApiClient } from '../../harness/client';
import { createEndpoint } from '../../harness/endpoints';
import { Load } from '../../harness/load';
import { hasRedis } from '../../harness/redis';
import { type RedisTopology, startRedisCluster, startRedisSentinels } from '../../harness/redis-topologies';
import { type Receiver, startReceiver } from '../../harness/receiver';
import { startService, type TestService } from '../../harness/service';
import { startWorker, type TestWorker } from '../../harness/worker';
import { until } from '../../harness/until';

/** A key of one part of the queue: all keys of the part are in its slot. */
const keyOf = (part: number): string => `${prefixOfPart(part)}:webhook-turns:meta`;
const REQUESTS_PER_SECOND = 20;

const folder = mkdtempSync(join(tmpdir(), 'orders-test-redis-tls-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const topologies: [string, () => Promise<RedisTopology>][] = [
  ['a cluster', () => startRedisCluster()],
  ['a master behind sentinels', () => startRedisSentinels()],
  ['a cluster with TLS alone', () => startRedisCluster(makeCertificate(folder, 'cluster'))],
  ['a master behind sentinels, all with TLS alone', () => startRedisSentinels(makeCertificate(folder, 'sentinels'))],
];

describe.each(hasRedis() ? topologies : [])('Redis as %s', (name, start) => {
  let redis: RedisTopology;
  let service: TestService;
  let worker: TestWorker;
  let receiver: Receiver;
  let tenant: ApiClient;
  let load: Load | undefined;
  let parts: number;
  let queueKey: string;

  beforeAll(async () => {
    redis = await start();
    const env = { REDIS_URL: redis.url, WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8' };
    service = await startService({ env });
    worker = await startWorker(service.database, env);
    receiver = await startReceiver();
    tenant = await service.tenant();
    parts = queueParts(worker.app.get(Config));
    queueKey = keyOf(slotOf(tenant.tenantId) % parts);
    await createEndpoint(tenant, receiver.url, { event_types: ['order.created'] });
  });
  afterAll(async () => {
    await load?.stop();
    await worker?.stop();
    await service?.stop();
    await receiver?.stop();
    await redis?.stop();
  });

  /** The deliveries of orders, for the message of a test that waits for them in vain. */
  const stateOf = (orderIds: readonly string[]) =>
    service.database.sql(
      `select e.aggregate_id, o.position, d.id, d.status, d.attempt_count, d.next_attempt_at
         from events e left join outbox o on o.event_id = e.id left join deliveries d on d.event_id = e.id
        where e.aggregate_id = any($1)`,
      [orderIds],
    );

  const arrived = (): string[] =>
    receiver.received.map(({ body }) => (JSON.parse(body) as { data: { id: string } }).data.id);

  it('carries the queue and the rate limits', async () => {
    const ids: string[] = [];
    for (let i = 0; i < 10; i++) ids.push((await tenant.createOrder()).id as string);
    await until('every order to arrive', () => arrived().length >= ids.length, 20_000);
    expect(arrived().sort()).toEqual(ids.sort());
    expect(await redis.keys('*:webhook-turns:*')).toContain(queueKey);
    expect(await redis.keys('limit:*')).not.toEqual([]);
    // The queue is in the expected place, and not in PostgreSQL.
    expect(await service.database.sql('select 1 from bullmq.job')).toEqual([]);
  });

  it('has the queue on several masters of a cluster, and on the only one otherwise', async () => {
    const isCluster = name.startsWith('a cluster');
    const masters = await Promise.all(Array.from({ length: parts }, (_, part) => redis.masterOf(keyOf(part))));
    expect(parts).toBe(isCluster ? 8 : 1);
    expect(new Set(masters).size).toBe(isCluster ? 3 : 1);
    // Each part is open, though one tenant uses one of them.
    const open = await redis.keys('*:webhook-turns:meta');
    expect([...new Set(open)].sort()).toEqual(Array.from({ length: parts }, (_, part) => keyOf(part)).sort());
  });

  it('hears little from an idle worker, however many shards there are', async () => {
    const seconds = 5;
    const before = await redis.queueCommands();
    await delay(seconds * 1_000);
    const rate = ((await redis.queueCommands()) - before) / seconds;
    process.stdout.write(`${expect.getState().currentTestName}: ${rate} commands a second\n`);
    // A check for stalled jobs a second and a blocking read every five, for each part and for the queue of 0.1.0.
    expect(rate).toBeLessThan(4 * (parts + 1));
  });

  it('may lose the server that has the queue: another takes over, no request fails and every order arrives', async () => {
    receiver.received.length = 0;
    load = new Load(tenant, REQUESTS_PER_SECOND);
    const running = load;
    await until('the load runs', () => running.outcomes.length >= REQUESTS_PER_SECOND, 20_000);
    const killedAt = Date.now();
    const lost = await redis.killMasterOf(queueKey);
    await until('another to take over', async () => (await redis.masterOf(queueKey)) !== lost, 30_000);
    const tookOverAt = Date.now();
    const before = running.outcomes.length;
    await until('the load runs on', () => running.outcomes.length >= before + REQUESTS_PER_SECOND, 20_000);
    const outcomes = await running.stop();
    expect(running.failures.map(({ kind, status, text }) => ({ kind, status, text }))).toEqual([]);
    // The limiter does not wait for the new master: far above its timeout, for a busy machine.
    expect(Math.max(...outcomes.map(({ tookMs }) => tookMs))).toBeLessThan(5_000);
    const made = outcomes.flatMap(({ orderId }) => orderId ?? []);
    await until('every order to arrive', () => new Set(arrived()).size >= made.length, 60_000).catch(
      async (error: Error) => {
        const missing = made.filter((id) => !arrived().includes(id));
        throw new Error(`${error.message}; missing: ${JSON.stringify(await stateOf(missing))}`);
      },
    );
    expect([...new Set(arrived())].sort()).toEqual(made.sort());
    expect(new Set(receiver.received.map(({ headers }) => headers['webhook-id'])).size).toBe(made.length);
    const during = new Set(
      outcomes.flatMap(({ orderId, begunAt }) => (orderId && begunAt < tookOverAt ? orderId : [])),
    );
    const last = Math.max(
      ...receiver.received
        .filter(({ body }) => during.has((JSON.parse(body) as { data: { id: string } }).data.id))
        .map(({ at }) => at),
    );
    process.stdout.write(
      `${expect.getState().currentTestName}: took over after ${tookOverAt - killedAt} ms; ` +
        `what had waited had arrived ${Math.max(0, last - tookOverAt)} ms later; ` +
        `slowest answer ${Math.max(...outcomes.map(({ tookMs }) => tookMs))} ms\n`,
    );
  });
});
