import * as fc from 'fast-check';
import { type ApiClient, type ApiResponse, orderInput } from '../../../harness/client';
import { expectProblem, type ProblemSlug } from '../../../harness/problems';
import { RawConnection } from '../../../harness/raw-http';
import { startService, type TestService } from '../../../harness/service';

/** The same cases in every run; `FUZZ_SEED=… FUZZ_RUNS=500` tries more. A failure prints the seed and the case. */
const seed = Number(process.env.FUZZ_SEED ?? 20261125);
const numRuns = Number(process.env.FUZZ_RUNS ?? 25);
/** Concurrent requests of one run. */
const WIDTH = 25;
const TIMEOUT = 600_000;

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

describe('generated invalid input', () => {
  let service: TestService;
  let tenant: ApiClient;
  let orderId: string;

  beforeAll(async () => {
    service = await startService();
    tenant = await service.tenant();
    orderId = (await tenant.createOrder()).id;
  });
  afterAll(() => service.stop());

  const counts = async () => {
    const [row] = await service.database.sql<Record<string, number>>(
      `select (select count(*)::int from orders) as orders, (select count(*)::int from order_history) as history,
              (select count(*)::int from order_items) as items`,
    );
    return row as { orders: number; history: number; items: number };
  };

  /** A 2xx or one of these problems, and quickly; gives whether it was a 2xx. */
  function expectAnswered(response: ApiResponse, problems: readonly ProblemSlug[]): boolean {
    if (response.status < 400) return true;
    const slug = (response.body?.type ?? `${response.status} ${response.text}`) as ProblemSlug;
    expect(problems).toContain(slug);
    expectProblem(response, slug);
    return false;
  }

  const run = <T>(arbitrary: fc.Arbitrary<T>, property: (value: T) => Promise<void>) =>
    fc.assert(fc.asyncProperty(arbitrary, property), { seed, numRuns, endOnFailure: true });

  it(
    'refuses any invalid order with 422 or 400, and makes none of it',
    () =>
      run(fc.array(fc.tuple(mutations, fc.boolean()), { minLength: WIDTH, maxLength: WIDTH }), async (cases) => {
        const before = await counts();
        const responses = await Promise.all(
          cases.map(([ops, inBatch]) => {
            const body = write(mutate(orderInput() as Json, ops));
            return inBatch ? tenant.post('/orders/batch', `{"orders":[${body}]}`) : tenant.post('/orders', body);
          }),
        );
        const made = responses.filter((response) =>
          expectAnswered(response, ['validation_error', 'malformed_request']),
        );
        const orders = made.map((response) => response.body.data?.[0] ?? response.body);
        for (const order of orders) expectSoundOrder(order);
        const lines = orders.reduce((sum, order) => sum + order.items.length, 0);
        expect(await counts()).toEqual({
          orders: before.orders + orders.length,
          history: before.history + orders.length,
          items: before.items + lines,
        });
      }),
    TIMEOUT,
  );

  it(
    'refuses any garbled text of an order with a problem, or accepts one that is still valid',
    () =>
      run(fc.array(garbles, { minLength: WIDTH, maxLength: WIDTH }), async (cases) => {
        const before = await counts();
        const responses = await Promise.all(
          cases.map((ops) => tenant.post('/orders', garble(JSON.stringify(orderInput()), ops))),
        );
        const made = responses.filter((response) =>
          expectAnswered(response, ['validation_error', 'malformed_request']),
        );
        for (const reply of made) expectSoundOrder(reply.body);
        expect((await counts()).orders).toBe(before.orders + made.length);
      }),
    TIMEOUT,
  );

  it(
    'refuses any change of an order with a problem, or makes it',
    () =>
      run(fc.array(fc.tuple(mutations, fc.boolean()), { minLength: 5, maxLength: 5 }), async (cases) => {
        const before = await counts();
        const responses = await Promise.all(
          cases.map(([ops, status]) => {
            const valid: Json = status ? { status: 'confirmed' } : { notes: 'x', metadata: { a: 'b', c: null } };
            return tenant.patch(`/orders/${orderId}${status ? '/status' : ''}`, write(mutate(valid, ops)));
          }),
        );
        for (const response of responses) {
          if (expectAnswered(response, ['validation_error', 'malformed_request', 'business_rule_violation'])) {
            expectSoundOrder(response.body);
          }
        }
        const order = (await tenant.get(`/orders/${orderId}`)).body;
        const after = await counts();
        expect(after.orders).toBe(before.orders);
        const events = (await tenant.get(`/orders/${orderId}/events?limit=100`)).body;
        if (!events.has_more) expect(events.data).toHaveLength(order.version);
        if (order.version > 80 || order.status !== 'pending') orderId = (await tenant.createOrder()).id;
      }),
    TIMEOUT,
  );

  it(
    'responds to any address and query with a page or a problem',
    () =>
      run(fc.array(fc.tuple(paths, queries), { minLength: WIDTH, maxLength: WIDTH }), async (cases) => {
        const before = await counts();
        await Promise.all(
          cases.map(async ([path, query]) => {
            const response = await tenant.get(`${path.replace('ID', orderId)}${query}`);
            const problems = [
              'validation_error',
              'malformed_request',
              'invalid_cursor',
              'not_found',
              'method_not_allowed',
            ] as const;
            if (expectAnswered(response, [...problems, 'rate_limited'])) expect(response.status).toBe(200);
          }),
        );
        expect(await counts()).toEqual(before);
      }),
    TIMEOUT,
  );

  it(
    'responds to any headers with a problem, or serves the request',
    () =>
      run(fc.array(headers, { minLength: 8, maxLength: 8 }), async (cases) => {
        const before = await counts();
        const made = await Promise.all(
          cases.map(async (lines) => {
            const body = JSON.stringify(orderInput());
            const connection = await RawConnection.open(service.url);
            connection.write(
              [
                'POST /api/v1/orders HTTP/1.1',
                'Host: localhost',
                'Connection: close',
                `Authorization: Bearer ${tenant.session?.access_token}`,
                'Content-Type: application/json',
                `Content-Length: ${body.length}`,
                ...lines.map(([name, value]) => `${name}: ${value}`),
                '',
                body,
              ].join('\r\n'),
            );
            const response = await connection.response();
            connection.close();
            if (!response) throw new Error('no answer');
            expect(response.status).toBeLessThan(500);
            if (response.status === 201) return true;
            expect(response.headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
            expect(response.body.request_id).toBe(response.headers.get('x-request-id'));
            return false;
          }),
        );
        const replayable = cases.flat().some(([name]) => name.toLowerCase() === 'idempotency-key');
        const orders = (await counts()).orders - before.orders;
        const answered = made.filter(Boolean).length;
        if (replayable) expect(orders).toBeLessThanOrEqual(answered);
        else expect(orders).toBe(answered);
      }),
    TIMEOUT,
  );

  it('has logged no error by now', () => {
    expect(service.logLines.filter((line) => JSON.parse(line).level >= 50)).toEqual([]);
  });
});

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- a test reads whatever came
function expectSoundOrder(order: any): void {
  const digits = (/\.(\d+)$/.exec(order.total_amount)?.[1] ?? '').length;
  const minor = (text: string) => {
    expect(text).toMatch(digits === 0 ? /^[1-9]\d*$/ : new RegExp(`^(0|[1-9]\\d*)\\.\\d{${digits}}$`));
    return BigInt(text.replace('.', ''));
  };
  let total = 0n;
  expect(order.items.length).toBeGreaterThanOrEqual(1);
  expect(order.items.length).toBeLessThanOrEqual(50);
  for (const { quantity, unit_price, product_id, product_name } of order.items) {
    expect(Number.isInteger(quantity) && quantity >= 1 && quantity <= 1000).toBe(true);
    expect([...product_id].length >= 1 && [...product_id].length <= 36).toBe(true);
    expect([...product_name].length >= 1 && [...product_name].length <= 200).toBe(true);
    expect(minor(unit_price)).toBeGreaterThan(0n);
    total += BigInt(quantity) * minor(unit_price);
  }
  expect(minor(order.total_amount)).toBe(total);
  expect(order.currency).toMatch(/^[A-Z]{3}$/);
  expect(order.customer_id).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  expect(order.notes === null || [...order.notes].length <= 500).toBe(true);
  expect(Object.keys(order.metadata).length).toBeLessThanOrEqual(50);
  for (const value of Object.values(order.metadata)) expect(typeof value).toBe('string');
}

/** A piece of JSON as text, also such as no value can hold. */
class Raw {
  constructor(readonly json: string) {}
}

const nasty = fc.constantFrom(
  '1e400', '-1e400', '1e-400', '1e2', '-0', '0', '-1', '0.1', '1e21', '12345678901234567890', '0.12345678901234567',
  '999999999999.99', '1000000000000', 'null', 'true', 'false', '""', '" "', '"\\u0000"', '"\\ud800"', '"\\u001f"', '"\\ufeff"',
  '[]', '[[]]', '{}', '[null]', '{"":""}', '{"__proto__":{"a":1}}', '{"constructor":{"prototype":1}}', '{"toJSON":"x"}',
  '{"length":1}', '{"source":"1e5"}', '{"then":"x"}', 'NaN', '"NaN"', '"Infinity"', '"1e5"', '"0x10"', '"29.99"', '"01"',
  '"usd"', '"JPY"', '"KWD"', '"uſd"', '"pending"', '"cancelled"', `"${'x'.repeat(600)}"`, `"${'😀'.repeat(300)}"`,
  '"00000000-0000-0000-0000-000000000000"', `[${'{},'.repeat(60)}{}]`, `${'['.repeat(40)}${']'.repeat(40)}`,
).map((json) => new Raw(json)); // prettier-ignore

const names = fc.oneof(
  fc.constantFrom('__proto__', 'constructor', 'items', 'currency', 'notes', 'metadata', 'status', 'id', '', 'toString', 'length', 'hasOwnProperty', 'tenant_id'), // prettier-ignore
  fc.string({ unit: 'binary', maxLength: 50 }),
);
const replacement = fc.oneof(
  { weight: 3, arbitrary: nasty },
  { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 3 }) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 600 }) },
  { weight: 1, arbitrary: fc.double().map((number) => new Raw(JSON.stringify(number))) },
);
const mutations = fc.array(
  fc.record({
    at: fc.nat(),
    kind: fc.constantFrom('replace', 'delete', 'add', 'repeat'),
    name: names,
    value: replacement as fc.Arbitrary<unknown>,
  }),
  { minLength: 1, maxLength: 4 },
);
type Mutation = typeof mutations extends fc.Arbitrary<(infer T)[]> ? T : never;

