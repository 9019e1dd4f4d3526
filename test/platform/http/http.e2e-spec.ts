import { randomUUID } from 'node:crypto';
import { type ApiClient, type ApiResponse, orderInput } from '../../harness/client';
import { ORDER_ROUTES, type OrderRoute, routesWhere } from '../../harness/order-routes';
import { expectProblem, faultsOf } from '../../harness/problems';
import { startService, type TestService } from '../../harness/service';

const UUIDV7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/;
const EXPOSED = [
  'ETag',
  'Idempotency-Replayed',
  'Link',
  'Location',
  'RateLimit',
  'RateLimit-Policy',
  'Retry-After',
  'WWW-Authenticate',
  'X-Request-Id',
];

describe('every route of the orders', () => {
  let service: TestService;
  let tenant: ApiClient;
  let stranger: ApiClient;
  let orderId: string;

  beforeAll(async () => {
    service = await startService({ env: { ALLOWED_ORIGINS: 'https://app.example.com,https://b.example.com' } });
    [tenant, stranger] = await Promise.all([service.tenant(), service.tenant()]);
  });
  afterAll(() => service.stop());
  beforeEach(async () => {
    orderId = (await tenant.createOrder()).id;
  });

  function call(
    route: OrderRoute,
    change: {
      as?: ApiClient;
      id?: string;
      suffix?: string;
      body?: unknown;
      headers?: Record<string, string>;
      method?: string;
    } = {},
  ): Promise<ApiResponse> {
    return (change.as ?? tenant).request(
      change.method ?? route.method,
      route.path(change.id ?? orderId) + (change.suffix ?? ''),
      { body: 'body' in change ? change.body : route.body?.(), headers: change.headers },
    );
  }

  describe('address and credential', () => {
    it.each(routesWhere())('%s: a trailing slash makes no difference', async (_, route) => {
      expect((await call(route, { suffix: '/' })).status).toBe(route.status);
      expectProblem(await call(route, { suffix: '//' }), 'not_found');
    });

    it.each(routesWhere())('%s: 401 with WWW-Authenticate: Bearer without a credential', async (_, route) => {
      const response = await call(route, { as: service.client });
      expectProblem(response, 'unauthorized');
      expect(response.headers.get('www-authenticate')).toBe('Bearer');
    });

    it.each(routesWhere((route) => route.route.includes('{id}')))(
      '%s: another tenant’s id responds like one that does not exist',
      async (_, route) => {
        const missing = randomUUID();
        const foreign = expectProblem(await call(route, { as: stranger }), 'not_found');
        const absent = expectProblem(await call(route, { as: stranger, id: missing }), 'not_found');
        const blank = (problem: object, id: string) =>
          JSON.stringify({ ...problem, request_id: '' }).replaceAll(id, 'ID');
        expect(foreign.detail).toBe(`Order '${orderId}' not found`);
        expect(blank(foreign, orderId)).toBe(blank(absent, missing));
        const [row] = await service.database.sql<{ version: number }>('select version from orders where id = $1', [
          orderId,
        ]);
        expect(row?.version).toBe(1);
      },
    );

    it.each(routesWhere((route) => route.route.includes('{id}')))(
      '%s: a malformed UUID is not found',
      async (_, route) => {
        for (const id of ['1', 'not-a-uuid', `{${orderId}}`, `${orderId}0`, '%00', '%F0%9F%98%80', 'x'.repeat(3000)]) {
          const problem = expectProblem(await call(route, { id }), 'not_found');
          expect(problem.detail).toMatch(/^Order '[\x20-\x7e]{1,64}' not found$/);
        }
      },
    );

    it.each(routesWhere((route) => route.route.includes('{id}')))(
      '%s: an id in upper case is the same id',
      async (_, route) => {
        const response = await call(route, { id: orderId.toUpperCase() });
        expect(response.status).toBe(route.status);
        expect(response.text).not.toContain(orderId.toUpperCase());
      },
    );

    it.each(['%zz', '%ff', '%c3%28', '%', '%u0041'])('responds with 400 for the address /orders/%s', async (id) => {
      const response = await tenant.get(`/orders/${id}`);
      expectProblem(response, 'malformed_request');
      expect(response.headers.get('x-content-type-options')).toBe('nosniff');
    });

    it('responds with 404 for an unknown address', async () => {
      for (const path of [
        '/nothing',
        '/orders/a/b/c',
        `/orders/${orderId}/status/x`,
        '/orders//',
        '//orders',
        '/Orders',
      ]) {
        expect(expectProblem(await tenant.get(path), 'not_found').instance).toBe(`/api/v1${path}`);
      }
    });
  });

  describe('request id', () => {
    it.each(routesWhere())('%s: echoes a sane X-Request-Id, on successes and refusals', async (_, route) => {
      for (const id of ['a', 'A-b_c.9', 'x'.repeat(128)]) {
        expect((await call(route, { headers: { 'x-request-id': id } })).headers.get('x-request-id')).toBe(id);
        const refusal = await call(route, { as: service.client, headers: { 'x-request-id': id } });
        expect(expectProblem(refusal, 'unauthorized').request_id).toBe(id);
        orderId = (await tenant.createOrder()).id;
      }
    });

    it('makes one where the caller’s is not sane', async () => {
      const made = new Set<string>();
      for (const id of ['', 'x'.repeat(129), 'a b', 'a/b', 'ä', 'a,b', '<script>', 'a:b']) {
        const response = await tenant.get('/orders', { 'x-request-id': id });
        expect(response.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
        made.add(response.headers.get('x-request-id') as string);
      }
      expect(made.size).toBe(8);
    });

    it('is on responses without a route', async () => {
      const headers = { 'x-request-id': 'mine' };
      const asked = { body: orderInput(), headers };
      const responses = await Promise.all([
        tenant.get('/nothing', headers),
        tenant.get('/orders/%zz', headers),
        tenant.request('DELETE', '/orders', { headers }),
        tenant.request('OPTIONS', '/orders', { headers }),
        tenant.get('/orders', { ...headers, accept: 'text/html' }),
        tenant.request('POST', '/orders', { ...asked, headers: { ...headers, 'content-type': 'text/plain' } }),
        tenant.request('POST', '/orders', { body: '{', headers }),
        tenant.request('POST', '/orders', { body: `"${'x'.repeat(1024 * 1024)}"`, headers }),
        tenant.request('HEAD', '/orders', { headers }),
        tenant.get('/health', headers),
      ]);
      expect(responses.map((response) => response.headers.get('x-request-id'))).toEqual(responses.map(() => 'mine'));
      expect(responses.map((response) => response.status)).toEqual([404, 400, 405, 204, 406, 415, 400, 413, 200, 200]);
    });

    it('is on every line that the log has of a request', async () => {
      const id = `log-${randomUUID()}`;
      await tenant.get('/orders?limit=1', { 'x-request-id': id });
      await service.client.post(
        '/orders',
        { secret_thing: 'hidden' },
        { 'x-request-id': id, authorization: 'Bearer x' },
      );
      const lines = () => service.logLines.filter((line) => line.includes(id)).map((line) => JSON.parse(line));
      await untilTrue(() => lines().filter((line) => line.msg === 'request').length === 2);
      expect(lines().every((line) => line.request_id === id)).toBe(true);
      expect(lines().find((line) => line.status === 200)).toMatchObject({
        msg: 'request',
        method: 'GET',
        route: '/api/v1/orders',
        tenant_id: tenant.tenantId,
        actor: `user:${tenant.session?.user.id}`,
      });
      expect(lines().find((line) => line.status === 401)).not.toHaveProperty('tenant_id');
      expect(service.logLines.join('')).not.toContain('hidden');
    });
  });

  describe('unknown fields', () => {
    it.each(routesWhere((route) => route.body !== undefined))('%s: refuses them by name', async (_, route) => {
      for (const name of [
        'surprise',
        '__proto__',
        'constructor',
        'prototype',
        'toString',
        'tenant_id',
        'id',
        'version',
      ]) {
        const body = JSON.stringify(route.body?.()).replace(/^\{/, `{${JSON.stringify(name)}:{"x":1},`);
        expect(faultsOf(await call(route, { body }))).toEqual([`${name}: unknown_field`]);
      }
    });

    it('refuses them inside of items and batches', async () => {
      const order = JSON.stringify(orderInput());
      for (const name of ['surprise', '__proto__', 'constructor', 'id', 'position']) {
        const body = order.replace('"items":[{', `"items":[{"${name}":null,`);
        expect(faultsOf(await tenant.post('/orders', body))).toEqual([`items.0.${name}: unknown_field`]);
        const batch = `{"orders":[${order},${body}]}`;
        expect(faultsOf(await tenant.post('/orders/batch', batch))).toEqual([
          `orders.1.items.0.${name}: unknown_field`,
        ]);
      }
      expect(({} as Record<string, unknown>).x).toBeUndefined();
    });

    it('refuses unknown parameters of lists and exports', async () => {
      for (const path of ['/orders', '/orders/export', `/orders/${orderId}/events`]) {
        const response = await tenant.get(`${path}?sort=1&__proto__=x&constructor=y&tenant_id=${stranger.tenantId}`);
        expect(faultsOf(response)).toEqual([
          '__proto__: unknown_field',
          'constructor: unknown_field',
          'sort: unknown_field',
          'tenant_id: unknown_field',
        ]);
      }
    });
  });

  describe('responses', () => {
    it('writes ids as UUIDv7 in lower case and times in UTC with milliseconds', async () => {
      await tenant.patch(`/orders/${orderId}`, { notes: 'changed' });
      const order = (await tenant.get(`/orders/${orderId}`)).body;
      const events = (await tenant.get(`/orders/${orderId}/events`)).body.data as Record<string, string>[];
      const listed = (await tenant.get('/orders?limit=1')).body.data[0];
      const exported = JSON.parse((await tenant.get('/orders/export')).text.split('\n')[0] as string);
      for (const view of [order, listed, exported]) {
        expect(view.id).toMatch(UUIDV7);
        for (const item of view.items) expect(item.id).toMatch(UUIDV7);
        for (const time of [view.created_at, view.updated_at]) expect(time).toMatch(TIME);
        expect(Math.abs(Date.parse(view.created_at) - Date.now())).toBeLessThan(60_000);
      }
      for (const event of events) {
        expect(event.id).toMatch(UUIDV7);
        expect(event.created_at).toMatch(TIME);
      }
      expect(parseInt(order.id.replace('-', '').slice(0, 12), 16)).toBe(Date.parse(order.created_at));
    });

    it.each(routesWhere())('%s: has the security headers and no X-Powered-By, refused or not', async (_, route) => {
      for (const response of [await call(route), await call(route, { as: service.client })]) {
        expect(response.headers.get('x-content-type-options')).toBe('nosniff');
        expect(response.headers.get('strict-transport-security')).toMatch(/^max-age=31536000/);
        expect(response.headers.get('content-security-policy')).toContain("default-src 'none'");
        expect(response.headers.get('x-powered-by')).toBeNull();
        expect(response.headers.get('server')).toBeNull();
      }
    });

    it.each(routesWhere((route) => route.route !== '/orders/export'))('%s: responds with JSON', async (_, route) => {
      const response = await call(route);
      expect(response.headers.get('content-type')).toBe('application/json; charset=utf-8');
      expect(response.headers.get('ratelimit')).toMatch(/^"tenant";r=\d+;t=\d+$/);
      expect(response.headers.get('ratelimit-policy')).toMatch(/^"tenant";q=\d+;w=\d+$/);
      expect(typeof response.body).toBe('object');
    });

    it.each(routesWhere((route) => route.method === 'GET'))(
      '%s: HEAD has the headers and no body',
      async (_, route) => {
        const got = await call(route);
        const head = await call(route, { method: 'HEAD' });
        expect([head.status, head.text]).toEqual([200, '']);
        for (const name of ['content-type', 'etag', 'link', 'content-disposition', 'content-length']) {
          if (name === 'content-length' && route.route === '/orders/export') continue;
          expect([name, head.headers.get(name)]).toEqual([name, got.headers.get(name)]);
        }
        const refused = await call(route, { method: 'HEAD', as: service.client });
        expect([refused.status, refused.text]).toEqual([401, '']);
        expect(refused.headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
      },
    );
  });

  describe('methods and media types', () => {
    it.each([
      ['DELETE', '/orders', 'GET, HEAD, POST'],
      ['PUT', '/orders', 'GET, HEAD, POST'],
      ['PATCH', '/orders', 'GET, HEAD, POST'],
      ['DELETE', '/orders/ID', 'GET, HEAD, PATCH'],
      ['POST', '/orders/ID', 'GET, HEAD, PATCH'],
      ['GET', '/orders/ID/status', 'PATCH'],
      ['POST', '/orders/ID/events', 'GET, HEAD'],
      ['POST', '/orders/export', 'GET, HEAD'],
      ['DELETE', '/orders/batch', 'POST'],
      ['DELETE', '/orders/', 'GET, HEAD, POST'],
    ])('%s %s: 405, and Allow names the methods', async (method, path, allowed) => {
      const response = await tenant.request(method, path.replace('ID', orderId));
      expectProblem(response, 'method_not_allowed');
      expect(response.headers.get('allow')).toBe(allowed);
    });

    it.each(routesWhere())('%s: 406 where the caller accepts no available media type', async (_, route) => {
      for (const accept of ['text/html', 'image/*', 'application/xml, text/plain;q=0.5', 'application/json;q=0']) {
        if (route.route === '/orders/export' && accept.includes('json')) continue;
        expectProblem(await call(route, { headers: { accept } }), 'not_acceptable');
      }
    });

    it('takes every way to accept JSON', async () => {
      const accepts = ['*/*', 'application/*', 'application/json', 'APPLICATION/JSON', 'text/html, */*;q=0.1'];
      accepts.push('application/json; charset=utf-8', 'text/*;q=0, application/json;q=0.5', '');
      for (const accept of accepts) expect((await tenant.get('/orders', { accept })).status).toBe(200);
      for (const accept of ['text/csv', 'application/x-ndjson', 'text/*', 'application/json']) {
        expect((await tenant.get('/orders/export', { accept })).status).toBe(200);
      }
      expect((await tenant.get('/nothing', { accept: 'text/html' })).status).toBe(404);
    });

    it.each(routesWhere((route) => route.body !== undefined))('%s: 415 for what is not JSON', async (_, route) => {
      const types = ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'text/json'];
      types.push(
        'application/xml',
        'application/json-patch+json',
        'application/jsonx',
        'json',
        'application/octet-stream',
      );
      for (const type of types) {
        expectProblem(await call(route, { headers: { 'content-type': type } }), 'unsupported_media_type');
      }
    });

    it.each(routesWhere((route) => route.body !== undefined))(
      '%s: JSON is UTF-8 and uncompressed',
      async (_, route) => {
        for (const type of ['application/json; charset=utf-16', 'application/json;charset=latin1']) {
          expectProblem(await call(route, { headers: { 'content-type': type } }), 'unsupported_media_type');
        }
        for (const encoding of ['gzip', 'br', 'deflate', 'gzip, identity']) {
          expectProblem(await call(route, { headers: { 'content-encoding': encoding } }), 'unsupported_media_type');
        }
        const types = ['application/json; charset=utf-8', 'application/json;charset="UTF-8"', 'Application/JSON'];
        for (const type of types) {
          orderId = (await tenant.createOrder()).id;
          expect((await call(route, { headers: { 'content-type': type } })).status).toBe(route.status);
        }
      },
    );

    it.each(routesWhere((route) => route.body !== undefined))('%s: 400 without a body', async (_, route) => {
      expectProblem(await call(route, { body: undefined }), 'malformed_request');
      expectProblem(await call(route, { body: '' }), 'malformed_request');
    });
  });

  describe('browsers', () => {
    it.each(routesWhere())(
      '%s: a page of an allowed origin may read the response and its headers',
      async (_, route) => {
        for (const origin of ['https://app.example.com', 'https://b.example.com']) {
          orderId = (await tenant.createOrder()).id;
          for (const response of [
            await call(route, { headers: { origin } }),
            await call(route, { as: service.client, headers: { origin } }),
          ]) {
            expect(response.headers.get('access-control-allow-origin')).toBe(origin);
            expect(response.headers.get('access-control-allow-credentials')).toBe('true');
            expect(response.headers.get('vary')).toContain('Origin');
            const exposed = response.headers.get('access-control-expose-headers')?.split(/,\s*/);
            expect(exposed).toEqual(expect.arrayContaining(EXPOSED));
          }
        }
      },
    );

    it('lets no other origin read anything', async () => {
      const origins = [
        'https://evil.example',
        'http://app.example.com',
        'https://app.example.com.evil.example',
        'null',
      ];
      for (const origin of origins) {
        const response = await tenant.get('/orders', { origin });
        expect(response.headers.get('access-control-allow-origin')).toBeNull();
        expect(response.headers.get('vary')).toContain('Origin');
        const preflight = await tenant.request('OPTIONS', '/orders', {
          headers: { origin, 'access-control-request-method': 'POST' },
        });
        expect(preflight.headers.get('access-control-allow-origin')).toBeNull();
      }
    });

    it.each(routesWhere())('%s: responds to the preflight without a credential', async (_, route) => {
      const asked = 'authorization,content-type,idempotency-key,if-match,if-none-match,x-request-id';
      const response = await call(route, {
        as: service.client,
        method: 'OPTIONS',
        body: undefined,
        headers: {
          origin: 'https://app.example.com',
          'access-control-request-method': route.method,
          'access-control-request-headers': asked,
        },
      });
      expect([response.status, response.text]).toEqual([204, '']);
      expect(response.headers.get('access-control-allow-origin')).toBe('https://app.example.com');
      expect(response.headers.get('access-control-allow-methods')?.split(', ')).toContain(route.method);
      const allowed = response.headers.get('access-control-allow-headers')?.toLowerCase().split(/,\s*/);
      expect(allowed).toEqual(expect.arrayContaining(asked.split(',')));
    });

    it('has CORS headers on refusals that come before the route', async () => {
      const headers = { origin: 'https://app.example.com' };
      const responses = await Promise.all([
        tenant.get('/nothing', headers),
        tenant.get('/orders', { ...headers, accept: 'text/html' }),
        tenant.request('DELETE', '/orders', { headers }),
        tenant.request('POST', '/orders', { body: '{', headers }),
        tenant.request('POST', '/orders', { body: 'x', headers: { ...headers, 'content-type': 'text/plain' } }),
        tenant.request('POST', '/orders', { body: `"${'x'.repeat(1024 * 1024)}"`, headers }),
      ]);
      expect(responses.map((response) => response.status)).toEqual([404, 406, 405, 400, 415, 413]);
      for (const reply of responses) {
        expect(reply.headers.get('access-control-allow-origin')).toBe('https://app.example.com');
        expect(reply.headers.get('access-control-expose-headers')).toContain('X-Request-Id');
      }
    });
  });

  describe('entity tags', () => {
    it('has one strong tag for a version, wherever a response has the order alone', async () => {
      const made = await tenant.post('/orders', orderInput());
      const path = `/orders/${made.body.id}`;
      const got = await tenant.get(path);
      expect(made.headers.get('etag')).toMatch(/^"[\x21\x23-\x7e]+"$/);
      expect(got.headers.get('etag')).toBe(made.headers.get('etag'));
      const patched = await tenant.patch(path, { notes: 'x' });
      expect(patched.headers.get('etag')).not.toBe(made.headers.get('etag'));
      expect((await tenant.get(path)).headers.get('etag')).toBe(patched.headers.get('etag'));
      const moved = await tenant.patch(`${path}/status`, { status: 'confirmed' });
      expect((await tenant.get(path)).headers.get('etag')).toBe(moved.headers.get('etag'));
      expect(new Set([made, patched, moved].map((response) => response.headers.get('etag'))).size).toBe(3);
    });

    it('responds with 304 without a body where If-None-Match names the version', async () => {
      const etag = (await tenant.get(`/orders/${orderId}`)).headers.get('etag') as string;
      for (const value of [etag, `W/${etag}`, '*', `"other", ${etag}`, `"a",W/"b",${etag},"c"`, ` ${etag} `]) {
        for (const method of ['GET', 'HEAD']) {
          const response = await tenant.request(method, `/orders/${orderId}`, { headers: { 'if-none-match': value } });
          expect([value, response.status, response.text]).toEqual([value, 304, '']);
          expect(response.headers.get('etag')).toBe(etag);
          expect(response.headers.get('x-request-id')).toBeTruthy();
        }
      }
      for (const value of ['"other"', '"*"', 'W/"other"', '"a,*,b"']) {
        const reply = await tenant.get(`/orders/${orderId}`, { 'if-none-match': value });
        expect([value, reply.status]).toEqual([value, 200]);
      }
      for (const value of [etag.replaceAll('"', ''), '', `'${etag}'`]) {
        expectProblem(await tenant.get(`/orders/${orderId}`, { 'if-none-match': value }), 'malformed_request');
      }
      await tenant.patch(`/orders/${orderId}`, { notes: 'new' });
      expect((await tenant.get(`/orders/${orderId}`, { 'if-none-match': etag })).status).toBe(200);
      expect((await stranger.get(`/orders/${orderId}`, { 'if-none-match': '*' })).status).toBe(404);
    });

    it.each(routesWhere((route) => route.method === 'PATCH'))(
      '%s: 412 where If-Match does not name the version',
      async (_, route) => {
        const etag = (await tenant.get(`/orders/${orderId}`)).headers.get('etag') as string;
        for (const value of ['"other"', '"*"', '"a", "b"', '"a,*,b"']) {
          expectProblem(await call(route, { headers: { 'if-match': value } }), 'version_conflict');
        }
        for (const value of [etag.replaceAll('"', ''), '']) {
          expectProblem(await call(route, { headers: { 'if-match': value } }), 'malformed_request');
        }
        expect((await tenant.get(`/orders/${orderId}`)).body.version).toBe(1);
        for (const value of [etag, `W/${etag}`, '*', `"other", ${etag}`, `"a",${etag}`]) {
          orderId = (await tenant.createOrder()).id;
          expect([value, (await call(route, { headers: { 'if-match': value } })).status]).toEqual([value, 200]);
        }
      },
    );

    it('checks If-Match before it looks whether there is anything to change', async () => {
      expectProblem(await tenant.patch(`/orders/${orderId}`, {}, { 'if-match': '"other"' }), 'version_conflict');
      const wrong = { status: 'completed' };
      expectProblem(
        await tenant.patch(`/orders/${orderId}/status`, wrong, { 'if-match': '"other"' }),
        'version_conflict',
      );
      expectProblem(
        await tenant.patch(`/orders/${orderId}/status`, wrong, { 'if-match': '*' }),
        'business_rule_violation',
      );
    });
  });

  it('is one that the OpenAPI document has too', async () => {
    const { paths } = (await service.client.get('/openapi.json')).body as { paths: Record<string, object> };
    const documented = Object.entries(paths)
      .filter(([path]) => path.startsWith('/api/v1/orders'))
      .flatMap(([path, methods]) =>
        Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.replace('/api/v1', '')}`),
      );
    const known = ORDER_ROUTES.map((route) => `${route.method} ${route.route}`);
    expect(documented.filter((route) => /^(GET|POST|PATCH|PUT|DELETE) /.test(route)).sort()).toEqual(known.sort());
  });
});

async function untilTrue(check: () => boolean): Promise<void> {
  for (let i = 0; i < 200 && !check(); i++) await new Promise((resolve) => setTimeout(resolve, 10));
  expect(check()).toBe(true);
}
