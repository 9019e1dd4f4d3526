import { spawn, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import pino from 'pino';
import { loadConfig } from '../../../src/platform/config/config';
import { Metrics } from '../../../src/platform/observability/metrics';
import { type MetricsServer, serveMetrics } from '../../../src/platform/observability/metrics-server';
import { makeEndpoint } from '../../harness/webhooks';
import { parseMetrics, type Sample } from '../../harness/prometheus';
import { type Receiver, startReceiver } from '../../harness/receiver';
import { JWT_SECRET, startService, type TestService } from '../../harness/service';
import { until } from '../../harness/until';
import { startWorker, type TestWorker } from '../../harness/worker';
import { buildOnce } from '../../harness/service-process';

const silent = pino({ level: 'silent' });

function serve(metrics: Metrics, env: Record<string, string> = {}, byDefault = true) {
  return serveMetrics(metrics, loadConfig({ METRICS_PORT: '0', ...env }), silent, byDefault);
}

async function scrape(server: MetricsServer | undefined): Promise<{ text: string; samples: Sample[] }> {
  const response = await fetch(`http://127.0.0.1:${server?.port}/metrics`);
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
  const text = await response.text();
  return { text, samples: parseMetrics(text) };
}

const valueOf = (samples: Sample[], name: string, labels: Record<string, string> = {}): number | undefined =>
  samples.find(
    (sample) =>
      sample.name === name && Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
  )?.value;

describe('metrics', () => {
  let service: TestService;
  let worker: TestWorker;
  let receiver: Receiver;
  let ofApi: MetricsServer | undefined;
  let ofWorker: MetricsServer | undefined;

  beforeAll(async () => {
    service = await startService({ env: { WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8' } });
    worker = await startWorker(service.database);
    receiver = await startReceiver();
    ofApi = await serve(service.metrics);
    ofWorker = await serve(worker.metrics);
  });

  afterAll(async () => {
    ofApi?.close();
    ofWorker?.close();
    await worker.stop();
    await service.stop();
    await receiver.stop();
  });

  it('counts requests by method, route template and status, in seconds', async () => {
    const tenant = await service.tenant();
    const order = await tenant.createOrder();
    await tenant.get(`/orders/${order.id}`);
    await tenant.get(`/orders/${randomUUID()}`);
    const { samples } = await scrape(ofApi);
    const count = (labels: Record<string, string>) => valueOf(samples, 'http_request_duration_seconds_count', labels);
    const route = '/api/v1/orders/:id';
    expect(count({ method: 'POST', route: '/api/v1/orders', status: '201' })).toBe(1);
    expect(count({ method: 'GET', route, status: '200' })).toBe(1);
    expect(count({ method: 'GET', route, status: '404' })).toBe(1);
    const sum = valueOf(samples, 'http_request_duration_seconds_sum', { method: 'POST', route: '/api/v1/orders' });
    expect(sum).toBeGreaterThan(0);
    expect(sum).toBeLessThan(10);
    expect(valueOf(samples, 'http_requests_in_flight')).toBe(0);
  });

  it('holds a hundred unknown paths in one series', async () => {
    for (let i = 0; i < 100; i++) await service.client.get(`/no/${randomUUID()}`);
    const { samples, text } = await scrape(ofApi);
    const unmatched = samples.filter(
      (sample) => sample.name === 'http_request_duration_seconds_count' && sample.labels.route === 'unmatched',
    );
    expect(unmatched).toEqual([
      expect.objectContaining({ labels: { method: 'GET', route: 'unmatched', status: '404' }, value: 100 }),
    ]);
    expect(text).not.toContain('/no/');
  });

  it('counts a disconnected client as 499, and no request stays in flight', async () => {
    const tenant = await service.tenant();
    const { port } = new URL(service.url);
    // The body never arrives completely: the response cannot begin before the client disconnects.
    const socket = connect(Number(port), '127.0.0.1', () =>
      socket.write(
        'POST /api/v1/orders HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 99\r\n' +
          `authorization: Bearer ${tenant.session?.access_token}\r\n\r\n{`,
      ),
    );
    await until(
      'the request is in flight',
      async () => valueOf((await scrape(ofApi)).samples, 'http_requests_in_flight') === 1,
    );
    socket.destroy();
    const gone = { route: '/api/v1/orders', status: '499' };
    await until(
      'it is counted',
      async () => valueOf((await scrape(ofApi)).samples, 'http_request_duration_seconds_count', gone) === 1,
    );
    expect(valueOf((await scrape(ofApi)).samples, 'http_requests_in_flight')).toBe(0);
  });

  it('shows each pool of connections, what waits, and for how long', async () => {
    const { samples } = await scrape(ofApi);
    for (const [pool, connections] of [
      ['read', 2],
      ['write', 6],
      ['export', 1],
    ] as const) {
      const [used, idle] = ['used', 'idle'].map((state) => valueOf(samples, 'db_pool_connections', { pool, state }));
      expect([pool, (used ?? NaN) + (idle ?? NaN)]).toEqual([pool, connections]);
      expect([pool, valueOf(samples, 'db_pool_waiting', { pool })]).toEqual([pool, 0]);
    }
    // Sign-in hashed a password outside a transaction, but wrote in one that holds a connection.
    expect(valueOf(samples, 'db_pool_wait_seconds_count', { pool: 'transaction' })).toBeGreaterThan(0);
    expect(valueOf(samples, 'db_pool_wait_seconds_count', { pool: 'read' })).toBeGreaterThan(0);
  });

  it('names the build and what runs it, and watches the event loop', async () => {
    for (const [server, role] of [
      [ofApi, 'api'],
      [ofWorker, 'worker'],
    ] as const) {
      const { samples } = await scrape(server);
      const [build] = samples.filter((sample) => sample.name === 'app_build_info');
      expect(build).toEqual({ name: 'app_build_info', labels: { role, version: '0.1.0' }, value: 1 });
      expect(valueOf(samples, 'nodejs_eventloop_lag_seconds')).toBeGreaterThanOrEqual(0);
    }
  });

  it('counts deliveries by outcome and attempts by result', async () => {
    const tenant = await service.tenant();
    const path = `/${randomUUID()}`;
    receiver.respond = (response) => void response.writeHead(500).end();
    await makeEndpoint(tenant, { url: `${receiver.url}${path}` });
    await makeEndpoint(tenant, { url: `${receiver.url}/filtered`, event_types: ['order.cancelled'] });
    const before = (await scrape(ofWorker)).samples;
    await tenant.createOrder();
    const grown = (after: Sample[], name: string, labels: Record<string, string>) =>
      (valueOf(after, name, labels) ?? NaN) - (valueOf(before, name, labels) ?? NaN);
    const after = await until('it has failed for good', async () => {
      const { samples } = await scrape(ofWorker);
      return grown(samples, 'webhook_deliveries_total', { outcome: 'failed' }) === 1 && samples;
    });
    expect(grown(after, 'webhook_deliveries_total', { outcome: 'retrying' })).toBe(2);
    expect(grown(after, 'webhook_deliveries_total', { outcome: 'filtered' })).toBe(1);
    expect(grown(after, 'webhook_deliveries_total', { outcome: 'succeeded' })).toBe(0);
    expect(grown(after, 'webhook_attempt_duration_seconds_count', { result: '5xx' })).toBe(3);
    expect(valueOf(after, 'webhook_breakers', { state: 'closed' })).toBeGreaterThan(0);
    expect(valueOf(after, 'webhook_breakers', { state: 'open' })).toBe(0);
    expect(valueOf(after, 'webhook_leader')).toBe(1);
    expect(valueOf(after, 'queue_jobs', { queue: 'webhook-deliveries', state: 'waiting' })).toBe(0);
    receiver.respond = (response) => void response.writeHead(204).end();
  });

  it('shows the age of the oldest event and due delivery, on any leader', async () => {
    const database = service.database;
    const tenant = await service.tenant();
    await worker.stop();
    const endpoint = await makeEndpoint(tenant, { url: `${receiver.url}/late` });
    await tenant.createOrder();
    const [event] = await database.sql<{ id: string }>('select event_id as id from outbox');
    // As if it had happened 100 seconds ago: the time is in the id.
    const old = Date.now() - 100_000;
    const oldId = `${old
      .toString(16)
      .padStart(12, '0')
      .replace(/^(.{8})/, '$1-')}${event?.id.slice(13)}`;
    await database.sql('update outbox set event_id = $1', [oldId]);
    await database.sql(
      `insert into deliveries (tenant_id, id, endpoint_id, event_id, event_type, status, attempt_count, tries, next_attempt_at, created_at)
       select $1, gen_random_uuid(), $2, $3, 'order.created', 'retrying', 1, 1, now() - interval '50 seconds', now() from generate_series(1, 3)`,
      [tenant.tenantId, endpoint.id, event?.id],
    );
    // Another process has the lock: this worker never leads, but still reports.
    const [lock] = await database.sql<{ locked: boolean }>('select pg_try_advisory_lock(7263540120) as locked');
    expect(lock?.locked).toBe(true);
    const follower = await startWorker(database);
    const server = await serve(follower.metrics);
    try {
      const { samples } = await scrape(server);
      expect(valueOf(samples, 'webhook_leader')).toBe(0);
      expect(valueOf(samples, 'outbox_lag_seconds')).toBeGreaterThan(99);
      expect(valueOf(samples, 'outbox_lag_seconds')).toBeLessThan(160);
      expect(valueOf(samples, 'webhook_oldest_due_seconds')).toBeGreaterThan(49);
      expect(valueOf(samples, 'webhook_due_deliveries')).toBe(3);
      // The reading is cached for a while: frequent scrapes cause no load.
      await database.sql('delete from outbox');
      expect(valueOf((await scrape(server)).samples, 'outbox_lag_seconds')).toBeGreaterThan(99);
    } finally {
      server?.close();
      await follower.stop();
      await database.sql('select pg_advisory_unlock(7263540120)');
      worker = await startWorker(database);
      ofWorker?.close();
      ofWorker = await serve(worker.metrics);
    }
  });

  it('leaves out unreadable values, and still responds', async () => {
    const own = await startService();
    const lost = await startWorker(own.database);
    const server = await serve(lost.metrics);
    try {
      await own.database.sql('alter table outbox rename to elsewhere');
      const { samples } = await scrape(server);
      expect(valueOf(samples, 'outbox_lag_seconds')).toBeUndefined();
      expect(valueOf(samples, 'webhook_due_deliveries')).toBeUndefined();
      expect(valueOf(samples, 'webhook_leader')).toBeDefined();
    } finally {
      server?.close();
      await lost.stop();
      await own.stop();
    }
  });

  it('passes promtool', async () => {
    const found = spawnSync('promtool', ['--version']).status === 0;
    if (!found && process.env.CI) throw new Error('promtool is missing: .ci/run installs it');
    if (!found)
      return void process.stderr.write('\n*** promtool is not installed: the check of metrics is SKIPPED ***\n\n');
    for (const server of [ofApi, ofWorker]) {
      const { text } = await scrape(server);
      const check = spawnSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' });
      // Names of Node's own metrics are prom-client's.
      const faults = (check.stdout + check.stderr)
        .split('\n')
        .filter((line) => line && !/^(nodejs|process)_/.test(line));
      expect(faults).toEqual([]);
    }
  });

  it('is described metric by metric in docs/observability.md', async () => {
    const document = readFileSync(join(__dirname, '..', '..', '..', 'docs', 'observability.md'), 'utf8');
    const described = new Set(
      [...document.matchAll(/^\| `([a-z_]+)` \| (?:gauge|counter|histogram)/gm)].map(([, name]) => name),
    );
    const served = [await scrape(ofApi), await scrape(ofWorker)].flatMap(({ text }) =>
      [...text.matchAll(/^# TYPE (\S+) /gm)].map(([, name]) => name as string),
    );
    const ours = new Set(served.filter((name) => !/^(nodejs|process)_/.test(name)));
    expect([...ours].filter((name) => !described.has(name))).toEqual([]);
    // Served only with a replica, or with DATABASE_ROUTING=node.
    for (const name of ['db_replica_reads_total', 'db_node_up']) described.delete(name);
    expect([...described].filter((name) => !ours.has(name as string))).toEqual([]);
  });

  it('has no label that a caller could fill', async () => {
    const names = new Set(
      [...(await scrape(ofApi)).samples, ...(await scrape(ofWorker)).samples].flatMap(({ labels }) =>
        Object.keys(labels),
      ),
    );
    const ours = [
      'action',
      'dependency',
      'le',
      'method',
      'outcome',
      'pool',
      'queue',
      'reason',
      'result',
      'role',
      'route',
      'state',
      'status',
    ];
    const nodes = ['kind', 'major', 'minor', 'patch', 'quantile', 'space', 'type', 'version'];
    expect([...names].filter((name) => !ours.includes(name) && !nodes.includes(name))).toEqual([]);
  });

  describe('the port', () => {
    it('is not the public one', async () => {
      const response = await fetch(`${service.url}/metrics`);
      expect(response.status).toBe(404);
      expect(await response.text()).not.toContain('http_request_duration_seconds');
    });

    it('serves no other path', async () => {
      const url = `http://127.0.0.1:${ofApi?.port}`;
      expect((await fetch(`${url}/`)).status).toBe(404);
      expect((await fetch(`${url}/metrics`, { method: 'POST' })).status).toBe(405);
    });

    it('is closed by default', async () => {
      expect(await serve(new Metrics('start'), { METRICS_PORT: '' }, false)).toBeUndefined();
      expect(await serve(new Metrics('api'), { METRICS_PORT: 'off' })).toBeUndefined();
    });

    it('stops the start if its configured port is in use', async () => {
      const port = String(ofApi?.port);
      await expect(serve(new Metrics('api'), { METRICS_PORT: port })).rejects.toThrow(
        `METRICS_PORT ${port} cannot be used`,
      );
    });

    it('closes at once during a scrape and after an aborted one', async () => {
      const metrics = new Metrics('api');
      let asked = 0;
      metrics.registry.registerMetric({
        name: 'never',
        get: () => (asked++, new Promise(() => undefined)),
        getForPromString: () => (asked++, new Promise(() => undefined)),
      } as never);
      const server = await serve(metrics);
      const sockets = [1, 2].map(() => connect(server?.port as number, '127.0.0.1'));
      for (const socket of sockets) socket.write('GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n');
      await until('both are asked', () => asked === 2);
      sockets[0]?.destroy();
      const closed = new Promise((resolve) => sockets[1]?.once('close', resolve).once('error', () => undefined));
      server?.close();
      await closed;
      await expect(fetch(`http://127.0.0.1:${server?.port}/metrics`)).rejects.toThrow();
    });

    it('is served by the role itself, and ends with it', async () => {
      buildOnce();
      const child = spawn(process.execPath, [join(__dirname, '..', '..', '..', 'dist', 'src', 'main.js'), 'api'], {
        env: {
          PATH: process.env.PATH,
          DATABASE_URL: service.database.serviceUrl,
          JWT_SECRET,
          PORT: '0',
          METRICS_PORT: '0',
        },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let output = '';
      child.stdout.on('data', (data: Buffer) => (output += data.toString()));
      const exit = new Promise((resolve) => child.once('exit', resolve));
      await until('it listens', () => output.includes('"listening"'), 60_000);
      const port = /"port":(\d+),"host":"127.0.0.1","msg":"metrics"/.exec(output)?.[1];
      const { samples } = await scrape({ port: Number(port), close: () => undefined });
      expect(valueOf(samples, 'app_build_info', { role: 'api' })).toBe(1);
      child.kill('SIGTERM');
      expect(await exit).toBe(0);
    });
  });
});
