import { Client } from 'pg';
import { ApiClient, type ApiResponse, orderInput } from '../../harness/client';
import { createTestDatabase, type TestDatabase } from '../../harness/databases';
import { createEndpoint } from '../../harness/endpoints';
import { expectProblem } from '../../harness/problems';
import { startReceiver } from '../../harness/receiver';
import { startService, type TestService } from '../../harness/service';
import { until } from '../../harness/until';
import { startWorker } from '../../harness/worker';

const DAY_SECONDS = 86_400;
/** For deliveries to arrive on a busy machine. */
const WITHIN_MS = 30_000;

interface Reading {
  name: string;
  used: number;
  limit: number | null;
  resets_at: string | null;
}

async function usageOf(tenant: ApiClient, name: string): Promise<Reading> {
  const { data } = (await tenant.get('/tenant/usage')).body as { data: Reading[] };
  const reading = data.find((one) => one.name === name);
  if (!reading) throw new Error(`no reading ${name}`);
  return reading;
}

/** Makes orders until one is refused. */
async function makeUntilRefused(tenant: ApiClient, status: number): Promise<{ made: number; refused: ApiResponse }> {
  for (let made = 0; made < 500; made++) {
    const response = await tenant.post('/orders', orderInput());
    if (response.status === status) return { made, refused: response };
    expect(response.status).toBe(201);
  }
  throw new Error('none was refused');
}

