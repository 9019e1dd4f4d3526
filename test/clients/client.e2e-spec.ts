import { randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { OrdersClient, OrdersClientOptions, TokenPair } from '../../clients/typescript/src/client';
import { type BuiltClient, buildClient } from '../harness/built-client';
import { newEmail, startService, type TestService } from '../harness/service';

const ROOT = join(__dirname, '..', '..');
const README = readFileSync(join(ROOT, 'clients', 'typescript', 'README.md'), 'utf8');
const PASSWORD = 'a password for tests';

/** The code of a user who has only the installed package: it compiles only if its types are right. */
const USAGE = `
import { ApiError, OrdersClient, type components, type Item } from 'orders-saas-client';
import { type WebhookEvent, verifyWebhook } from 'orders-saas-client/webhooks';

export async function confirm(client: OrdersClient, id: string): Promise<string> {
  const { data: order, response } = await client.get('/api/v1/orders/{id}', { params: { path: { id } } });
  const etag = response.headers.get('etag') ?? '';
  const { data } = await client.patch('/api/v1/orders/{id}/status', {
    params: { path: { id }, header: { 'If-Match': etag } },
    body: { status: 'confirmed' },
  });
  return order.notes === null ? data.total_amount : order.notes.toUpperCase();
}

export async function totals(client: OrdersClient): Promise<string[]> {
  const all: string[] = [];
  const orders: AsyncIterable<Item<'/api/v1/orders'>> = client.items('/api/v1/orders', { params: { query: { status: 'pending' } } });
  for await (const order of orders) all.push(order.total_amount satisfies components['schemas']['Order']['total_amount']);
  return all;
}

export function kind(error: unknown): string {
  if (!(error instanceof ApiError)) throw error;
  if (error.slug === 'validation_error') return error.errors.map(({ field, code }) => field + code).join();
  // @ts-expect-error -- a slug that is none
  return error.slug === 'validation_eror' ? '' : (error.request_id ?? '');
}

export function nameOf(event: WebhookEvent): string {
  switch (event.type) {
    case 'order.created':
      return event.data.total_amount;
    case 'webhook.endpoint.disabled':
      return event.data.url;
    default:
      return event.id;
  }
}

export async function own(body: Uint8Array, headers: Headers): Promise<number | undefined> {
  const event = await verifyWebhook<{ type: 'invoice.paid'; data: { cents: number } }>({ body, headers }, { keys: 'whsec_' });
  return event.type === 'invoice.paid' ? event.data.cents : undefined;
}

export async function wrong(client: OrdersClient): Promise<void> {
  // @ts-expect-error -- a body that lacks its items
  await client.post('/api/v1/orders', { body: { customer_id: '', currency: 'USD' } });
  // @ts-expect-error -- an order without its id
  await client.get('/api/v1/orders/{id}');
  // @ts-expect-error -- no list
  client.items('/api/v1/auth/me');
  // @ts-expect-error -- a stream is not parsed
  await client.get('/api/v1/orders/export');
}
`;

const STRICT = {
  compilerOptions: {
    strict: true,
    noEmit: true,
    exactOptionalPropertyTypes: true,
    target: 'es2022',
    module: 'nodenext',
    lib: ['es2022', 'dom', 'dom.iterable'],
    skipLibCheck: true,
    types: ['node'],
    typeRoots: [join(ROOT, 'node_modules', '@types')],
  },
};

describe('the TypeScript client, built, packed and installed', () => {
  let built: BuiltClient;
  let service: TestService;

  beforeAll(async () => {
    [built, service] = await Promise.all([buildClient(), startService()]);
  });
  afterAll(async () => {
    await service.stop();
    built.remove();
  });

  const newClient = (options: Partial<OrdersClientOptions> = {}): OrdersClient =>
    new built.client.OrdersClient({ baseUrl: service.url, ...options });
  const signedIn = async (options: Partial<OrdersClientOptions> = {}): Promise<OrdersClient> => {
    const client = newClient(options);
    await client.register({ email: newEmail(), password: PASSWORD, tenant_name: 'Client Ltd' });
    return client;
  };
  const order = () => ({
    customer_id: randomUUID(),
    currency: 'USD',
    items: [{ product_id: 'prod-1', product_name: 'Widget', quantity: 2, unit_price: '29.99' }],
  });
  const count = async (client: OrdersClient) => {
    let orders = 0;
    for await (const _ of client.items('/api/v1/orders')) orders++;
    return orders;
  };
  const problem = async (call: Promise<unknown>) => {
    const error: unknown = await call.then(
      () => undefined,
      (failure: unknown) => failure,
    );
    expect(error).toBeInstanceOf(built.client.ApiError);
    return error as InstanceType<BuiltClient['client']['ApiError']>;
  };

  it('compiles in a strict project, with the examples of its README, and has the types of the API', async () => {
    const examples = [...README.matchAll(/^```ts\n([^]*?)^```$/gm)].map(([, text]) => text as string);
    expect(examples.length).toBeGreaterThan(1);
    const files = [USAGE, ...examples].map((text, index) => {
      writeFileSync(join(built.folder, `usage-${index}.ts`), text);
      return `usage-${index}.ts`;
    });
    writeFileSync(join(built.folder, 'tsconfig.json'), JSON.stringify({ ...STRICT, files }));
    await built.node(built.tool('typescript/bin/tsc'), '-p', built.folder);
  });

  it('is imported by name from an ES module too', async () => {
    const program = `
      import { ApiError, OrdersClient } from 'orders-saas-client';
      import { verifyWebhook } from 'orders-saas-client/webhooks';
      console.log(typeof ApiError, typeof verifyWebhook, (await new OrdersClient({ baseUrl: '${service.url}' }).get('/health')).data.status);
    `;
    writeFileSync(join(built.folder, 'usage.mjs'), program);
    expect(await built.node('usage.mjs')).toBe('function function ok\n');
  });

  it('registers, creates, reads, changes and exports orders', async () => {
    const client = await signedIn();
    const me = await client.get('/api/v1/auth/me');
    expect(me.data.role).toBe('owner');

    const { data: created, response } = await client.post('/api/v1/orders', { body: order() });
    expect(created.total_amount).toBe('59.98');
    expect(response.headers.get('location')).toBe(`/api/v1/orders/${created.id}`);
    const path = { id: created.id };
    const changed = await client.patch('/api/v1/orders/{id}', {
      params: { path },
      body: { notes: 'Leave at the door' },
    });
    expect(changed.data).toMatchObject({ notes: 'Leave at the door', version: 2 });
    const read = await client.get('/api/v1/orders/{id}', { params: { path } });
    expect(read.data).toEqual(changed.data);
    const batch = await client.post('/api/v1/orders/batch', { body: { orders: [order(), order()] } });
    expect(batch.data.data).toHaveLength(2);

    const { data: lines } = await client.stream('/api/v1/orders/export', { params: { query: { format: 'ndjson' } } });
    const text = await new Response(lines).text();
    expect(
      text
        .trimEnd()
        .split('\n')
        .map((line) => (JSON.parse(line) as { id: string }).id),
    ).toHaveLength(3);
  });

  it('refuses to overwrite a concurrent change, and throws an ApiError', async () => {
    const client = await signedIn();
    const { data: created, response } = await client.post('/api/v1/orders', { body: order() });
    const path = { id: created.id };
    await client.patch('/api/v1/orders/{id}', { params: { path }, body: { notes: 'first' } });
    const header = { 'If-Match': response.headers.get('etag') as string };
    const error = await problem(
      client.patch('/api/v1/orders/{id}', { params: { path, header }, body: { notes: 'second' } }),
    );
    expect(error).toMatchObject({ status: 412, slug: 'version_conflict', title: 'Version Conflict', errors: [] });
    expect(error.request_id).toMatch(/^[0-9a-f-]{36}$/);
    expect(error.message).toContain('412 version_conflict: ');

    const conditional = await client.raw.GET('/api/v1/orders/{id}', {
      params: { path, header: { 'If-None-Match': '"2"' } },
    });
    expect(conditional.response.status).toBe(304);
  });

  it('names every fault of a request', async () => {
    const client = await signedIn();
    const error = await problem(client.post('/api/v1/orders', { body: { ...order(), currency: 'USDX', items: [] } }));
    expect(error).toMatchObject({ status: 422, slug: 'validation_error' });
    expect(error.errors.map(({ field }) => field).sort()).toEqual(['currency', 'items']);
    expect(error.message).toContain('currency ');
  });

  it('treats a response without a problem document as an unknown error', async () => {
    const page = () => Promise.resolve(new Response('<h1>Bad Gateway</h1>', { status: 502 }));
    const error = await problem(newClient({ fetch: page, retries: 0 }).get('/health'));
    expect(error).toMatchObject({ status: 502, slug: 'unknown', request_id: undefined, errors: [] });
  });

  it('walks through a list page by page, with its filter, and stops early on request', async () => {
    let requests = 0;
    const client = await signedIn({
      fetch: (...args) => {
        requests++;
        return fetch(...args);
      },
    });
    const { data: batch } = await client.post('/api/v1/orders/batch', {
      body: { orders: Array.from({ length: 7 }, order) },
    });
    const newestFirst = batch.data.map(({ id }) => id).reverse();
    const params = { query: { limit: 3, status: 'pending' as const } };
    const sizes: number[] = [];
    const ids: string[] = [];
    for await (const page of client.pages('/api/v1/orders', { params })) {
      sizes.push(page.data.length);
      ids.push(...page.data.map(({ id }) => id));
    }
    expect(sizes).toEqual([3, 3, 1]);
    expect(ids.sort()).toEqual(newestFirst.sort());

    const before = requests;
    for await (const { id } of client.items('/api/v1/orders', { params })) {
      expect(newestFirst).toContain(id);
      break;
    }
    expect(requests - before).toBe(1);
  });

  describe('with a session', () => {
    it('renews an access token once for all the requests that were refused with it', async () => {
      const { access_token: live, refresh_token } = (await service.tenant()).session as TokenPair;
      const kept: (TokenPair | undefined)[] = [];
      const refreshes: string[] = [];
      const client = newClient({
        credential: { access_token: `${live}x`, refresh_token },
        onTokens: (tokens) => void kept.push(tokens),
        fetch: (request, init) => {
          if ((request as Request).url.endsWith('/auth/refresh')) refreshes.push((request as Request).url);
          return fetch(request, init);
        },
      });
      const responses = await Promise.all(
        Array.from({ length: 8 }, () => client.post('/api/v1/orders', { body: order() })),
      );
      expect(new Set(responses.map(({ data }) => data.id)).size).toBe(8);
      expect(refreshes).toHaveLength(1);
      expect(kept).toStrictEqual([{ access_token: expect.any(String), refresh_token: expect.any(String) }]);
      expect(kept[0]?.refresh_token).not.toBe(refresh_token);
      expect(await count(client)).toBe(8);
    });

    it('repeats a refresh whose response was lost, and continues with the same session', async () => {
      const { access_token: live, refresh_token } = (await service.tenant()).session as TokenPair;
      let lost = 0;
      const client = newClient({
        credential: { access_token: `${live}x`, refresh_token },
        fetch: async (request, init) => {
          const response = await fetch(request, init);
          if ((request as Request).url.endsWith('/auth/refresh') && lost++ === 0)
            throw new TypeError('connection lost');
          return response;
        },
      });
      expect((await client.get('/api/v1/auth/me')).data.role).toBe('owner');
      expect(lost).toBe(2);
    });

    it('ends when its refresh is refused, and reports it', async () => {
      const kept: (TokenPair | undefined)[] = [];
      const client = newClient({
        credential: { access_token: 'expired', refresh_token: 'rt_none' },
        onTokens: (tokens) => void kept.push(tokens),
      });
      const errors = await Promise.all([1, 2].map(() => problem(client.get('/api/v1/auth/me'))));
      expect(errors.map(({ slug }) => slug)).toEqual(['unauthorized', 'unauthorized']);
      expect(kept).toEqual([undefined]);
    });

    it('signs out and in again', async () => {
      const email = newEmail();
      const client = newClient();
      await client.register({ email, password: PASSWORD, tenant_name: 'Client Ltd' });
      await client.signOut();
      expect(await problem(client.get('/api/v1/auth/me'))).toMatchObject({ slug: 'unauthorized' });
      const { user } = await client.signIn({ email, password: PASSWORD });
      expect((await client.get('/api/v1/auth/me')).data.user).toMatchObject({ id: user.id });
    });
  });

  describe('when the network or the service fails', () => {
    const failing = (failures: ((request: Request) => Promise<Response>)[]): typeof fetch => {
      return (request, init) => failures.shift()?.(request as Request) ?? fetch(request, init);
    };
    const lose = async (request: Request): Promise<Response> => {
      await fetch(request);
      throw new TypeError('connection lost');
    };
    const reply =
      (status: number, headers: Record<string, string> = {}) =>
      () =>
        Promise.resolve(new Response('', { status, headers }));
    const withFailures = async (failures: ((request: Request) => Promise<Response>)[]) => {
      const tokens = (await service.tenant()).session as TokenPair;
      return newClient({ credential: tokens, fetch: failing(failures) });
    };

    it('makes an order once whose response was lost twice', async () => {
      const client = await withFailures([lose, lose]);
      const { response } = await client.post('/api/v1/orders', { body: order() });
      expect(response.headers.get('idempotency-replayed')).toBe('true');
      expect(await count(client)).toBe(1);
    });

    it('makes an order once whose response broke off in the middle', async () => {
      const half = async (request: Request): Promise<Response> => {
        const whole = await fetch(request);
        const body = new ReadableStream<Uint8Array>({
          start: (controller) => controller.enqueue(new TextEncoder().encode('{"id":')),
          pull: (controller) => controller.error(new TypeError('terminated')),
        });
        return new Response(body, whole);
      };
      const client = await withFailures([half]);
      const { data } = await client.post('/api/v1/orders', { body: order() });
      expect(data.status).toBe('pending');
      expect(await count(client)).toBe(1);
    });

    it('waits at least as long as Retry-After', async () => {
      const client = await withFailures([reply(503, { 'retry-after': '1' })]);
      const began = Date.now();
      await client.get('/api/v1/orders');
      expect(Date.now() - began).toBeGreaterThanOrEqual(990);
    });

    it('does not wait for a Retry-After that is too long', async () => {
      const client = await withFailures([reply(429, { 'retry-after': '3600' })]);
      const error = await problem(client.get('/api/v1/orders'));
      expect(error.status).toBe(429);
      expect(error.headers.get('retry-after')).toBe('3600');
    });

    it('gives up after its retries', async () => {
      const client = await withFailures(Array.from({ length: 4 }, () => reply(503)));
      expect((await problem(client.get('/api/v1/orders'))).status).toBe(503);
      await client.get('/api/v1/orders');
    });

    it('does not repeat a change that has no key', async () => {
      const failures: Parameters<typeof withFailures>[0] = [];
      const client = await withFailures(failures);
      const { data } = await client.post('/api/v1/orders', { body: order() });
      const change = (failure: (request: Request) => Promise<Response>) => {
        failures.push(failure);
        return client.patch('/api/v1/orders/{id}/status', {
          params: { path: { id: data.id } },
          body: { status: 'confirmed' },
        });
      };
      await expect(change(lose)).rejects.toThrow('connection lost');
      expect((await problem(change(reply(503)))).status).toBe(503);
    });

    it('gives up a try that takes too long, and waiting when the caller does', async () => {
      const hang: typeof fetch = (_request, init) =>
        new Promise((_resolve, reject) => {
          const { signal } = init as { signal: AbortSignal };
          if (signal.aborted) reject(signal.reason as Error);
          signal.addEventListener('abort', () => reject(signal.reason as Error));
        });
      const impatient = newClient({ fetch: hang, timeoutMs: 20, retries: 1 });
      await expect(impatient.get('/health')).rejects.toThrow('No answer within 20 ms');
      const abort = new AbortController();
      const waiting = newClient({ fetch: hang }).get('/health', { signal: abort.signal });
      abort.abort(new Error('changed my mind'));
      await expect(waiting).rejects.toThrow('changed my mind');
      const unavailable = newClient({ fetch: reply(503, { 'retry-after': '20' }) });
      await expect(unavailable.get('/health', { signal: AbortSignal.timeout(50) })).rejects.toThrow(/timeout/);
    });
  });

  it('gets through the limit of a tenant by waiting for Retry-After', async () => {
    const limited = await startService({
      database: service.database,
      env: { RATE_LIMIT_TENANT_PER_SECOND: '4', RATE_LIMIT_TENANT_BURST: '4' },
    });
    try {
      let refused = 0;
      const client = await signedIn({
        baseUrl: limited.url,
        retries: 5,
        fetch: async (request, init) => {
          const response = await fetch(request, init);
          if (response.status === 429) refused++;
          return response;
        },
      });
      await Promise.all(Array.from({ length: 8 }, () => client.post('/api/v1/orders', { body: order() })));
      expect(refused).toBeGreaterThan(0);
      expect(await count(client)).toBe(8);
    } finally {
      await limited.stop();
    }
  });
});
