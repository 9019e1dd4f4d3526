import { ApiClient, type ApiResponse, orderInput } from '../../../harness/client';
import { createTestDatabase, type TestDatabase } from '../../../harness/databases';
import { expectProblem } from '../../../harness/problems';
import { parseMetrics } from '../../../harness/prometheus';
import { type ApiProcess, buildOnce, startApiProcess } from '../../../harness/service-process';

const MIB = 1024 * 1024;
/**
 * The maximum CPU of one hostile body, in multiples of the largest honest batch. The faults that this detects took at
 * least four times as much; the worst body below takes less than the batch.
 */
const MOST_TIMES = 2;
const MOST_FAULTS = 100;

/** A list or object of about so many bytes, made of one unit again and again. */
function filled(open: string, unit: string, close: string, size: number): string {
  const count = Math.floor((size - open.length - close.length + 1) / (unit.length + 1));
  return `${open}${Array(count).fill(unit).join(',')}${close}`;
}

function numbered(open: string, unit: (n: string) => string, close: string, size: number): string {
  const parts: string[] = [];
  for (let length = open.length + close.length, n = 0; length < size - 40; n++) {
    parts.push(unit(n.toString(36)));
    length += (parts.at(-1) as string).length + 1;
  }
  return `${open}${parts.join(',')}${close}`;
}

/** The most text that 100 valid orders can have, in 8 MiB. */
function largestBatch(): { orders: unknown[] } {
  const text = (length: number) => '😀'.repeat(length);
  const item = { product_id: text(36), product_name: text(200), quantity: 1000, unit_price: '999999999999.99' };
  const order = { ...orderInput(), notes: text(500), items: Array(50).fill(item) };
  const count = Math.floor((8 * MIB) / (Buffer.byteLength(JSON.stringify(order)) + 1));
  expect(count).toBeGreaterThan(100);
  return { orders: Array(100).fill(order) };
}