describe('quotas of a tenant', () => {
  let database: TestDatabase;
  let service: TestService | undefined;

  beforeAll(async () => {
    database = await createTestDatabase();
  });
  afterEach(async () => {
    await service?.stop();
    service = undefined;
  });
  afterAll(() => database.drop());

  const start = async (env: Record<string, string>): Promise<TestService> =>
    (service = await startService({ database, env }));

  it('refuse more events of a day with 429 until midnight, and no other tenant', async () => {
    const { tenant } = await start({ QUOTA_EVENTS_PER_DAY: '30' });
    const greedy = await tenant();
    const order = await greedy.createOrder();
    const { made, refused } = await makeUntilRefused(greedy, 429);
    expectProblem(refused, 'rate_limited');
    expect(refused.body.detail).toContain('30 events');
    expect(made).toBeLessThanOrEqual(40);
    const seconds = Number(refused.headers.get('retry-after'));
    expect(seconds).toBeGreaterThan(0);
    expect(Math.abs(seconds - (DAY_SECONDS - ((Date.now() / 1_000) % DAY_SECONDS)))).toBeLessThan(60);
    const others: [method: string, path: string, body?: unknown][] = [
      ['POST', '/orders/batch', { orders: [orderInput()] }],
      ['PATCH', `/orders/${order.id}`, { notes: 'more' }],
      ['PATCH', `/orders/${order.id}/status`, { status: 'confirmed' }],
      ['POST', '/webhooks/events', { type: 'invoice.paid', data: {} }],
    ];
    for (const [method, path, body] of others) {
      expect([method, path, (await greedy.request(method, path, { body })).status]).toEqual([method, path, 429]);
    }
    expect((await greedy.get(`/orders/${order.id}`)).status).toBe(200);
    // Actions for a tenant's safety are never refused.
    expect((await greedy.patch('/tenant', { name: 'Renamed' })).status).toBe(200);
    const reading = await usageOf(greedy, 'events');
    expect(reading.limit).toBe(30);
    expect(reading.used).toBeGreaterThanOrEqual(30);
    expect(Date.parse(reading.resets_at ?? '') - Date.now()).toBeLessThanOrEqual(DAY_SECONDS * 1_000);
    expect((await (await tenant()).post('/orders', orderInput())).status).toBe(201);
  });

  it('refuse more bytes of events of a day', async () => {
    const { tenant } = await start({ QUOTA_EVENT_MIB_PER_DAY: '1' });
    const greedy = await tenant();
    const event = { type: 'big.one', data: { s: 'x'.repeat(250_000) } };
    const statuses: number[] = [];
    for (let i = 0; i < 8; i++) statuses.push((await greedy.post('/webhooks/events', event)).status);
    expect(statuses.slice(0, 4)).toEqual([202, 202, 202, 202]);
    expect(statuses.slice(-2)).toEqual([429, 429]);
  });

  it(
    'refuse more events once a day has had its deliveries, and lose none of the accepted events',
    async () => {
      const env = { QUOTA_DELIVERIES_PER_DAY: '20', WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8' };
      const receiver = await startReceiver();
      const first = await start(env);
      const greedy = await first.tenant();
      for (const path of ['/a', '/b']) {
        await createEndpoint(greedy, receiver.url + path, { event_types: ['order.created', 'invoice.paid'] });
      }
      // Deliveries are counted as the worker makes them: it has all of these to do.
      const ids: string[] = [];
      for (let i = 0; i < 15; i++) ids.push((await greedy.createOrder()).id as string);
      const arrivals = () =>
        receiver.received.map(({ path, body }) => path + (JSON.parse(body) as { data: { id: string } }).data.id);
      let worker = await startWorker(database, env);
      try {
        await receiver.waitFor(30, WITHIN_MS);
        expect(arrivals().sort()).toEqual(ids.flatMap((id) => [`/a${id}`, `/b${id}`]).sort());
        // Its end writes what it has counted; a process that starts reads it.
        await worker.stop();
        await first.stop();
        const second = await start(env);
        const moved = new ApiClient(second.url, greedy.session);
        const refused = await until(
          'the process to know',
          async () => {
            const answer = await moved.post('/orders', orderInput());
            if (answer.status === 201) ids.push(answer.body.id as string);
            return answer.status === 429 && answer;
          },
          WITHIN_MS,
        );
        expectProblem(refused, 'rate_limited');
        expect(refused.body.detail).toBe('The tenant has had its 20 deliveries of today (UTC); see GET /tenant/usage.');
        expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
        const usage = await usageOf(moved, 'deliveries');
        expect(usage).toMatchObject({ used: 30, limit: 20 });
        expect(Date.parse(usage.resets_at ?? '') % (DAY_SECONDS * 1_000)).toBe(0);
        expect((await moved.post('/webhooks/events', { type: 'invoice.paid', data: {} })).status).toBe(429);
        expect((await moved.get(`/orders/${ids[0]}`)).status).toBe(200);
        // Accepted before the process knew: above the limit, and delivered all the same.
        worker = await startWorker(database, env);
        await receiver.waitFor(2 * ids.length, WITHIN_MS);
        expect(arrivals().sort()).toEqual(ids.flatMap((id) => [`/a${id}`, `/b${id}`]).sort());
        expect((await (await second.tenant()).post('/orders', orderInput())).status).toBe(201);
      } finally {
        await worker.stop();
        await receiver.stop();
      }
    },
    4 * WITHIN_MS,
  );

  it('refuse more stored rows with 422', async () => {
    const { tenant } = await start({ QUOTA_STORED_ROWS: '100' });
    const greedy = await tenant();
    // Five rows an order.
    const { made, refused } = await makeUntilRefused(greedy, 422);
    expectProblem(refused, 'business_rule_violation');
    expect(refused.body.detail).toContain('100 rows');
    expect(made).toBeGreaterThanOrEqual(20);
    expect(made).toBeLessThanOrEqual(25);
    expect((await usageOf(greedy, 'stored_rows')).used).toBeGreaterThanOrEqual(100);
  });

  it('are the same in a process that starts later', async () => {
    const env = { QUOTA_EVENTS_PER_DAY: '10' };
    const first = await start(env);
    const greedy = await first.tenant();
    for (let i = 0; i < 10; i++) await greedy.createOrder();
    await first.stop();
    const second = await start(env);
    const moved = Object.assign(Object.create(Object.getPrototypeOf(greedy) as object) as ApiClient, greedy, {
      url: second.url,
    });
    await until('the process to know', async () => (await moved.post('/orders', orderInput())).status === 429);
    expect((await usageOf(moved, 'events')).used).toBeLessThan(20);
  });

  it('cost no statement a request', async () => {
    const { tenant } = await start({});
    const one = await tenant();
    for (let i = 0; i < 5; i++) await one.createOrder();
    const queries = jest.spyOn(Client.prototype, 'query');
    try {
      for (let i = 0; i < 50; i++) await one.createOrder();
      const texts = queries.mock.calls.map(([query]) => (query as unknown as { text?: string }).text ?? String(query));
      expect(texts.filter((text) => text.includes('tenant_usage')).length).toBeLessThanOrEqual(2);
    } finally {
      queries.mockRestore();
    }
    expect((await usageOf(one, 'events')).used).toBe(55);
  });

  it('bound the endpoints of a tenant, and those at one host', async () => {
    const { tenant } = await start({
      WEBHOOK_MAX_ENDPOINTS: '6',
      WEBHOOK_MAX_ENDPOINTS_PER_HOST: '2',
      WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8',
    });
    const one = await tenant();
    const create = (url: string) => one.post('/webhooks/endpoints', { url, event_types: ['*'] });
    expect((await create('https://victim.example.com/a')).status).toBe(201);
    expect((await create('https://VICTIM.example.com:443/b?token=1')).status).toBe(201);
    const refused = await create('https://victim.example.com/c');
    expectProblem(refused, 'business_rule_violation');
    expect(refused.body.detail).toBe('A tenant has at most 2 endpoints at one host; victim.example.com has 2.');
    const other = await create('https://other.example.com/');
    expect(other.status).toBe(201);
    const move = (url: string) => one.patch(`/webhooks/endpoints/${other.body.id}`, { url });
    expectProblem(await move('https://victim.example.com/d'), 'business_rule_violation');
    expect((await move('https://other.example.com/moved')).status).toBe(200);
    for (let i = 0; i < 3; i++) expect((await create(`http://127.0.0.1:9999/${i}`)).status).toBe(201);
    const last = await create('http://127.0.0.1:9999/more');
    expectProblem(last, 'business_rule_violation');
    expect(last.body.detail).toBe('A tenant has at most 6 endpoints.');
    expect(await usageOf(one, 'webhook_endpoints')).toMatchObject({ used: 6, limit: 6 });
  });

  it('and limits are lower in the first day of a tenant', async () => {
    const { tenant } = await start({
      NEW_TENANT_LIMITS_PERCENT: '25',
      RATE_LIMIT_TENANT_PER_SECOND: '200',
      RATE_LIMIT_TENANT_BURST: '1000',
      QUOTA_EVENTS_PER_DAY: '40',
    });
    const young = await tenant();
    const response = await young.get('/orders');
    expect(response.headers.get('ratelimit-policy')).toBe('"tenant";q=250;w=5');
    expect(await usageOf(young, 'events')).toMatchObject({ limit: 10 });
    expect(await usageOf(young, 'webhook_endpoints')).toMatchObject({ limit: 250 });
    expect((await makeUntilRefused(young, 429)).made).toBeLessThanOrEqual(15);
  });
});
