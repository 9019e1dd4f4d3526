import { type ApiClient, orderInput } from '../../../harness/client';
import { expectProblem } from '../../../harness/problems';
import { rawRequest } from '../../../harness/raw-http';
import { startService, type TestService } from '../../../harness/service';
import { operationsOf, type OpenApiDocument } from '../../../harness/openapi';
import { makeEndpoint } from '../../../harness/webhooks';

describe('media types', () => {
  let service: TestService;
  let tenant: ApiClient;

  beforeAll(async () => {
    service = await startService();
    tenant = await service.tenant();
  });
  afterAll(() => service.stop());

  describe('Accept', () => {
    it('refuses nothing where success has no body', async () => {
      const { body } = await service.client.get('/openapi.json');
      const empty = operationsOf(body as OpenApiDocument).filter(({ responses }) =>
        Object.keys(responses)
          .filter((status) => status.startsWith('2'))
          .every((status) => status === '204'),
      );
      expect(empty.length).toBeGreaterThan(2);
      for (const { method, path, name } of empty) {
        for (const accept of ['text/html', 'application/problem+json', '*/*;q=0']) {
          const at = path.replace('/api/v1', '').replace(/\{\w+\}/, '0198c0de-7a11-7000-8000-000000000001');
          const response = await tenant.request(method, at, { headers: { accept } });
          expect([name, accept, response.status]).not.toEqual([name, accept, 406]);
        }
      }
    });

    it('takes what Swagger UI sends to sign out and to remove an endpoint', async () => {
      const other = await service.tenant();
      const endpoint = (await makeEndpoint(other)) as { id: string };
      const accept = { accept: 'application/problem+json' };
      expect((await other.delete(`/webhooks/endpoints/${endpoint.id}`, accept)).status).toBe(204);
      const { refresh_token } = other.session as { refresh_token: string };
      expect((await service.client.post('/auth/logout', { refresh_token }, accept)).status).toBe(204);
    });

    it('never refuses problems, which any route may return', async () => {
      for (const accept of ['application/problem+json', 'text/html, application/problem+json;q=0.1']) {
        const response = await tenant.get('/orders', { accept });
        expect([response.status, response.headers.get('content-type')]).toEqual([
          200,
          'application/json; charset=utf-8',
        ]);
        expect((await tenant.get('/orders/export?format=csv', { accept })).status).toBe(200);
      }
      for (const accept of ['application/problem+json;q=0', 'application/json;q=0, */*']) {
        expectProblem(await tenant.get('/orders', { accept }), 'not_acceptable');
      }
    });

    it.each([
      ['', undefined, 'ndjson'],
      ['', '*/*', 'ndjson'],
      ['', 'text/csv', 'csv'],
      ['', 'text/*', 'csv'],
      ['', 'application/json', 'ndjson'],
      ['', 'application/x-ndjson', 'ndjson'],
      ['', 'text/csv;q=1, application/x-ndjson;q=0', 'csv'],
      ['', 'text/csv;q=0.5, application/x-ndjson;q=0.9', 'ndjson'],
      ['', 'text/csv;q=0.9, application/x-ndjson;q=0.5', 'csv'],
      ['', 'application/x-ndjson;q=0, application/json;q=0, */*', 'csv'],
      ['?format=csv', '*/*', 'csv'],
      ['?format=csv', 'text/csv;q=0.1, application/x-ndjson', 'csv'],
      ['?format=ndjson', 'text/csv, application/json;q=0.1', 'ndjson'],
    ])('an export%s with Accept: %s is %s', async (query, accept, format) => {
      const headers = accept === undefined ? undefined : { accept };
      for (const method of ['GET', 'HEAD']) {
        const response = await tenant.request(method, `/orders/export${query}`, { headers });
        expect([response.status, response.headers.get('content-disposition')]).toEqual([
          200,
          `attachment; filename="orders.${format}"`,
        ]);
      }
    });

    it.each([
      ['?format=csv', 'application/x-ndjson'],
      ['?format=ndjson', 'text/csv'],
      ['?format=csv', 'text/csv;q=0, */*'],
      ['', 'text/html'],
      ['', 'text/csv;q=0'],
    ])('an export%s with Accept: %s is refused', async (query, accept) => {
      expectProblem(await tenant.get(`/orders/export${query}`, { accept }), 'not_acceptable');
    });
  });

  describe('Content-Type', () => {
    const send = (method: string, path: string, lines: string[], body = '') =>
      rawRequest(
        service.url,
        [
          `${method} /api/v1${path} HTTP/1.1`,
          'Host: x',
          `Authorization: Bearer ${tenant.session?.access_token}`,
          ...lines,
        ].join('\r\n'),
        body,
      );

    it('means nothing where there is no body', async () => {
      const { id } = (await makeEndpoint(tenant)) as { id: string };
      const path = `/webhooks/endpoints/${id}`;
      const form = 'Content-Type: application/x-www-form-urlencoded';
      for (const type of [
        form,
        'Content-Type: text/plain',
        'Content-Type: nonsense',
        'Content-Type: application/json',
      ]) {
        expect([type, (await send('POST', `${path}/test`, [type, 'Content-Length: 0']))?.status]).toEqual([type, 202]);
      }
      const chunked = await send('POST', `${path}/test`, [form, 'Transfer-Encoding: chunked'], '0\r\n\r\n');
      expect(chunked?.status).toBe(202);
      const missing = await send('POST', '/orders', [form, 'Content-Length: 0']);
      expect([missing?.status, missing?.body.detail]).toEqual([400, 'A JSON body is required.']);
      expect((await send('DELETE', path, [form, 'Content-Length: 0']))?.status).toBe(204);
    });

    it('is refused with the types that are taken', async () => {
      const { id } = (await tenant.createOrder()) as { id: string };
      const headers = { 'content-type': 'text/plain' };
      const post = await tenant.post('/orders', 'x', headers);
      expectProblem(post, 'unsupported_media_type');
      expect([post.headers.get('accept'), post.headers.get('accept-patch')]).toEqual(['application/json', null]);
      const patch = await tenant.patch(`/orders/${id}`, 'x', headers);
      expectProblem(patch, 'unsupported_media_type');
      const types = 'application/json, application/merge-patch+json';
      expect([patch.headers.get('accept'), patch.headers.get('accept-patch')]).toEqual([types, types]);
      const packed = await tenant.post('/orders', '{}', { 'content-encoding': 'gzip' });
      expectProblem(packed, 'unsupported_media_type');
      expect(packed.headers.get('accept-encoding')).toBe('identity');
    });

    it('may be a merge patch on a PATCH, and nowhere else', async () => {
      const { id } = (await tenant.createOrder()) as { id: string };
      for (const type of ['application/merge-patch+json', 'Application/Merge-Patch+JSON; charset=utf-8']) {
        const response = await tenant.patch(`/orders/${id}`, { notes: type }, { 'content-type': type });
        expect([response.status, response.body.notes]).toEqual([200, type]);
        expectProblem(await tenant.post('/orders', orderInput(), { 'content-type': type }), 'unsupported_media_type');
      }
    });

    it.each([
      ['application/json; charset=utf-8', 201],
      ['application/json; charset="UTF-8"', 201],
      ['application/json; charset=utf-8; charset=utf-8', 415],
      ['application/json; charset=utf-8; charset=utf-16', 415],
      ['application/json; charset=latin1', 415],
    ])('%s: %i', async (type, status) => {
      expect((await tenant.post('/orders', orderInput(), { 'content-type': type })).status).toBe(status);
    });

    it.each(['identity', 'Identity', 'IDENTITY'])('takes Content-Encoding: %s', async (encoding) => {
      expect((await tenant.post('/orders', orderInput(), { 'content-encoding': encoding })).status).toBe(201);
    });
  });

  it('lets no cache keep what is below the base path, refused or not', async () => {
    const responses = await Promise.all([
      tenant.get('/orders'),
      tenant.get('/auth/me'),
      tenant.get('/orders/export'),
      tenant.get('/orders/none'),
      tenant.get('/nowhere'),
      tenant.post('/orders', '{'),
      tenant.request('DELETE', '/orders'),
      service.client.get('/orders'),
      tenant.get('/orders/%zz'),
    ]);
    expect(responses.map((response) => response.headers.get('cache-control'))).toEqual(responses.map(() => 'no-store'));
  });

  it('lets a page’s tracing and libraries send their headers', async () => {
    const preflight = await tenant.request('OPTIONS', '/orders', {
      headers: { origin: 'http://localhost:3000', 'access-control-request-method': 'GET' },
    });
    const allowed = (preflight.headers.get('access-control-allow-headers') ?? '').toLowerCase().split(/,\s*/);
    expect(allowed).toEqual(expect.arrayContaining(['traceparent', 'tracestate', 'baggage', 'x-requested-with']));
  });

  describe('the files of the page', () => {
    const FILE = '/docs/swagger-ui.css';

    it('are refused in terms of HTTP, and not as faults of ours', async () => {
      for (const method of ['GET', 'HEAD']) {
        const ask = (headers: Record<string, string>) => service.client.request(method, FILE, { headers });
        const range = await ask({ range: 'bytes=99999999-' });
        expect([range.status, range.headers.get('content-range')]).toEqual([
          416,
          expect.stringMatching(/^bytes \*\/\d+$/),
        ]);
        expect((await ask({ 'if-match': '"zz"' })).status).toBe(412);
        expect((await ask({ 'if-unmodified-since': 'Fri, 01 Jan 1999 00:00:00 GMT' })).status).toBe(412);
      }
      expect(service.logLines.filter((line) => JSON.parse(line).level >= 50)).toEqual([]);
    });

    it('come in parts, and not again where they are known', async () => {
      const part = await service.client.get(FILE, { range: 'bytes=0-9' });
      expect([part.status, part.text.length, part.headers.get('content-range')]).toEqual([
        206,
        10,
        expect.stringMatching(/^bytes 0-9\/\d+$/),
      ]);
      const etag = (await service.client.get(FILE)).headers.get('etag') as string;
      const known = await rawRequest(service.url, `GET ${FILE} HTTP/1.1\r\nHost: x\r\nIf-None-Match: ${etag}`);
      expect(known?.status).toBe(304);
    });
  });
});
