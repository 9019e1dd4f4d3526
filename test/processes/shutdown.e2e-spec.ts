import { connect, type Socket } from 'node:net';
import { ApiClient, orderInput } from '../harness/client';
import { createTestDatabase, type TestDatabase } from '../harness/databases';
import { createEndpoint } from '../harness/endpoints';
import { hasRedis, startRedis, type TestRedis } from '../harness/redis';
import { type Receiver, startReceiver } from '../harness/receiver';
import { startService, type TestService } from '../harness/service';
import { type ApiProcess, buildOnce, type ServiceProcess, startApiProcess } from '../harness/service-process';
import { startWorkerProcess } from '../harness/worker-process';
import { until } from '../harness/until';

/** Enough endpoints for this many at once: an endpoint without a response yet gets two. */
const ENDPOINTS = 3;
const ORDERS = 2;
const DELIVERIES = ENDPOINTS * ORDERS;

const processes: ServiceProcess[] = [];
let database: TestDatabase;

beforeAll(async () => {
  buildOnce();
  database = await createTestDatabase();
});
afterEach(async () => {
  await Promise.all(processes.map((process) => process.kill('SIGKILL')));
  processes.length = 0;
});
afterAll(() => database.drop());

/** The log of a process, without its requests. */
function said(process: ServiceProcess): string[] {
  return [...process.output().matchAll(/"msg":"([^"]+)"/g)].flatMap(([, message]) =>
    message === undefined || message === 'request' ? [] : message,
  );
}

describe('an API process that is stopped', () => {
  async function start(env: Record<string, string>): Promise<{ api: ApiProcess; tenant: ApiClient }> {
    const api = await startApiProcess(database, env);
    processes.push(api);
    return { api, tenant: await new ApiClient(api.url).register() };
  }

  /** A create with half of its body sent. */
  async function halfACreate(
    tenant: ApiClient,
  ): Promise<{ socket: Socket; finish(): void; response: Promise<string> }> {
    const body = JSON.stringify(orderInput());
    const { hostname, port } = new URL(tenant.url);
    const socket = connect(Number(port), hostname);
    let text = '';
    const response = new Promise<string>((resolve, reject) => {
      socket.on('data', (data) => (text += data.toString()));
      socket.on('close', () => resolve(text));
      socket.on('error', reject);
    });
    response.catch(() => undefined);
    socket.write(
      `POST /api/v1/orders HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${tenant.session?.access_token}\r\n` +
        `content-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body.slice(0, 40)}`,
    );
    // The response came after the half was read: there is one event loop, and this request came later.
    await tenant.get('/auth/me');
    return { socket, finish: () => void socket.write(body.slice(40)), response };
  }

  it('fails readiness first, still accepts requests and ends their connections, then completes requests in flight', async () => {
    const { api, tenant } = await start({ SHUTDOWN_DELAY: '3s' });
    expect((await tenant.get('/health/ready')).status).toBe(200);
    const create = await halfACreate(tenant);
    api.signal('SIGTERM');
    const unready = await until('readiness to fall', async () => {
      const response = await tenant.get('/health/ready');
      return response.status === 503 && response;
    });
    expect(unready.body).toEqual({
      status: 'unavailable',
      checks: { database: 'ok', migrations: 'ok', queue: 'ok', process: 'stopping' },
    });
    for (const path of ['/health/live', '/orders']) {
      const reply = await tenant.get(path);
      expect([path, reply.status, reply.headers.get('connection')]).toEqual([path, 200, 'close']);
    }
    await until('the door to be shut', () =>
      tenant.get('/health').then(
        () => false,
        () => true,
      ),
    );
    create.finish();
    expect(await create.response).toMatch(/^HTTP\/1\.1 201 /);
    expect(await api.ended).toBe(0);
    expect(said(api)).toContain('stopped');
  });

  it('ends at once without requests in flight and without a delay, despite kept connections', async () => {
    const { api, tenant } = await start({ SHUTDOWN_DELAY: '0ms', SHUTDOWN_TIMEOUT: '30s' });
    const create = await halfACreate(tenant);
    const begun = Date.now();
    api.signal('SIGTERM');
    await until('it to stop', () => api.output().includes('"stopping"'));
    create.finish();
    expect(await create.response).toMatch(/^HTTP\/1\.1 201 /);
    expect(await api.ended).toBe(0);
    expect(Date.now() - begun).toBeLessThan(15_000);
  });

  it('abandons unfinished requests at its deadline, and reports it', async () => {
    const { api, tenant } = await start({ SHUTDOWN_DELAY: '0ms', SHUTDOWN_TIMEOUT: '1s' });
    const { socket, response } = await halfACreate(tenant);
    const begun = Date.now();
    api.signal('SIGTERM');
    expect(await api.ended).toBe(0);
    expect(Date.now() - begun).toBeGreaterThan(900);
    expect(Date.now() - begun).toBeLessThan(15_000);
    expect(said(api)).toContain('stopped at the deadline, with requests still in flight');
    await response.catch(() => undefined);
    socket.destroy();
  });

  it('ends at once at a second SIGTERM', async () => {
    const { api, tenant } = await start({ SHUTDOWN_DELAY: '5m', SHUTDOWN_TIMEOUT: '10m' });
    api.signal('SIGTERM');
    await until('readiness to fall', async () => (await tenant.get('/health/ready')).status === 503);
    // A signal within a second of the first counts as the same one, forwarded by npm: it is sent until it counts.
    let ended = false;
    void api.ended.then(() => (ended = true));
    await until('it to end', () => {
      api.signal('SIGTERM');
      return ended;
    });
    expect(await api.ended).toBe(130);
  });
});

