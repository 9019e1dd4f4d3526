import { migrate } from '../../src/platform/database/migrate/migrations';
import { ApiClient } from '../harness/client';
import { TestCluster } from '../harness/cluster';
import { SERVICE_PASSWORD, withLogin } from '../harness/databases';
import { createEndpoint } from '../harness/endpoints';
import { Load, type Outcome } from '../harness/load';
import { expectProblem } from '../harness/problems';
import { hasRedis, startRedis, type TestRedis } from '../harness/redis';
import { type Receiver, startReceiver } from '../harness/receiver';
import { buildOnce, type ServiceProcess, startApiProcess } from '../harness/service-process';
import { TcpProxy } from '../harness/tcp-proxy';
import { until } from '../harness/until';
import { startWorkerProcess } from '../harness/worker-process';

const REQUESTS_PER_SECOND = 30;
/** The duration of the outage. */
const AWAY_MS = 3_000;
/** Far above the measured values (docs/resilience.md): the machine of a test is shared. */
const LONGEST_ANSWER_MS = 15_000;
const LONGEST_RECOVERY_MS = 20_000;

describe.each(hasRedis() ? ['PostgreSQL', 'Redis'] : ['PostgreSQL'])('under load, with BullMQ on %s', (backend) => {
  let cluster: TestCluster;
  let proxy: TcpProxy;
  let redis: TestRedis | undefined;
  let receiver: Receiver;
  let tenant: ApiClient;
  let load: Load | undefined;
  const processes: ServiceProcess[] = [];

  beforeAll(async () => {
    buildOnce();
    redis = backend === 'Redis' ? await startRedis() : undefined;
    cluster = await TestCluster.start();
    await cluster.sql('postgres', 'create database orders');
    const direct = withLogin(cluster.url('orders'), 'app_service', SERVICE_PASSWORD);
    await migrate({ migrationUrl: cluster.url('orders'), serviceUrl: direct, statementTimeout: 15_000 });
    // The server has another port after a restart; the proxy's address stays.
    proxy = await TcpProxy.start(cluster.port);
    const database = { serviceUrl: proxy.through(direct) };
    const env = { WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8', ...(redis ? { REDIS_URL: redis.url } : {}) };
    const api = await startApiProcess(database, env);
    const worker = startWorkerProcess(database, env);
    processes.push(api, worker);
    await until('the worker to lead', () => worker.output().includes('"leading'), 30_000);
    receiver = await startReceiver();
    tenant = await new ApiClient(api.url).register();
    await createEndpoint(tenant, receiver.url, { event_types: ['order.created'] });
  });
  afterAll(async () => {
    await load?.stop();
    await Promise.all(processes.map((process) => process.kill('SIGKILL')));
    await receiver?.stop();
    await proxy?.refuse();
    await cluster?.remove();
    await redis?.stop();
  });

  /** Runs the load before, during and after an outage, and returns the times of its start and end. */
  async function whileAway(running: Load, goes: () => Promise<void>, comes: () => Promise<void>) {
    const before = running.outcomes.length;
    await until('the load runs', () => running.outcomes.length > before + REQUESTS_PER_SECOND, 20_000);
    const wentAt = Date.now();
    await goes();
    await until('it is away for a while', () => Date.now() - wentAt >= AWAY_MS);
    await comes();
    return { wentAt, cameAt: Date.now() };
  }

  /** From its coming back to the first of ten successes in a row of requests that began after it. */
  function recovered(outcomes: Outcome[], cameAt: number): number | undefined {
    const since = outcomes.filter(({ begunAt }) => begunAt >= cameAt).sort((a, b) => a.begunAt - b.begunAt);
    const lastFailure = since.findLastIndex(({ status }) => status !== 200 && status !== 201);
    const first = since[lastFailure + 1];
    return first && since.length - lastFailure > 10 ? first.begunAt + first.tookMs - cameAt : undefined;
  }

  /** Waits until every order that is there has been delivered, once by its id, and written down. */
  async function everyDelivery(): Promise<void> {
    const rows = await cluster.sql<{ id: string }>('orders', 'select id from orders');
    const orders = new Set(rows.map(({ id }) => id));
    const arrived = () => receiver.received.map(({ body }) => (JSON.parse(body) as { data: { id: string } }).data.id);
    await until('every order to have been delivered', () => new Set(arrived()).size >= orders.size, 60_000);
    expect(arrived().filter((id) => !orders.has(id))).toEqual([]);
    expect(new Set(receiver.received.map(({ headers }) => headers['webhook-id'])).size).toBe(orders.size);
    await until(
      'every delivery to be written down as done',
      async () => (await cluster.sql('orders', `select 1 from deliveries where status <> 'succeeded'`)).length === 0,
      60_000,
    );
  }

  /** The arrival of the last delivery of the orders created in that time. */
  function deliveredAt(outcomes: Outcome[], from: number, to: number): number {
    const made = new Set(
      outcomes.flatMap(({ orderId, begunAt }) => (orderId && begunAt >= from && begunAt < to ? orderId : [])),
    );
    return Math.max(
      ...receiver.received
        .filter(({ body }) => made.has((JSON.parse(body) as { data: { id: string } }).data.id))
        .map(({ at }) => at),
    );
  }

  it('PostgreSQL is restarted: requests meanwhile are refused with 503, and a client that repeats them has one order for each', async () => {
    load = new Load(tenant, REQUESTS_PER_SECOND);
    const { wentAt, cameAt } = await whileAway(
      load,
      async () => {
        await cluster.stop();
        await proxy.refuse();
      },
      async () => {
        await cluster.start();
        await proxy.pass(cluster.port);
      },
    );
    const { outcomes, creates } = load;
    const recovery = await until('ten successes in a row', () => recovered(outcomes, cameAt), LONGEST_RECOVERY_MS);
    await load.stop();

    const failures = load.failures;
    for (const { status, text, headers } of failures) {
      const problem = expectProblem({ status, text, headers, body: JSON.parse(text || '{}') }, 'unavailable');
      expect(problem.detail).not.toMatch(/postgres|connect/i);
    }
    const away = outcomes.filter(({ begunAt }) => begunAt >= wentAt && begunAt < cameAt);
    expect(failures.length).toBeGreaterThan(0);
    // Neither before the outage nor after the server and the connections are back.
    expect(failures.filter(({ begunAt, tookMs }) => begunAt + tookMs < wentAt)).toEqual([]);
    expect(Math.max(...outcomes.map(({ tookMs }) => tookMs))).toBeLessThan(LONGEST_ANSWER_MS);
    expect(recovery).toBeLessThan(LONGEST_RECOVERY_MS);

    for (const { key, body } of creates) {
      const again = await tenant.post('/orders', body, { 'idempotency-key': key });
      expect(again.status).toBe(201);
      const first = outcomes.find((outcome) => outcome.key === key)?.orderId;
      if (first) expect(again.body.id).toBe(first);
    }
    const [{ count }] = (await cluster.sql<{ count: string }>('orders', 'select count(*) from orders')) as [
      { count: string },
    ];
    expect(Number(count)).toBe(creates.length);
    await everyDelivery();
    report(`PostgreSQL restarted`, { away, failures, outcomes, wentAt, cameAt, recovery });
  });

  const onRedis = backend === 'Redis' ? it : () => undefined;
  onRedis('Redis is restarted: no request fails, and deliveries go on as soon as it is back', async () => {
    const server = redis as TestRedis;
    load = new Load(tenant, REQUESTS_PER_SECOND);
    const { wentAt, cameAt } = await whileAway(
      load,
      () => server.kill(),
      () => server.start(),
    );
    const { outcomes } = load;
    await until('the load runs on', () => outcomes.filter(({ begunAt }) => begunAt > cameAt).length > 10, 20_000);
    await load.stop();
    expect(load.failures).toEqual([]);
    expect(Math.max(...outcomes.map(({ tookMs }) => tookMs))).toBeLessThan(LONGEST_ANSWER_MS);
    await everyDelivery();
    const recovery = deliveredAt(outcomes, wentAt, cameAt) - cameAt;
    expect(recovery).toBeLessThan(LONGEST_RECOVERY_MS);
    const away = outcomes.filter(({ begunAt }) => begunAt >= wentAt && begunAt < cameAt);
    report('Redis restarted', { away, failures: load.failures, outcomes, wentAt, cameAt, recovery });
  });

  /** The values of docs/resilience.md in this run. */
  function report(
    what: string,
    {
      away,
      failures,
      outcomes,
      wentAt,
      cameAt,
      recovery,
    }: {
      away: Outcome[];
      failures: Outcome[];
      outcomes: Outcome[];
      wentAt: number;
      cameAt: number;
      recovery: number;
    },
  ): void {
    const slowest = Math.max(...outcomes.map(({ tookMs }) => tookMs));
    process.stdout.write(
      `${what}, BullMQ on ${backend}: away ${cameAt - wentAt} ms; ${failures.length} of ${outcomes.length} requests failed ` +
        `(${away.length} were asked meanwhile); slowest ${slowest} ms; recovered ${recovery} ms after it was back\n`,
    );
  }
});
