import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { type ApiResponse, ApiClient, orderInput } from '../../../harness/client';
import { createTestDatabase, type TestDatabase } from '../../../harness/databases';
import { expectProblem } from '../../../harness/problems';
import { startService, type TestService } from '../../../harness/service';
import { type ApiProcess, buildOnce, startApiProcess } from '../../../harness/service-process';
import { until } from '../../../harness/until';

const MIB = 1024 * 1024;
/** A login of 90,000 keys: the cheapest body to send, and the costliest to parse. */
const WIDE = `{${Array.from({ length: 90_000 }, (_, i) => `"k${i}":1`).join()}}`;

const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** The maximum memory of a process, MiB. */
function peakMemory(pid: number): number {
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}

/** The duration of another tenant's requests while `work` runs. */
async function slowestDuring(probe: () => Promise<ApiResponse>, work: Promise<unknown>): Promise<number> {
  let isOver = false;
  void work.finally(() => (isOver = true));
  let slowest = 0;
  do {
    const begun = performance.now();
    const response = await probe();
    expect(response.status).toBe(200);
    slowest = Math.max(slowest, performance.now() - begun);
    await pause(50);
  } while (!isOver);
  return slowest;
}

describe('callers without a credential', () => {
  let service: TestService;

  beforeAll(async () => {
    service = await startService({ env: { RATE_LIMIT_ADDRESS_PER_MINUTE: '40' } });
  });
  afterAll(() => service.stop());

  it('are refused a large body of every route that is open to them', async () => {
    const routes = Object.entries((await service.client.get('/openapi.json')).body.paths as Record<string, object>)
      .flatMap(([path, operations]) =>
        Object.entries(operations as Record<string, { security?: unknown[]; requestBody?: object }>).map(
          ([method, operation]) => ({ path: path.replace('/api/v1', ''), method: method.toUpperCase(), ...operation }),
        ),
      )
      .filter(({ security, requestBody }) => security?.length === 0 && requestBody !== undefined);
    expect(routes.length).toBeGreaterThanOrEqual(4);
    for (const { method, path } of routes) {
      const body = JSON.stringify({ x: 'x'.repeat(8 * 1024) });
      const response = await service.client.request(method, path, { body });
      expect([method, path, response.status]).toEqual([method, path, 413]);
    }
  });

  it('cost nothing beyond a limit: their bodies are not read', async () => {
    const responses = await Promise.all(Array.from({ length: 60 }, () => service.client.post('/auth/login', {})));
    expect(responses.filter(({ status }) => status === 429).length).toBeGreaterThan(10);
    const socket = connect(Number(new URL(service.url).port), '127.0.0.1');
    const heard = new Promise<string>((resolve) => socket.once('data', (data) => resolve(data.toString())));
    // The body never arrives.
    socket.write(
      'POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n',
    );
    expect(await heard).toMatch(/^HTTP\/1\.1 429 /);
    socket.destroy();
  });
});