/** Changes a tree at random nodes. */
function mutate(tree: Json, ops: Mutation[]): unknown {
  const root = { '': structuredClone(tree) as unknown };
  for (const { at, kind, name, value } of ops) {
    const places: [Record<string, unknown>, string][] = [];
    const visit = (parent: Record<string, unknown>, key: string): void => {
      places.push([parent, key]);
      const node = parent[key];
      if (typeof node !== 'object' || node === null || node instanceof Raw) return;
      for (const inner of Object.keys(node)) if (inner !== '__proto__') visit(node as Record<string, unknown>, inner);
    };
    visit(root, '');
    const [parent, key] = places[at % places.length] as [Record<string, unknown>, string];
    const node = parent[key];
    const define = (target: object, field: string) =>
      Object.defineProperty(target, field, { value, enumerable: true, configurable: true, writable: true });
    if (kind === 'delete' && Array.isArray(parent)) parent.splice(Number(key), 1);
    else if (kind === 'delete') delete parent[key];
    else if (kind === 'repeat' && Array.isArray(parent)) parent.push(...new Array<unknown>(at % 60).fill(node));
    else if (kind === 'add' && Array.isArray(node)) node.push(value);
    else if (kind === 'add' && typeof node === 'object' && node !== null && !(node instanceof Raw)) define(node, name);
    else define(parent, key);
  }
  return root[''];
}

