import { type ClientHttp2Session, connect } from 'node:http2';
import { gunzipSync } from 'node:zlib';
import { type ApiClient, orderInput } from '../../../harness/client';
import { type Nginx, startNginx } from '../../../harness/nginx';
import { startService, type TestService } from '../../../harness/service';

const PREFIX = '/shop';

interface Reply {
  status: number;
  headers: Record<string, string | undefined>;
  text: string;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- a test reads whatever came
  body: any;
}

describe('behind nginx, below a path, compressed and over HTTP/2', () => {
  let service: TestService;
  let nginx: Nginx;
  let session: ClientHttp2Session;
  let tenant: ApiClient;

  beforeAll(async () => {
    service = await startService({ env: { PUBLIC_URL: `https://example.com${PREFIX}/`, TRUST_PROXY: '1' } });
    nginx = await startNginx(service.url, PREFIX);
    session = connect(new URL(nginx.url).origin);
    tenant = await service.tenant();
  });
  afterAll(async () => {
    session?.close();
    await nginx?.stop();
    await service?.stop();
  });

  /** A request over HTTP/2 that takes gzip, as browsers do. */
  function ask(method: string, path: string, options: { body?: unknown; headers?: Record<string, string> } = {}) {
    return new Promise<Reply>((resolve, reject) => {
      const stream = session.request({
        ':method': method,
        ':path': path,
        'accept-encoding': 'gzip',
        authorization: `Bearer ${tenant.session?.access_token}`,
        ...(options.body === undefined ? {} : { 'content-type': 'application/json' }),
        ...options.headers,
      });
      const chunks: Buffer[] = [];
      let headers: Record<string, string | undefined> = {};
      stream.on('response', (received) => (headers = received as Record<string, string | undefined>));
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('error', reject);
      stream.on('end', () => {
        const raw = Buffer.concat(chunks);
        const text = (headers['content-encoding'] === 'gzip' ? gunzipSync(raw) : raw).toString();
        let body: unknown;
        try {
          body = JSON.parse(text);
        } catch {
          body = undefined;
        }
        resolve({ status: Number(headers[':status']), headers, text, body });
      });
      stream.end(options.body === undefined ? undefined : JSON.stringify(options.body));
    });
  }
  const api = (path: string) => `${PREFIX}/api/v1${path}`;

  it('names the new resource where callers find it, also when the response is replayed', async () => {
    const headers = { 'idempotency-key': 'behind nginx' };
    const body = orderInput();
    for (const replayed of [undefined, 'true']) {
      const created = await ask('POST', api('/orders'), { body, headers });
      expect([created.status, created.headers['idempotency-replayed']]).toEqual([201, replayed]);
      expect(created.headers.location).toBe(api(`/orders/${created.body.id}`));
      expect((await ask('GET', created.headers.location as string)).status).toBe(200);
    }
  });

  it('changes what was read compressed: the weak form of a tag is the tag', async () => {
    const { id } = (await tenant.createOrder()) as { id: string };
    const read = await ask('GET', api(`/orders/${id}`));
    expect([read.headers['content-encoding'], read.headers.etag]).toEqual(['gzip', 'W/"1"']);
    const tag = read.headers.etag as string;
    expect((await ask('GET', api(`/orders/${id}`), { headers: { 'if-none-match': tag } })).status).toBe(304);
    const changed = await ask('PATCH', api(`/orders/${id}`), { body: { notes: 'n' }, headers: { 'if-match': tag } });
    expect([changed.status, changed.body.version]).toEqual([200, 2]);
    const late = await ask('PATCH', api(`/orders/${id}`), { body: { notes: 'm' }, headers: { 'if-match': tag } });
    expect([late.status, late.body.type, late.body.instance]).toEqual([412, 'version_conflict', api(`/orders/${id}`)]);
  });

  it('links to the next page where callers find it, as far as the last', async () => {
    for (let i = 0; i < 5; i++) await tenant.createOrder();
    let path: string | undefined = api('/orders?limit=2');
    const seen: string[] = [];
    for (let pages = 0; path !== undefined && pages < 50; pages++) {
      const page: Reply = await ask('GET', path);
      expect(page.status).toBe(200);
      seen.push(...(page.body.data as { id: string }[]).map(({ id }) => id));
      path = /^<([^>]+)>; rel="next"$/.exec(page.headers.link ?? '')?.[1];
      if (path !== undefined) expect(path.startsWith(`${api('/orders')}?`)).toBe(true);
    }
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen.length).toBeGreaterThanOrEqual(5);
  });

  it('names the path that callers wrote in problems', async () => {
    for (const [method, path, status] of [
      ['GET', '/orders/none', 404],
      ['PUT', '/orders', 405],
      ['GET', '/nowhere', 404],
      ['GET', '/orders?limit=0', 422],
    ] as const) {
      const response = await ask(method, api(path));
      expect([response.status, response.body.instance]).toEqual([status, api(path.split('?')[0] as string)]);
    }
  });

  it('serves the page, its files and a document whose server is the public address', async () => {
    const page = await ask('GET', `${PREFIX}/docs`);
    expect(page.status).toBe(200);
    expect(page.headers['content-security-policy']).toContain("connect-src 'self' https://example.com;");
    for (const [, file] of page.text.matchAll(/(?:src|href)="([^"]+)"/g)) {
      const { pathname } = new URL(file as string, `http://x${PREFIX}/docs`);
      expect([pathname, (await ask('GET', pathname)).status]).toEqual([pathname, 200]);
    }
    const document = await ask('GET', `${PREFIX}/openapi.json`);
    expect(document.body.servers).toEqual([expect.objectContaining({ url: `https://example.com${PREFIX}` })]);
  });

  it('links from its root to where callers find things', async () => {
    const root = await ask('GET', `${PREFIX}/`, { headers: { accept: 'application/json' } });
    expect(root.body).toMatchObject({ docs: '/shop/docs', openapi: '/shop/openapi.json', health: '/shop/health' });
    for (const path of ['/shop/docs', '/shop/openapi.json', '/shop/health']) {
      expect((await ask('GET', path)).status).toBe(200);
    }
  });

  it('lets the client read the refusal of a large body', async () => {
    const response = await ask('POST', api('/orders'), { body: { notes: 'x'.repeat(1024 * 1024) } });
    expect([response.status, response.body.type]).toEqual([413, 'payload_too_large']);
  });
});

describe('GET /', () => {
  it('is a page, or JSON where Accept prefers it', async () => {
    const service = await startService();
    try {
      const page = await service.client.get('/', { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' });
      expect([page.status, page.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
      for (const path of ['/docs', '/openapi.json', '/health']) expect(page.text).toContain(`href="${path}"`);
      const json = await service.client.get('/', { accept: 'application/json' });
      expect(json.body).toEqual({
        name: 'Orders SaaS API',
        docs: '/docs',
        openapi: '/openapi.json',
        health: '/health',
      });
      expect(json.headers.get('vary')).toContain('Accept');
    } finally {
      await service.stop();
    }
  });

  it('names no documents where they are turned off', async () => {
    const service = await startService({ env: { DOCS_ENABLED: 'false' } });
    try {
      const json = await service.client.get('/', { accept: 'application/json' });
      expect(json.body).toEqual({ name: 'Orders SaaS API', health: '/health' });
    } finally {
      await service.stop();
    }
  });
});