describe('a tenant at its worst', () => {
  let database: TestDatabase;
  let api: ApiProcess;
  let attacker: ApiClient;
  let other: ApiClient;

  beforeAll(async () => {
    buildOnce();
    database = await createTestDatabase();
    api = await startApiProcess(
      database,
      { RATE_LIMIT_TENANT_PER_SECOND: '200', RATE_LIMIT_TENANT_BURST: '1000', DB_POOL_SIZE: '12' },
      ['--max-old-space-size=256'],
    );
    attacker = await new ApiClient(api.url).register();
    other = await new ApiClient(api.url).register();
  });
  afterAll(async () => {
    await api.kill('SIGKILL');
    await database.drop();
  });

  it('cannot shut others out by asking as much as it can at once', async () => {
    let isOver = false;
    const flood = Promise.all(
      Array.from({ length: 900 }, (_, i) =>
        (i % 3 === 0 ? attacker.get('/webhooks/events?limit=100') : attacker.post('/orders', orderInput())).then(
          ({ status }) => status,
          () => 0,
        ),
      ),
    ).finally(() => (isOver = true));
    const asked: number[] = [];
    do {
      asked.push((await other.get('/orders?limit=1')).status, (await other.post('/orders', orderInput())).status);
      await pause(20);
    } while (!isOver);
    const served = asked.filter((status) => status < 300).length;
    expect(served / asked.length).toBeGreaterThanOrEqual(0.8);
    expect((await flood).filter((status) => status === 0)).toEqual([]);
    await until('the allowance to come back', async () => (await attacker.get('/auth/me')).status === 200, 10_000);
  });

  it('cannot stop a process with bodies that are costly to parse', async () => {
    const attack = async (): Promise<ApiResponse[]> => {
      const sent: Promise<ApiResponse>[] = [];
      for (let i = 0; i < 40; i++) {
        sent.push(new ApiClient(api.url).post('/auth/login', WIDE), attacker.post('/webhooks/events', WIDE));
        await pause(25);
      }
      return (await Promise.allSettled(sent)).flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    };
    const attacked = attack();
    expect(await slowestDuring(() => other.get('/orders?limit=1'), attacked)).toBeLessThan(5_000);
    for (const { status } of await attacked) expect([413, 422, 429]).toContain(status);
  });

  it('cannot stop a process with events that are costly to check', async () => {
    const costly = Array.from({ length: 9 }, () => ({ contains: { type: 'string' }, minContains: 0 }));
    const schema = { properties: { l: { allOf: costly } } };
    expect((await attacker.request('PUT', '/webhooks/event-types/x.cont', { body: { schema } })).status).toBe(201);
    const event = JSON.stringify({ type: 'x.cont', data: { l: Array.from({ length: 30_000 }, (_, i) => i) } });
    const attack = async (): Promise<ApiResponse[]> => {
      const sent: Promise<ApiResponse>[] = [];
      for (let i = 0; i < 160; i++) {
        sent.push(attacker.post('/webhooks/events', event));
        await pause(25);
      }
      return Promise.all(sent);
    };
    const attacked = attack();
    expect(await slowestDuring(() => other.get('/orders?limit=1'), attacked)).toBeLessThan(5_000);
    const statuses = (await attacked).map(({ status }) => status);
    // The cost of a check is taken from the tenant's allowance.
    expect(statuses.filter((status) => status === 429).length).toBeGreaterThan(0);
    for (const status of statuses) expect([422, 429, 503]).toContain(status);
    // No work is left: without the bound, the process would stand still for another minute and a half.
    const begun = performance.now();
    expect((await other.get('/orders?limit=1')).status).toBe(200);
    expect(performance.now() - begun).toBeLessThan(10_000);
    await until('the allowance to come back', async () => (await attacker.get('/auth/me')).status === 200, 10_000);
  });

  it('cannot end a process with the bytes of its bodies', async () => {
    const order = { ...orderInput(), notes: 'n'.repeat(500) };
    const metadata = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`k${i}`, 'v'.repeat(500)]));
    const padded = JSON.stringify({ orders: Array(100).fill({ ...order, metadata }) });
    const body = padded + ' '.repeat(Math.max(0, 7.9 * MIB - padded.length));
    const attacked = Promise.allSettled(Array.from({ length: 40 }, () => attacker.post('/orders/batch', body)));
    expect(await slowestDuring(() => other.get('/orders?limit=1'), attacked)).toBeLessThan(15_000);
    const statuses = (await attacked).map((one) => (one.status === 'fulfilled' ? one.value.status : 0));
    expect(statuses).toContain(201);
    for (const status of statuses) expect([0, 201, 429, 503]).toContain(status);
    expect((await other.post('/orders', orderInput())).status).toBe(201);
    expect(peakMemory(api.pid)).toBeLessThan(512);
  });

  it('cannot block the bodies of others with stalled uploads', async () => {
    const tenants = await Promise.all([1, 2].map(() => new ApiClient(api.url).register()));
    const sockets: Socket[] = [];
    for (const tenant of tenants) {
      for (let i = 0; i < 2; i++) {
        const socket = connect(Number(new URL(api.url).port), '127.0.0.1').on('error', () => undefined);
        socket.write(
          `POST /api/v1/orders/batch HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${tenant.session?.access_token}\r\n` +
            `Content-Type: application/json\r\nContent-Length: ${8 * MIB}\r\n\r\n{`,
        );
        sockets.push(socket);
      }
    }
    await pause(2_000);
    const body = JSON.stringify({ orders: [orderInput()] }) + ' '.repeat(7 * MIB);
    expect((await other.post('/orders/batch', body)).status).toBe(201);
    for (const socket of sockets) socket.destroy();
  });

  it('gets 429 for what waits too long behind its own requests', async () => {
    const sockets = Array.from({ length: 16 }, () => {
      const socket = connect(Number(new URL(api.url).port), '127.0.0.1').on('error', () => undefined);
      socket.write(
        `POST /api/v1/orders HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${attacker.session?.access_token}\r\n` +
          'Content-Type: application/json\r\nContent-Length: 20000\r\n\r\n{',
      );
      return socket;
    });
    await pause(300);
    const large = `${JSON.stringify(orderInput())}${' '.repeat(20_000)}`;
    expectProblem(await attacker.post('/orders', large), 'rate_limited');
    expect((await attacker.post('/orders', orderInput())).status).toBe(201);
    expect((await attacker.get('/orders')).status).toBe(200);
    expect((await other.post('/orders', orderInput())).status).toBe(201);
    for (const socket of sockets) socket.destroy();
    await until('room again', async () => (await attacker.post('/orders', large)).status === 201, 5_000);
  });
});