function write(value: unknown): string {
  if (value instanceof Raw) return value.json;
  if (Array.isArray(value)) return `[${value.map(write).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    return `{${Object.entries(value).map(([key, inner]) => `${JSON.stringify(key)}:${write(inner)}`).join(',')}}`; // prettier-ignore
  }
  return JSON.stringify(value) ?? 'null';
}

const garbles = fc.array(
  fc.record({ at: fc.nat(), cut: fc.nat({ max: 3 }), insert: fc.oneof(fc.string({ unit: 'binary', maxLength: 3 }), fc.constantFrom('"', '\\', '{', '}', '[', ']', ',', ':', '\\u', '\\ud800', '\0', '\ufeff', 'e5', '-', '.', '0', '9'.repeat(20))) }), // prettier-ignore
  { minLength: 1, maxLength: 3 },
);
function garble(text: string, ops: { at: number; cut: number; insert: string }[]): string {
  return ops.reduce((now, { at, cut, insert }) => {
    const place = at % (now.length + 1);
    return now.slice(0, place) + insert + now.slice(place + cut);
  }, text);
}

const pieces = fc.oneof(
  fc.constantFrom('limit', 'cursor', 'status', 'currency', 'customer_id', 'created_after', 'created_before', 'format', 'a[b]', '__proto__'),
  fc.constantFrom('1', '0', '100', '101', '-1', 'pending', 'USD', 'csv', 'ndjson', '2026-01-31T12:00:00Z', '%00', '%ff', '%zz', '%', '%ED%A0%80', '+', '0198c0de-7a11-7000-8000-000000000001'),
  fc.constantFrom('=', '&', '?', '/', ';', '[]', '.', '..', '%2e%2e', '%2f', ' ', '"', "'", '<', '\\', '{', '|', '^', '`'),
  fc.string({ unit: 'grapheme', maxLength: 20 }).map((text) => encodeURIComponent(text)),
); // prettier-ignore
const queries = fc
  .array(pieces, { maxLength: 12 })
  .map((parts) => (parts.length === 0 ? '' : `?${parts.join('')}`).replace(/#/g, ''));
const paths = fc.oneof(
  fc.constantFrom('/orders', '/orders/', '/orders/ID', '/orders/ID/events', '/orders/export'),
  fc.array(pieces, { minLength: 1, maxLength: 4 }).map((parts) => `/orders/${parts.join('').replace(/[?#]/g, '')}`),
);

/** Valid characters of a header: Node itself refuses others, which `http-raw` tests. */
const headerText = fc.string({
  unit: fc.integer({ min: 0x20, max: 0xff }).filter((code) => code !== 0x7f).map((code) => String.fromCharCode(code)),
  maxLength: 60,
}); // prettier-ignore
const headers = fc.array(
  fc.tuple(
    fc.oneof(
      fc.constantFrom('Idempotency-Key', 'If-Match', 'If-None-Match', 'X-Request-Id', 'Accept', 'Content-Encoding', 'Origin', 'Range', 'Accept-Encoding', 'Accept-Language', 'Cookie', 'X-Forwarded-For', 'X-Forwarded-Host', 'Forwarded', 'X-HTTP-Method-Override', 'Authorization', 'Content-Type', 'Prefer', 'If-Modified-Since', 'TE', 'Via'),
      fc.string({ unit: fc.constantFrom(...'abcdefXYZ019-_.!#$'), minLength: 1, maxLength: 30 }).map((name) => `X-${name}`),
    ),
    fc.oneof(headerText, fc.constantFrom('', '*', '"1"', 'W/"1"', 'gzip', 'application/json', 'text/html', '*/*;q=0', 'bytes=0-5', ',', ',,,', ';', 'null', 'x'.repeat(3000))),
  ),
  { minLength: 1, maxLength: 5 },
); // prettier-ignore
