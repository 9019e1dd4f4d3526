import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { join } from 'node:path';
import { trace } from '@opentelemetry/api';
import pino from 'pino';
import { loadConfig } from '../../../src/platform/config/config';
import { createTracing } from '../../../src/platform/observability/create-tracing';
import { NO_TRACING } from '../../../src/platform/observability/tracing';
import { type ApiClient, orderInput } from '../../harness/client';
import { type Collector, type SentSpan, startCollector } from '../../harness/collector';
import { type Receiver, startReceiver } from '../../harness/receiver';
import { freePort, hasRedis, startRedis, type TestRedis } from '../../harness/redis';
import { startService, type TestService } from '../../harness/service';
import { until } from '../../harness/until';
import { endpointInput, makeEndpoint } from '../../harness/webhooks';
import { startWorker, type TestWorker } from '../../harness/worker';
import { buildOnce } from '../../harness/service-process';

const [SERVER, CLIENT, CONSUMER] = [2, 3, 5];
const newTrace = () => ({ trace: randomBytes(16).toString('hex'), caller: randomBytes(8).toString('hex') });

/** A configuration with a collector of its own: the address of traces alone, or the general one. */
async function collected(env: Record<string, string>, ofTraces = false) {
  const collector = await startCollector();
  const address = ofTraces
    ? { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${collector.url}/v1/traces` }
    : { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url };
  return { config: loadConfig({ ...address, ...env }), collector };
}

/** A span's start is read from the wall clock and its length from another one, with a pause between under load. */
const CLOCK_MS = 20;

describe.each([
  ['PostgreSQL', false],
  ['Redis', true],
])('traces, with the queue in %s', (_, onRedis) => {
  if (onRedis && !hasRedis()) return void it.skip('needs redis-server', () => undefined);

  let redis: TestRedis | undefined;
  let collector: Collector;
  let receiver: Receiver;
  let service: TestService;
  let worker: TestWorker;
  let tenant: ApiClient;

  beforeAll(async () => {
    redis = onRedis ? await startRedis() : undefined;
    [collector, receiver] = await Promise.all([startCollector(), startReceiver()]);
    const env = {
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_EXPORTER_OTLP_HEADERS: 'x-collector-key=open%20sesame',
      WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8',
      ...(redis ? { REDIS_URL: redis.url } : {}),
    };
    service = await startService({ env });
    worker = await startWorker(service.database, env);
    tenant = await service.tenant();
  });

  afterAll(async () => {
    await worker.stop();
    await service.stop();
    await Promise.all([receiver.stop(), collector.stop(), redis?.stop()]);
  });

  /** All spans of a trace, once so many have ended. */
  async function spansOf(trace: string, names: readonly string[]): Promise<SentSpan[]> {
    return until(`${names.join(', ')} in the trace`, async () => {
      await Promise.all([service.tracing.flush(), worker.tracing.flush()]);
      const spans = collector.spans.filter(({ traceId }) => traceId === trace);
      return names.every((name) => spans.some((span) => span.name === name)) && spans;
    });
  }

  const named = (spans: SentSpan[], name: string): SentSpan => {
    const found = spans.filter((span) => span.name === name);
    expect(found.map((span) => span.name)).toEqual([name]);
    return found[0] as SentSpan;
  };

  it('are one from an incoming traceparent to the header that the receiver gets', async () => {
    await makeEndpoint(tenant, { url: `${receiver.url}/traced?key=hidden-in-the-url` });
    const { trace, caller } = newTrace();
    const order = { ...orderInput(), notes: 'hidden in the notes' };
    const created = await tenant.post('/orders', order, { traceparent: `00-${trace}-${caller}-01` });
    expect(created.status).toBe(201);
    const [received] = await receiver.waitFor(1);
    const spans = await spansOf(trace, ['POST /api/v1/orders', 'process webhook-deliveries']);

    const request = named(spans, 'POST /api/v1/orders');
    expect(request).toMatchObject({ kind: SERVER, parentSpanId: caller, service: 'orders-saas-api', failed: false });
    expect(request.attributes).toMatchObject({
      'http.request.method': 'POST',
      'http.route': '/api/v1/orders',
      'http.response.status_code': 201,
      'url.path': '/api/v1/orders',
      'app.tenant_id': tenant.tenantId,
      'app.request_id': created.headers.get('x-request-id'),
    });
    const statements = spans.filter(({ attributes }) => attributes['db.system.name'] === 'postgresql');
    expect(statements.length).toBeGreaterThan(0);
    for (const statement of statements) {
      expect(statement).toMatchObject({ kind: CLIENT, parentSpanId: request.spanId, service: 'orders-saas-api' });
      expect(statement.name).toBe(statement.attributes['db.query.summary']);
      expect(statement.startedAt).toBeGreaterThanOrEqual(request.startedAt - CLOCK_MS);
      expect(statement.endedAt).toBeLessThanOrEqual(request.endedAt + CLOCK_MS);
    }
    expect(statements.map(({ name }) => name).join(' ')).toMatch(/order_insert.*event_insert/);

    const relay = named(spans, 'outbox relay');
    expect(relay).toMatchObject({ kind: CONSUMER, parentSpanId: request.spanId, service: 'orders-saas-worker' });
    const job = named(spans, 'process webhook-deliveries');
    expect(job).toMatchObject({ kind: CONSUMER, parentSpanId: request.spanId, service: 'orders-saas-worker' });
    expect(job.attributes['app.delivery_id']).toBe(received?.headers['webhook-id']);
    const sent = named(spans, 'POST');
    expect(sent).toMatchObject({ kind: CLIENT, parentSpanId: job.spanId, failed: false });
    expect(sent.attributes).toMatchObject({
      'http.response.status_code': 204,
      'server.address': '127.0.0.1',
      'server.port': Number(new URL(receiver.url).port),
      'http.request.resend_count': 0,
    });
    expect(received?.headers.traceparent).toBe(`00-${trace}-${sent.spanId}-01`);
    // The body is the same as without tracing.
    expect(Object.keys(JSON.parse(received?.body ?? '{}') as object)).toEqual(['id', 'type', 'timestamp', 'data']);

    for (const hidden of ['hidden', 'Widget', 'open sesame', tenant.session?.access_token ?? '-']) {
      expect([hidden, collector.bodies.some((body) => body.includes(hidden))]).toEqual([hidden, false]);
    }
    expect(new Set(collector.headers.map((headers) => headers['x-collector-key']))).toEqual(new Set(['open sesame']));
  });

  it('begin in the service where the caller has none, and are on the line of the request', async () => {
    const created = await tenant.post('/orders', orderInput());
    const id = created.headers.get('x-request-id');
    const line = await until('the line', () =>
      service.logLines
        .map((text) => JSON.parse(text) as Record<string, unknown>)
        .find((entry) => entry.request_id === id && entry.msg === 'request'),
    );
    const spans = await spansOf(line.trace_id as string, ['process webhook-deliveries']);
    expect(named(spans, 'POST /api/v1/orders').parentSpanId).toBe('');
  });

  it('go on through a retry, each attempt a span of its own', async () => {
    const before = receiver.received.length;
    receiver.respond = (response, { path }) => void response.writeHead(path === '/failing' ? 500 : 204).end();
    const own = await service.tenant();
    await makeEndpoint(own, { url: `${receiver.url}/failing` });
    const { trace, caller } = newTrace();
    await own.post('/orders', orderInput(), { traceparent: `00-${trace}-${caller}-01` });
    await receiver.waitFor(before + 3);
    const attempts = await until('three attempts', async () => {
      const all = (await spansOf(trace, ['POST'])).filter(({ name }) => name === 'POST');
      return all.length === 3 && all;
    });
    expect(attempts.map(({ attributes }) => attributes['http.request.resend_count'])).toEqual([0, 1, 2]);
    expect(attempts.map(({ failed, attributes }) => [failed, attributes['error.type']])).toEqual(
      attempts.map(() => [true, '500']),
    );
    const told = receiver.received.slice(before).map(({ headers }) => headers.traceparent);
    expect(told).toEqual(attempts.map(({ spanId }) => `00-${trace}-${spanId}-01`));
  });

  it('that the caller does not keep are not kept, and still passed on', async () => {
    const before = receiver.received.length;
    const { trace, caller } = newTrace();
    await tenant.post('/orders', orderInput(), { traceparent: `00-${trace}-${caller}-00` });
    await receiver.waitFor(before + 1);
    expect(receiver.received[before]?.headers.traceparent).toMatch(new RegExp(`^00-${trace}-[0-9a-f]{16}-00$`));
    const marker = newTrace();
    await tenant.get('/orders', { traceparent: `00-${marker.trace}-${marker.caller}-01` });
    await spansOf(marker.trace, ['GET /api/v1/orders']);
    expect(collector.spans.filter(({ traceId }) => traceId === trace)).toEqual([]);
  });

  it('name the statements of each kind of connection, and their errors', async () => {
    const { trace, caller } = newTrace();
    const headers = { traceparent: `00-${trace}-${caller}-01` };
    const order = await tenant.createOrder();
    await tenant.get(`/orders/${order.id}`, headers);
    await tenant.request('PATCH', `/orders/${order.id}`, { body: { notes: 'new' }, headers });
    await tenant.get('/auth/me', headers);
    await service.database.sql('alter table orders rename to elsewhere');
    expect((await tenant.get(`/orders/${order.id}`, headers)).status).toBe(500);
    await service.database.sql('alter table elsewhere rename to orders');
    await service.database.sql(
      `alter table events add constraint no_updates check (type <> 'order.updated') not valid`,
    );
    const unwritten = await tenant.request('PATCH', `/orders/${order.id}`, { body: { notes: 'newer' }, headers });
    expect(unwritten.status).toBe(500);
    await service.database.sql('alter table events drop constraint no_updates');
    const spans = await spansOf(trace, ['PATCH /api/v1/orders/:id', 'GET /api/v1/auth/me']);
    const failed = spans.filter((span) => span.failed).map(({ name, attributes }) => [name, attributes['error.type']]);
    expect(failed).toEqual([
      [expect.any(String), '42P01'],
      ['GET /api/v1/orders/:id', '500'],
      [expect.stringMatching(/^order_update .*event_insert/), '23514'],
      ['PATCH /api/v1/orders/:id', '500'],
    ]);
    for (const request of spans.filter(({ kind }) => kind === SERVER)) {
      const asked = spans.filter(({ parentSpanId }) => parentSpanId === request.spanId);
      expect([request.name, asked.length > 0]).toEqual([request.name, true]);
    }
  });

  it('leave health out', async () => {
    const { trace, caller } = newTrace();
    const headers = { traceparent: `00-${trace}-${caller}-01` };
    await service.client.get('/health', headers);
    await service.client.get('/orders', headers);
    const spans = await spansOf(trace, ['GET /api/v1/orders']);
    expect(spans.map(({ name }) => name)).toEqual(['GET /api/v1/orders']);
  });

  it('cover requests without a route, and incomplete heads', async () => {
    const { trace, caller } = newTrace();
    const head = `traceparent: 00-${trace}-${caller}-01\r\nconnection: close\r\n\r\n`;
    const { port } = new URL(service.url);
    for (const request of ['GET /api/v1/orders HTTP/1.1', 'GET /%zz HTTP/1.1\r\nhost: x', 'GET /nowhere HTTP/1.0']) {
      const response = await new Promise<string>((resolve, reject) => {
        let text = '';
        const socket = connect(Number(port), '127.0.0.1', () => socket.write(`${request}\r\n${head}`));
        socket.on('data', (data) => (text += data.toString()));
        socket.on('end', () => resolve(text)).on('error', reject);
      });
      expect(response).toMatch(/^HTTP\/1.1 40[04] /);
    }
    const spans = await until('three spans', async () => {
      const all = await spansOf(trace, ['GET unmatched']);
      return all.length === 3 && all;
    });
    expect(spans.map(({ name, attributes }) => [name, attributes['http.response.status_code']]).sort()).toEqual([
      ['GET /api/v1/orders', 400],
      ['GET unmatched', 400],
      ['GET unmatched', 404],
    ]);
  });

  it('cannot be set by an endpoint’s own headers', async () => {
    for (const name of ['traceparent', 'TraceState']) {
      const refused = await tenant.post('/webhooks/endpoints', endpointInput({ headers: { [name]: 'mine' } }));
      expect(refused.status).toBe(422);
      expect(refused.body.errors).toEqual([expect.objectContaining({ field: `headers.${name}`, code: 'reserved' })]);
    }
  });
});

describe('traces', () => {
  it.each(['refuses', 'hangs', 'is not there'] as const)('affect no request when the collector %s', async (mood) => {
    const collector = await startCollector();
    if (mood !== 'is not there') collector.behaviour = mood;
    const endpoint = mood === 'is not there' ? `http://127.0.0.1:${await freePort()}` : collector.url;
    const service = await startService({ env: { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint } });
    const tenant = await service.tenant();
    for (let i = 0; i < 20; i++) expect((await tenant.post('/orders', orderInput())).status).toBe(201);
    const complaints = () => service.logLines.filter((line) => line.includes('traces could not be sent')).length;
    if (mood !== 'hangs') await until('it is said', () => complaints() > 0, 20_000);
    const begun = Date.now();
    await service.stop();
    // The deadline of the last spans, and the rest of the shutdown.
    expect(Date.now() - begun).toBeLessThan(10_000);
    // Once a minute at most.
    expect(complaints()).toBeLessThan(2);
    await collector.stop();
  });

  it('keep the configured share of those that the service begins', async () => {
    const collector = await startCollector();
    const env = {
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_TRACES_SAMPLER_ARG: '0',
      TRUST_TRACE_CONTEXT: 'true',
    };
    const service = await startService({ env });
    const tenant = await service.tenant();
    const { trace, caller } = newTrace();
    await tenant.get('/orders', { traceparent: `00-${trace}-${caller}-01` });
    await until('the caller’s own is kept', async () => {
      await service.tracing.flush();
      return collector.spans.length > 0;
    });
    expect(new Set(collector.spans.map(({ traceId }) => traceId))).toEqual(new Set([trace]));
    await service.stop();
    await collector.stop();
  });

  it('are not kept at the wish of a caller, and are dropped at its wish', async () => {
    const collector = await startCollector();
    const start = (share: string) =>
      startService({ env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_TRACES_SAMPLER_ARG: share } });
    for (const [share, flags, kept] of [
      ['0', '01', false],
      ['1', '01', true],
      ['1', '00', false],
    ] as const) {
      const service = await start(share);
      const tenant = await service.tenant();
      await service.tracing.flush();
      collector.spans.length = 0;
      const { trace, caller } = newTrace();
      await tenant.get('/orders', { traceparent: `00-${trace}-${caller}-${flags}` });
      await service.stop();
      expect([share, flags, collector.spans.some(({ traceId }) => traceId === trace)]).toEqual([share, flags, kept]);
    }
    await collector.stop();
  });

  it.each([
    ['always_on', '0', '00', true],
    ['always_off', '1', '01', false],
    ['traceidratio', '1', '00', true],
    ['parentbased_always_on', '0', '01', true],
    ['parentbased_always_on', '0', '00', false],
    ['parentbased_always_off', '1', undefined, false],
  ] as const)('are sampled by %s with %s, for a caller with the flags %s: %s', async (sampler, share, flags, kept) => {
    const { config, collector } = await collected({ OTEL_TRACES_SAMPLER: sampler, OTEL_TRACES_SAMPLER_ARG: share });
    const tracing = await createTracing(config, pino({ level: 'silent' }), 'api');
    const { trace: traceId, caller } = newTrace();
    const parent = flags && { traceId, spanId: caller, sampled: flags === '01' };
    tracing.start('a request', { kind: 'server', parent })?.end();
    await tracing.stop();
    expect(collector.spans.map(({ name }) => name)).toEqual(kept ? ['a request'] : []);
    await collector.stop();
  });

  it('have the resource of the standard variables', async () => {
    const { config, collector } = await collected({
      OTEL_RESOURCE_ATTRIBUTES: 'service.name=hidden,k8s.pod.name=api-1,team=a%20b',
      OTEL_SERVICE_NAME: 'shop',
    });
    const tracing = await createTracing(config, pino({ level: 'silent' }), 'api');
    tracing.start('a request', { kind: 'server' })?.end();
    await tracing.stop();
    const [body = ''] = collector.bodies;
    expect(collector.spans[0]).toMatchObject({ service: 'shop' });
    expect(body).toContain('{"key":"k8s.pod.name","value":{"stringValue":"api-1"}}');
    expect(body).toContain('{"key":"team","value":{"stringValue":"a b"}}');
    await collector.stop();
  });

  it('go to the address of traces before the general one, and nowhere where the SDK is disabled', async () => {
    const { config, collector } = await collected({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1' }, true);
    const tracing = await createTracing(config, pino({ level: 'silent' }), 'api');
    tracing.start('a request', { kind: 'server' })?.end();
    await tracing.stop();
    expect(collector.spans).toHaveLength(1);
    const disabled = { ...config, OTEL_SDK_DISABLED: true };
    expect(await createTracing(disabled, pino({ level: 'silent' }), 'api')).toBe(NO_TRACING);
    await collector.stop();
  });

  it('have the spans of other code as children and as parents, by the API of OpenTelemetry', async () => {
    const { config, collector } = await collected({});
    const tracing = await createTracing(config, pino({ level: 'silent' }), 'api');
    // A process may run the API and the worker; the end of one leaves the other its spans.
    const other = await createTracing(config, pino({ level: 'silent' }), 'worker');
    await other.stop();
    const request = tracing.start('a request', { kind: 'server' });
    await tracing.within(request?.context, async () => {
      await new Promise(setImmediate);
      expect(tracing.active()).toEqual(request?.context);
      await trace.getTracer('adopter').startActiveSpan('their own', async (span) => {
        await new Promise(setImmediate);
        tracing.start('a statement', { kind: 'client', parent: tracing.active() })?.end();
        span.end();
      });
      tracing.within(undefined, () => expect(tracing.active()).toBeUndefined());
    });
    request?.end();
    await tracing.stop();
    const spans = Object.fromEntries(collector.spans.map((span) => [span.name, span]));
    expect(spans['their own']).toMatchObject({ parentSpanId: spans['a request']?.spanId });
    expect(spans['a statement']).toMatchObject({ parentSpanId: spans['their own']?.spanId });
    expect(tracing.active()).toBeUndefined();
    await collector.stop();
  });

  it('load nothing, store nothing and send nothing by default', async () => {
    buildOnce();
    const loaded = execFileSync(
      process.execPath,
      [
        '-e',
        `for (const role of ['api', 'worker']) require('./dist/src/processes/' + role + '/' + role + '.module.js');
         require('./dist/src/platform/observability/create-tracing.js');
         process.stdout.write(JSON.stringify(Object.keys(require.cache).filter((file) => /@opentelemetry.(?!api.)/.test(file))));`,
      ],
      { cwd: join(__dirname, '..', '..', '..'), encoding: 'utf8' },
    );
    expect(JSON.parse(loaded)).toEqual([]);

    const receiver = await startReceiver();
    const env = { WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8' };
    const service = await startService({ env });
    const worker = await startWorker(service.database, env);
    const tenant = await service.tenant();
    await makeEndpoint(tenant, { url: receiver.url });
    const { trace, caller } = newTrace();
    await tenant.post('/orders', orderInput(), { traceparent: `00-${trace}-${caller}-01` });
    const [received] = await receiver.waitFor(1);
    expect(received?.headers).not.toHaveProperty('traceparent');
    expect(await service.database.sql('select traceparent from events')).toEqual([{ traceparent: null }]);
    await worker.stop();
    await service.stop();
    await receiver.stop();
  });
});
