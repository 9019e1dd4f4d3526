import { type ApiClient, type ApiResponse } from '../../../harness/client';
import { expectProblem, type ProblemSlug } from '../../../harness/problems';
import { rawRequest } from '../../../harness/raw-http';
import { startService, type TestService } from '../../../harness/service';

/** A URI reference of RFC 3986 without an authority, by its characters. */
const URI_PATH = /^\/(?!\/)(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2})*$/;

describe('one address in many forms', () => {
  let service: TestService;
  let tenant: ApiClient;
  let authorization: string;

  beforeAll(async () => {
    service = await startService({ env: { RATE_LIMIT_TENANT_PER_SECOND: '1000', RATE_LIMIT_TENANT_BURST: '1000' } });
    tenant = await service.tenant();
    authorization = `Authorization: Bearer ${tenant.session?.access_token}`;
    for (let i = 0; i < 3; i++) await tenant.createOrder();
  });
  afterAll(() => service.stop());

  const ask = async (method: string, target: string, ...lines: string[]) =>
    (await rawRequest(
      service.url,
      [`${method} ${target} HTTP/1.1`, 'Host: localhost', authorization, ...lines].join('\r\n'),
    )) as ApiResponse;

  const FORMS: [string, (path: string) => string][] = [
    ['as it is', (path) => path],
    ['percent-encoded', (path) => path.replace('api', '%61p%69')],
    ['percent-encoded in lower case', (path) => path.replace('orders', '%6f%72ders')],
    ['absolute', (path) => `http://localhost${path}`],
    ['absolute with another host and scheme', (path) => `HTTPS://elsewhere.example:8443${path}`],
    ['with a fragment', (path) => `${path}#f?x=/y`],
  ];

  it.each(FORMS)('%s: found, refused and described alike', async (_, form) => {
    const page = await ask('GET', form('/api/v1/orders?limit=1'));
    expect(page.status).toBe(200);
    expect(page.headers.get('link')).toMatch(/^<\/api\/v1\/orders\?limit=1&cursor=[\w-]+>; rel="next"$/);
    expect(page.headers.get('ratelimit')).toMatch(/^"tenant"/);
    const refused: [ApiResponse, ProblemSlug, string][] = [
      [await ask('PUT', form('/api/v1/orders')), 'method_not_allowed', '/api/v1/orders'],
      [await ask('GET', form('/api/v1/orders'), 'Accept: text/html'), 'not_acceptable', '/api/v1/orders'],
      [await ask('GET', form('/api/v1/orders?limit=0')), 'validation_error', '/api/v1/orders'],
      [await ask('GET', form('/api/v1/orders/none')), 'not_found', '/api/v1/orders/none'],
      [await ask('GET', form('/api/v1/orders/none/no')), 'not_found', '/api/v1/orders/none/no'],
    ];
    for (const [response, slug, instance] of refused) expect(expectProblem(response, slug).instance).toBe(instance);
    expect(refused[0]?.[0].headers.get('allow')).toBe('GET, HEAD, POST');
  });

  it('counts every form as the same route', async () => {
    for (const [, form] of FORMS) await ask('GET', form('/api/v1/orders'), 'X-Request-Id: forms');
    const lines = service.logLines.filter((line) => line.includes('"forms"')).map((line) => JSON.parse(line));
    expect(new Set(lines.map((line) => line.route))).toEqual(new Set(['/api/v1/orders']));
  });

  it.each([
    '/api/v1/orders/a|b',
    '/api/v1/orders/"<>{}\\^`',
    '/api/v1/orders/%zz',
    '/api/v1/orders/%',
    '/api/v1/orders/%e4%f6',
    "/api/v1/orders/a'b(c)!*;=@:",
    '//nowhere:x/y',
    'http://host',
    'http://host?x=1',
  ])('%s: the problem’s instance is a URI reference', async (target) => {
    const response = await ask('PATCH', target);
    expect(response.status).toBeGreaterThanOrEqual(400);
    expect(response.status).toBeLessThan(500);
    expect(response.body.instance).toMatch(URI_PATH);
  });

  it.each([
    ['GET', '/orders/batch', 'POST'],
    ['PATCH', '/orders/batch', 'POST'],
    ['DELETE', '/orders/batch', 'POST'],
    ['PATCH', '/orders/batch/', 'POST'],
    ['PATCH', '/orders/export', 'GET, HEAD'],
    ['POST', '/orders/export', 'GET, HEAD'],
    ['PATCH', '/%6frders/export', 'GET, HEAD'],
  ])('%s %s: 405, and not an order of that name', async (method, path, allow) => {
    const response = await ask(method, `/api/v1${path}`, 'Content-Type: application/json', 'Content-Length: 0');
    expect([response.status, response.headers.get('allow')]).toEqual([405, allow]);
  });

  it('is no order for a HEAD either', async () => {
    expect((await tenant.request('HEAD', '/orders/batch')).status).toBe(405);
  });

  it('has no such name where an id merely looks like one', async () => {
    expectProblem(await ask('GET', '/api/v1/orders/batches'), 'not_found');
    expectProblem(await ask('GET', '/api/v1/orders/Export'), 'not_found');
  });

  it('responds to OPTIONS for the server as a whole with 204', async () => {
    expect((await ask('OPTIONS', '*')).status).toBe(204);
    expect((await ask('GET', '*')).status).toBeGreaterThanOrEqual(400);
  });
});