describe('bodies made to be expensive', () => {
  let database: TestDatabase;
  let api: ApiProcess;
  let tenant: ApiClient;
  let honest: number;

  /** Seconds of CPU that the service has used: a process of its own, in which nothing else runs. */
  async function cpuSeconds(): Promise<number> {
    const port = /"port":(\d+),"host":"[^"]+","msg":"metrics"/.exec(api.output())?.[1];
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    const used = parseMetrics(text).find(({ name }) => name === 'process_cpu_seconds_total')?.value;
    expect(used).toBeGreaterThan(0);
    return used as number;
  }

  async function costOf(work: () => Promise<unknown>): Promise<number> {
    const before = await cpuSeconds();
    await work();
    return (await cpuSeconds()) - before;
  }

  beforeAll(async () => {
    buildOnce();
    database = await createTestDatabase();
    api = await startApiProcess(database, { METRICS_PORT: '0', SHED_EVENT_LOOP_LAG: '0', SHED_POOL_WAIT: '0' });
    tenant = await new ApiClient(api.url).register();
    // Warm: the measurement is of the work, not of the compiler.
    for (let i = 0; i < 20; i++) await tenant.post('/orders/batch', { orders: [orderInput(), null, {}] });
    const costs: number[] = [];
    for (let i = 0; i < 3; i++) costs.push(await costOf(() => tenant.post('/orders/batch', largestBatch())));
    honest = Math.min(...costs);
  });
  afterAll(async () => {
    await api.kill('SIGTERM');
    await database.drop();
  });

  const base = JSON.stringify(orderInput()).slice(1, -1);
  const withoutItems = base.replace(/,?"items":\[.*\]/, '');
  const bad = { product_id: '', product_name: 5, quantity: 1.5, unit_price: '1e5', a: 1, b: 2, c: 3 };
  const faulty = JSON.stringify({
    customer_id: 'x',
    currency: 'XX',
    notes: 1,
    metadata: { a: 1 },
    items: Array(50).fill(bad),
  });
  const longKeys = JSON.stringify({
    ...orderInput(),
    metadata: Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`${i}${'k'.repeat(20_000)}`, 'v'])),
  });

  const CASES: [string, string, () => string][] = [
    ['/orders', 'items of empty lists', () => filled(`{${withoutItems},"items":[`, '[]', ']}', MIB)],
    ['/orders', 'items of empty objects', () => filled(`{${withoutItems},"items":[`, '{}', ']}', MIB)],
    ['/orders', 'half a million items of 1', () => filled(`{${withoutItems},"items":[`, '1', ']}', MIB)],
    ['/orders', 'items of unsafe numbers', () => filled(`{${withoutItems},"items":[`, '1e5', ']}', MIB)],
    ['/orders', 'items of valid items', () => filled(`{${withoutItems},"items":[`, JSON.stringify(bad), ']}', MIB)],
    ['/orders', 'unknown fields', () => numbered(`{${base},`, (n) => `"${n}x":1`, '}', MIB)],
    ['/orders', 'unknown fields in an item', () => numbered(`{${withoutItems},"items":[{`, (n) => `"${n}x":1`, '}]}', MIB)],
    ['/orders', 'one field again and again', () => filled(`{${base},`, '"a":1', '}', MIB)],
    ['/orders', 'a repeated field after many others', () => numbered('{"a":1,', (n) => `"${n}":1`, ',"a":2}', MIB)],
    ['/orders', 'metadata of many pairs', () => numbered(`{${base},"metadata":{`, (n) => `"${n}":"v"`, '}}', MIB)],
    ['/orders', 'metadata with long keys', () => longKeys],
    ['/orders', 'a name of 1 MiB', () => `{${base},"${'x'.repeat(MIB - 1000)}":1}`],
    ['/orders', 'notes of 1 MiB of escapes', () => `{${base},"notes":"${'\\u0041'.repeat(170_000)}"}`],
    ['/orders', 'notes of 1 MiB of lone surrogates', () => `{${base},"notes":"${'\\ud800'.repeat(170_000)}"}`],
    ['/orders', 'many strings with NUL', () => filled(`{${base},"metadata":[`, '"\\u0000"', ']}', MIB)],
    ['/orders', 'a price of 1 MiB of digits', () => `{${base.replace('"29.99"', '9'.repeat(MIB - 1000))}}`],
    ['/orders', 'a price of 1 MiB of zeros in a string', () => `{${base.replace('29.99', `0.${'0'.repeat(MIB - 1000)}1`)}}`],
    ['/orders', 'a customer id of 1 MiB', () => `{${base.replace(/"customer_id":"/, `$&${'0-'.repeat(MIB / 2 - 500)}`)}}`],
    ['/orders', 'a currency of 1 MiB', () => `{${base.replace('USD', 'ß'.repeat(MIB / 2 - 500))}}`],
    ['/orders', '1 MiB of backslashes', () => `{${base},"notes":"${'\\'.repeat(MIB - 1000)}`],
    ['/orders', '1 MiB of opening brackets', () => '['.repeat(MIB)],
    ['/orders', '1 MiB of minus signs', () => `[${'-'.repeat(MIB - 1)}`],
    ['/orders', '1 MiB of spaces', () => ' '.repeat(MIB)],
    ['/orders/batch', '8 MiB of empty objects', () => filled('{"orders":[', '{}', ']}', 8 * MIB)],
    ['/orders/batch', '8 MiB of empty lists', () => filled('{"orders":[', '[]', ']}', 8 * MIB)],
    ['/orders/batch', '8 MiB of numbers', () => filled('{"orders":[', '1', ']}', 8 * MIB)],
    ['/orders/batch', '8 MiB of unsafe numbers', () => filled('{"orders":[', '1e5', ']}', 8 * MIB)],
    ['/orders/batch', '8 MiB of nested lists', () => filled('{"orders":[', '['.repeat(28) + ']'.repeat(28), ']}', 8 * MIB)],
    ['/orders/batch', '8 MiB of unknown fields', () => numbered('{', (n) => `"${n}x":1`, '}', 8 * MIB)],
    ['/orders/batch', '8 MiB of strings', () => filled('{"orders":[', '""', ']}', 8 * MIB)],
    ['/orders/batch', '8 MiB of one escaped string', () => `{"orders":"${'\\u0041'.repeat(1_390_000)}"}`],
    ['/orders/batch', '8 MiB of valid orders, 300 too many', () => filled('{"orders":[', `{${base}}`, ']}', 8 * MIB)],
    ['/orders/batch', 'faults in every field of 100 orders of 50 items', () => `{"orders":[${Array(100).fill(faulty).join(',')}]}`],
    ['/orders/batch', '300,000 entries', () => `{"orders":[${Array(300_000).fill('null').join(',')}]}`],
  ]; // prettier-ignore

  it.each(CASES)('%s: %s', async (path, _, make) => {
    const body = make();
    let response = {} as ApiResponse;
    const cost = await costOf(async () => (response = await tenant.post(path, body)));
    const slug = response.status === 400 ? 'malformed_request' : 'validation_error';
    const problem = expectProblem(response, slug);
    if (slug === 'validation_error') {
      expect(problem.errors?.length).toBeGreaterThan(0);
      expect(problem.errors?.length).toBeLessThanOrEqual(MOST_FAULTS);
    }
    expect(response.text.length).toBeLessThan(64 * 1024);
    expect(cost).toBeLessThan(MOST_TIMES * honest);
  });

  it('still serves others while one tenant sends nothing else', async () => {
    const other = await new ApiClient(api.url).register();
    const body = filled('{"orders":[', '{}', ']}', 4 * MIB);
    let answered = 0;
    const attack = Array.from({ length: 24 }, () => tenant.post('/orders/batch', body).finally(() => answered++));
    expect((await other.get('/orders?limit=1')).status).toBe(200);
    expect(answered).toBeLessThan(attack.length);
    // A body without room among the tenant's own in time is refused unread.
    for (const response of await Promise.all(attack)) {
      expectProblem(response, response.status === 429 ? 'rate_limited' : 'validation_error');
    }
  });

  it('takes the largest batch that is one', async () => {
    const response = await tenant.post('/orders/batch', largestBatch());
    expect(response.status).toBe(201);
    expect(response.body.data).toHaveLength(100);
  });
});
