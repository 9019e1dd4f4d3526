import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { ApiClient } from '../harness/client';
import { createEndpoint } from '../harness/endpoints';
import { startReceiver, type Received, type Receiver } from '../harness/receiver';
import { hasRedis, startRedis, type TestRedis } from '../harness/redis';
import { startService, type TestService } from '../harness/service';
import { buildOnce } from '../harness/service-process';
import { until } from '../harness/until';
import { startWorkerProcess, type WorkerProcess } from '../harness/worker-process';

const TENANTS = 12;
const CREATE_EVERY_MS = 25;
/** Room for the machine, beyond the five seconds that a change of hands may take. */
const SETTLED_MS = 30_000;

describe.each(hasRedis() ? ['PostgreSQL', 'Redis'] : ['PostgreSQL'])('several workers, BullMQ on %s', (backend) => {
  let service: TestService;
  let receiver: Receiver;
  let redis: TestRedis | undefined;
  let tenants: ApiClient[];
  const workers: WorkerProcess[] = [];

  beforeAll(async () => {
    buildOnce();
    redis = backend === 'Redis' ? await startRedis() : undefined;
    service = await startService({ env: { WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8' } });
    receiver = await startReceiver();
    tenants = await Promise.all(Array.from({ length: TENANTS }, () => service.tenant()));
    await Promise.all(tenants.map((tenant) => createEndpoint(tenant, receiver.url)));
  });
  afterEach(async () => {
    await Promise.all(workers.splice(0).map((worker) => worker.kill('SIGKILL')));
    receiver.respond = (response) => void response.writeHead(204).end();
  });
  afterAll(async () => {
    await service.stop();
    await receiver.stop();
    await redis?.stop();
  });

  function start(env: Record<string, string> = {}, crashAt?: string): WorkerProcess {
    const worker = startWorkerProcess(
      service.database,
      { ...(redis ? { REDIS_URL: redis.url } : {}), ...env },
      crashAt,
    );
    workers.push(worker);
    return worker;
  }

  /** The owned shards by session, as an operator sees them. */
  async function parts(): Promise<number[]> {
    const rows = await service.database.sql<{ count: string }>(
      `select count(*) from pg_locks where locktype = 'advisory' and granted and objsubid = 2 and classid = 726354014
          and database = (select oid from pg_database where datname = current_database()) group by pid order by 1`,
    );
    return rows.map(({ count }) => Number(count));
  }
  const divided = (...expected: number[]) =>
    until(`parts of ${expected.join(', ')}`, async () => (await parts()).join() === expected.join(), SETTLED_MS);

  /** Creates orders of all tenants in turn until it is stopped; gives the ids of the committed ones. */
  function load(): { created: (count: number) => Promise<unknown>; stop: () => Promise<string[]> } {
    let stopped = false;
    const ids: string[] = [];
    const run = (async () => {
      for (let turn = 0; !stopped; turn++) {
        ids.push((await (tenants[turn % TENANTS] as ApiClient).createOrder()).id as string);
        await delay(CREATE_EVERY_MS);
      }
      return ids;
    })();
    return {
      created: (count) => until(`${count} orders`, () => ids.length >= count, SETTLED_MS),
      stop: () => {
        stopped = true;
        return run;
      },
    };
  }

  const orderOf = (received: Received) => (JSON.parse(received.body) as { data: { id: string } }).data.id;

  /** Waits for each order, then gives how often each arrived. */
  async function arrivals(ids: readonly string[]): Promise<number[]> {
    const waiting = () =>
      service.database.sql(
        `select 1 from deliveries where status in ('pending', 'retrying') union all select 1 from outbox`,
      );
    await until('nothing to wait', async () => (await waiting()).length === 0, SETTLED_MS);
    const counts = new Map<string, number>();
    for (const received of receiver.received) {
      const id = orderOf(received);
      counts.set(id, (counts.get(id) ?? 0) + 1);
    }
    return ids.map((id) => counts.get(id) ?? 0);
  }
  const exactlyOnce = (ids: readonly string[]) => ids.map(() => 1);

  it('divide the tenants, and move shards under load without a loss or a duplicate', async () => {
    start();
    await divided(16);
    const orders = load();
    await delay(500);
    const second = start();
    await divided(8, 8);
    start();
    start();
    await divided(4, 4, 4, 4);
    await delay(1_000);
    // A clean stop: its shards move while deliveries are in flight.
    second.signal('SIGTERM');
    expect(await second.ended).toBe(0);
    await divided(5, 5, 6);
    await delay(500);
    await orders.created(50);
    const ids = await orders.stop();
    expect(await arrivals(ids)).toEqual(exactlyOnce(ids));
  });

  it('take over the part of a killed worker, and send no delivery again after a recorded success', async () => {
    receiver.respond = (response) => void setTimeout(() => response.writeHead(204).end(), 50);
    const [first] = [start(), start(), start(), start()];
    await divided(4, 4, 4, 4);
    const orders = load();
    await delay(1_500);
    const succeeded = await service.database.sql<{ id: string }>(
      `select id from deliveries where status = 'succeeded'`,
    );
    await first?.kill('SIGKILL');
    await divided(5, 5, 6);
    await delay(1_500);
    const ids = await orders.stop();
    const counts = await arrivals(ids);
    expect(counts.filter((count) => count === 0)).toEqual([]);
    const sentOnce = new Set(succeeded.map(({ id }) => id));
    const times = new Map<string, number>();
    for (const { headers } of receiver.received) {
      const id = headers['webhook-id'] as string;
      if (sentOnce.has(id)) times.set(id, (times.get(id) ?? 0) + 1);
    }
    expect([...times.values()].filter((count) => count > 1)).toEqual([]);
  });

  it.each([
    'during the claim',
    'after the row',
    'after the job',
    'before the request',
    'after the response',
    'after the attempt was written',
  ])('lose no delivery when one dies %s while the other owns half', async (step) => {
    start();
    await divided(16);
    const dying = start({}, step);
    await divided(8, 8);
    const orders = load();
    expect(await dying.ended).toBe('SIGKILL');
    await divided(16);
    await delay(300);
    const ids = await orders.stop();
    const counts = await arrivals(ids);
    expect(counts.filter((count) => count === 0)).toEqual([]);
  });

  it('send in time although their clocks differ by a minute, also retries of another worker', async () => {
    const skewed = (seconds: number) =>
      start({
        NODE_OPTIONS: `--require ${join(__dirname, '..', 'harness', 'skewed-clock.cjs')}`,
        CLOCK_SKEW_MS: String(seconds * 1_000),
      });
    const ahead = skewed(30);
    await divided(16);
    skewed(-30);
    await divided(8, 8);
    // Each delivery fails once, so that one worker writes when it is due again and another may have to read it.
    const failed = new Set<string>();
    receiver.respond = (response, { headers }) => {
      const id = headers['webhook-id'] as string;
      const isFirst = !failed.has(id);
      failed.add(id);
      response.writeHead(isFirst ? 500 : 204).end();
    };
    const orders = load();
    await orders.created(20);
    await ahead.kill('SIGKILL');
    await divided(16);
    const ids = await orders.stop();
    // Within half of the difference: nothing waits for a clock.
    const counts = await arrivals(ids);
    expect(counts.filter((count) => count < 2)).toEqual([]);
  });
});