describe.each(hasRedis() ? ['PostgreSQL', 'Redis'] : ['PostgreSQL'])(
  'a worker that is stopped, with BullMQ on %s',
  (backend) => {
    let redis: TestRedis | undefined;
    let receiver: Receiver;
    let service: TestService;
    let tenant: ApiClient;

    beforeAll(async () => {
      redis = backend === 'Redis' ? await startRedis() : undefined;
      service = await startService({ database, env: { WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8' } });
    });
    beforeEach(async () => {
      receiver = await startReceiver();
      tenant = await service.tenant();
      for (let i = 0; i < ENDPOINTS; i++) {
        await createEndpoint(tenant, `${receiver.url}/${i}`, { event_types: ['order.created'] });
      }
    });
    afterEach(() => receiver.stop());
    afterAll(async () => {
      await service.stop();
      await redis?.stop();
    });

    function startWorker(env: Record<string, string>): ServiceProcess {
      const worker = startWorkerProcess(database, { ...(redis ? { REDIS_URL: redis.url } : {}), ...env });
      processes.push(worker);
      return worker;
    }

    /** Deliveries that have reached the receiver and wait for its response. */
    async function deliveriesInFlight(): Promise<{ answerAll(): void }> {
      const held: (() => void)[] = [];
      receiver.respond = (response) => void held.push(() => response.writeHead(204).end());
      for (let i = 0; i < ORDERS; i++) await tenant.createOrder();
      await receiver.waitFor(DELIVERIES, 30_000);
      return {
        answerAll() {
          receiver.respond = (response) => void response.writeHead(204).end();
          held.forEach((respond) => respond());
        },
      };
    }

    function attempts(): Promise<{ status: string; attempt_count: number }[]> {
      return database.sql('select status, attempt_count from deliveries where tenant_id = $1', [tenant.tenantId]);
    }

    it('completes the deliveries in flight, records them, and causes no second send', async () => {
      const worker = startWorker({ SHUTDOWN_TIMEOUT: '1m', WEBHOOK_TIMEOUT: '1m' });
      const { answerAll } = await deliveriesInFlight();
      worker.signal('SIGTERM');
      await until('it to stop', () => worker.output().includes('"stopping"'));
      // Made while it stops: the next one's work.
      const later = await tenant.createOrder();
      expect((await attempts()).every(({ attempt_count }) => attempt_count === 0)).toBe(true);
      answerAll();
      expect(await worker.ended).toBe(0);
      expect(said(worker)).toContain('stopped');
      expect((await attempts()).filter(({ status }) => status === 'succeeded')).toEqual(
        Array.from({ length: DELIVERIES }, () => ({ status: 'succeeded', attempt_count: 1 })),
      );

      startWorker({});
      await until('what came later', () => receiver.received.length >= DELIVERIES + ENDPOINTS, 30_000);
      await until('its outcome', async () => (await attempts()).every(({ status }) => status === 'succeeded'));
      expect(receiver.received.slice(DELIVERIES).map(({ body }) => body.includes(later.id as string))).toEqual([
        true,
        true,
        true,
      ]);
    });

    it('ends at its deadline though a receiver never responds, and the next worker sends again', async () => {
      const worker = startWorker({ SHUTDOWN_TIMEOUT: '1s', WEBHOOK_TIMEOUT: '2m' });
      const { answerAll } = await deliveriesInFlight();
      const begun = Date.now();
      worker.signal('SIGTERM');
      expect(await worker.ended).toBe(0);
      expect(Date.now() - begun).toBeLessThan(15_000);
      expect(said(worker)).toContain('stopped at the deadline, with requests still in flight');
      answerAll();

      startWorker({});
      // The jobs of the ended worker return when their locks have expired.
      await until(
        'all to succeed',
        async () => (await attempts()).every(({ status }) => status === 'succeeded'),
        60_000,
      );
      expect(new Set(receiver.received.map(({ headers }) => headers['webhook-id'])).size).toBe(DELIVERIES);
      expect(receiver.received.length).toBe(2 * DELIVERIES);
    });
  },
);
