import { createHash, randomUUID } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { setTimeout as delay } from 'node:timers/promises';
import { type ApiClient, type ApiResponse, orderInput } from '../../../harness/client';
import { expectProblem } from '../../../harness/problems';
import { RawConnection, rawRequest } from '../../../harness/raw-http';
import { startService, type TestService } from '../../../harness/service';

const MIB = 1024 * 1024;

describe('malformed HTTP', () => {
  let service: TestService;
  let tenant: ApiClient;
  let authorization: string;

  beforeAll(async () => {
    service = await startService();
    tenant = await service.tenant();
    authorization = `Authorization: Bearer ${tenant.session?.access_token}`;
  });
  afterAll(() => service.stop());
  afterEach(async () => {
    expect((await service.client.get('/health')).status).toBe(200);
  });

  const head = (method: string, path: string, ...lines: string[]) =>
    [`${method} /api/v1${path} HTTP/1.1`, 'Host: localhost', authorization, ...lines].join('\r\n');
  const post = (path: string, ...lines: string[]) => head('POST', path, 'Content-Type: application/json', ...lines);
  const countOrders = async () =>
    Number((await service.database.sql<{ n: string }>('select count(*) as n from orders'))[0]?.n);

  /** A problem that Node made us write before there was a request. */
  function expectBareProblem(response: ApiResponse | undefined): void {
    expect(response?.status).toBe(400);
    expect(response?.headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
    expect(response?.headers.get('x-content-type-options')).toBe('nosniff');
    expect(response?.body).toMatchObject({ type: 'malformed_request', title: 'Malformed Request', status: 400 });
    expect(response?.body.request_id).toBe(response?.headers.get('x-request-id'));
  }

  describe('garbage', () => {
    it.each([
      ['no HTTP at all', 'GARBAGE'],
      ['binary', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
      ['a method that is none', 'FOO /health HTTP/1.1\r\nHost: x'],
      ['a space in the address', 'GET /api/v1/orders /x HTTP/1.1\r\nHost: x'],
      ['bytes above ASCII in the address', 'GET /api/v1/orders/\xe9\xff HTTP/1.1\r\nHost: x'],
      ['NUL in a header', 'GET /health HTTP/1.1\r\nHost: x\r\nX-A: a\0b'],
      ['a header without a colon', 'GET /health HTTP/1.1\r\nHost: x\r\nnonsense'],
      ['a Content-Length that is none', 'POST /api/v1/orders HTTP/1.1\r\nHost: x\r\nContent-Length: ten'],
      ['two Content-Lengths', 'POST /api/v1/orders HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2'],
      ['a negative Content-Length', 'POST /api/v1/orders HTTP/1.1\r\nHost: x\r\nContent-Length: -1'],
      [
        'Content-Length with chunks',
        'POST /api/v1/orders HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0',
      ],
      ['an obsolete line fold', 'GET /health HTTP/1.1\r\nHost: x\r\nX-A: a\r\n b'],
    ])('responds with 400 with a problem for %s', async (_, request) => {
      expectBareProblem(await rawRequest(service.url, request));
    });

    it('responds with 400 for a chunk that is none, and makes no order', async () => {
      const before = await countOrders();
      const response = await rawRequest(service.url, post('/orders', 'Transfer-Encoding: chunked'), 'zz\r\nabc\r\n');
      expect(response?.status).toBe(400);
      expect(response?.headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
      expect(await countOrders()).toBe(before);
    });

    it('responds with 400 without Host, and serves HTTP/1.0, which has none', async () => {
      const response = await rawRequest(service.url, 'GET /health HTTP/1.1');
      expectProblem(response as ApiResponse, 'malformed_request');
      expect((await rawRequest(service.url, 'GET /health HTTP/1.0'))?.status).toBe(200);
    });

    it('responds to unknown methods, expectations and forms of the address', async () => {
      const ask = async (request: string) => (await rawRequest(service.url, request)) as ApiResponse;
      expectProblem(await ask('PROPFIND /api/v1/orders HTTP/1.1\r\nHost: x'), 'method_not_allowed');
      expectProblem(await ask('TRACE /api/v1/orders HTTP/1.1\r\nHost: x'), 'method_not_allowed');
      expect((await ask('GET /health HTTP/1.1\r\nHost: x\r\nExpect: the-unexpected')).status).toBe(200);
      expect((await ask('GET http://elsewhere.example/health HTTP/1.1\r\nHost: x')).status).toBe(200);
      expect((await ask('GET /health HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket')).status).toBe(
        200,
      );
      const star = await ask('OPTIONS * HTTP/1.1\r\nHost: x');
      expect(star.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
    });

    it('survives a CONNECT, whatever comes of it', async () => {
      const connection = await RawConnection.open(service.url);
      connection.write('CONNECT localhost:1 HTTP/1.1\r\nHost: localhost:1\r\n\r\n');
      await connection.closed();
    });

    it('survives streams of random bytes', async () => {
      await Promise.all(
        Array.from({ length: 40 }, async (_, round) => {
          const connection = await RawConnection.open(service.url);
          let bytes = createHash('sha256').update(`round ${round}`).digest();
          for (let i = 0; i < 20; i++) {
            connection.write(bytes);
            bytes = createHash('sha256').update(bytes).digest();
          }
          connection.write('\r\n\r\n');
          await connection.closed();
        }),
      );
    });

    it('keeps serving a connection whose earlier request was refused, or announces that it closes it', async () => {
      const connection = await RawConnection.open(service.url);
      connection.write(`${post('/orders', 'Content-Length: 2')}\r\n\r\n{}`);
      expectProblem((await connection.response()) as ApiResponse, 'validation_error');
      connection.write(`${head('GET', '/orders?limit=1')}\r\n\r\n`);
      expect((await connection.response())?.status).toBe(200);
      connection.write(`${post('/orders', 'Content-Length: 5')}\r\n\r\n{"a":`);
      const response = (await connection.response()) as ApiResponse;
      expectProblem(response, 'malformed_request');
      // It was read whole, so that the connection can be used again.
      expect(response.headers.get('connection')).not.toBe('close');
      connection.write(`${head('GET', '/orders?limit=1')}\r\n\r\n`);
      expect((await connection.response())?.status).toBe(200);
      connection.close();
    });
  });

  describe('pipelining', () => {
    it('responds in order, once for each request', async () => {
      const body = JSON.stringify(orderInput());
      const connection = await RawConnection.open(service.url);
      const create = `${post('/orders', `Content-Length: ${body.length}`)}\r\n\r\n${body}`;
      connection.write(
        [create, `${head('GET', '/orders/none')}\r\n\r\n`, create, 'GET /health HTTP/1.1\r\nHost: x\r\n\r\n'].join(''),
      );
      const statuses = [];
      for (let i = 0; i < 4; i++) statuses.push((await connection.response())?.status);
      connection.close();
      expect(statuses).toEqual([201, 404, 201, 200]);
    });

    it('responds to a hundred requests written at once', async () => {
      const connection = await RawConnection.open(service.url);
      connection.write(`${head('GET', '/orders?limit=1')}\r\n\r\n`.repeat(100));
      const statuses = [];
      for (let i = 0; i < 100; i++) statuses.push((await connection.response())?.status);
      connection.close();
      expect(statuses).toEqual(new Array(100).fill(200));
    });

    it('is not confused by a request hidden in a body', async () => {
      const before = await countOrders();
      const hidden = `${post('/orders', 'Content-Length: 2')}\r\n\r\n{}`;
      const response = await rawRequest(service.url, post('/orders', `Content-Length: ${hidden.length}`), hidden);
      expectProblem(response as ApiResponse, 'malformed_request');
      expect(await countOrders()).toBe(before);
    });
  });

  describe('sizes', () => {
    /** A valid order of exactly so many bytes: JSON may be padded with spaces. */
    function padded(body: object, size: number): string {
      const json = JSON.stringify(body);
      return json + ' '.repeat(size - Buffer.byteLength(json));
    }
    const chunked = (body: string, chunk = 65_536) => {
      const parts = [];
      for (let at = 0; at < body.length; at += chunk) {
        const part = body.slice(at, at + chunk);
        parts.push(`${part.length.toString(16)}\r\n${part}\r\n`);
      }
      return `${parts.join('')}0\r\n\r\n`;
    };

    it.each([
      ['/orders', 'POST', MIB, () => orderInput(), 201],
      ['/orders/batch', 'POST', 8 * MIB, () => ({ orders: [orderInput()] }), 201],
    ] as const)(
      '%s takes a body of exactly the limit and 413 of a byte more',
      async (path, method, limit, body, status) => {
        const before = await countOrders();
        const most = padded(body(), limit);
        expect((await tenant.request(method, path, { body: most })).status).toBe(status);
        const response = await rawRequest(service.url, post(path, `Content-Length: ${limit + 1}`), `${most} `);
        expectProblem(response as ApiResponse, 'payload_too_large');
        expect(await countOrders()).toBe(before + 1);
      },
    );

    it.each([
      ['/orders', MIB, () => orderInput()],
      ['/orders/batch', 8 * MIB, () => ({ orders: [orderInput()] })],
    ] as const)('%s has the same limit for chunks without Content-Length', async (path, limit, body) => {
      const before = await countOrders();
      const most = padded(body(), limit);
      const taken = await rawRequest(service.url, post(path, 'Transfer-Encoding: chunked'), chunked(most));
      expect(taken?.status).toBe(201);
      const refused = await rawRequest(service.url, post(path, 'Transfer-Encoding: chunked'), chunked(`${most} `));
      expectProblem(refused as ApiResponse, 'payload_too_large');
      expect(await countOrders()).toBe(before + 1);
    });

    it('has the limit of 1 MiB on changes too', async () => {
      const { id } = await tenant.createOrder();
      for (const path of [`/orders/${id}`, `/orders/${id}/status`]) {
        const response = await rawRequest(
          service.url,
          head('PATCH', path, 'Content-Type: application/json', `Content-Length: ${MIB + 1}`),
          padded({ notes: 'x' }, MIB + 1),
        );
        expectProblem(response as ApiResponse, 'payload_too_large');
      }
      expect((await tenant.patch(`/orders/${id}`, padded({ notes: 'x' }, MIB))).status).toBe(200);
    });

    it('refuses by Content-Length alone, without waiting for the body', async () => {
      const connection = await RawConnection.open(service.url);
      connection.write(`${post('/orders', `Content-Length: ${1024 * MIB}`)}\r\n\r\n{`);
      expectProblem((await connection.response()) as ApiResponse, 'payload_too_large');
      connection.close();
    });

    it('stops reading endless chunks', async () => {
      const connection = await RawConnection.open(service.url);
      const chunk = chunked('x'.repeat(65_536)).replace('0\r\n\r\n', '');
      connection.write(`${post('/orders', 'Transfer-Encoding: chunked')}\r\n\r\n`);
      for (let i = 0; i < 64; i++) connection.write(chunk);
      expectProblem((await connection.response()) as ApiResponse, 'payload_too_large');
      connection.close();
    });

    it('does not unpack a compressed body', async () => {
      const bomb = gzipSync(Buffer.alloc(64 * MIB, ' '));
      const lines = ['Content-Encoding: gzip', `Content-Length: ${bomb.length}`];
      const response = await rawRequest(service.url, post('/orders', ...lines), bomb);
      expectProblem(response as ApiResponse, 'unsupported_media_type');
    });

    it('takes a long query and refuses it like a short one', async () => {
      const query = Array.from({ length: 1_500 }, (_, i) => `a${i}=1`).join('&');
      const problem = expectProblem(await tenant.get(`/orders?${query}`), 'validation_error');
      expect(problem.errors).toHaveLength(100);
      const long = expectProblem(await tenant.get(`/orders?${'b'.repeat(10_000)}=1`), 'validation_error');
      expect(long.errors?.[0]?.field.length).toBeLessThan(250);
      expectProblem(await tenant.get(`/orders?cursor=${'A'.repeat(10_000)}`), 'invalid_cursor');
    });

    it('takes many headers', async () => {
      const lines = Array.from({ length: 500 }, (_, i) => `X-${i}: 1`);
      expect((await rawRequest(service.url, head('GET', '/orders?limit=1', ...lines)))?.status).toBe(200);
    });
  });

  describe('slowness', () => {
    it('takes a body that comes byte by byte', async () => {
      const body = JSON.stringify(orderInput());
      const connection = await RawConnection.open(service.url);
      connection.write(`${post('/orders', `Content-Length: ${body.length}`)}\r\n\r\n`);
      for (const byte of body) {
        connection.write(byte);
        await delay(1);
      }
      expect((await connection.response())?.status).toBe(201);
      connection.close();
    });

    it('makes nothing of a body that was never finished', async () => {
      const before = await countOrders();
      const body = JSON.stringify(orderInput());
      for (const framing of [`Content-Length: ${body.length + 1}`, 'Transfer-Encoding: chunked']) {
        const connection = await RawConnection.open(service.url);
        const sent = framing.startsWith('T') ? `${body.length.toString(16)}\r\n${body}\r\n` : body;
        connection.write(`${post('/orders', framing)}\r\n\r\n${sent}`);
        await delay(30);
        connection.close();
      }
      await delay(50);
      expect(await countOrders()).toBe(before);
    });

    it('waits for the body after Expect: 100-continue', async () => {
      const body = JSON.stringify(orderInput());
      const connection = await RawConnection.open(service.url);
      connection.write(`${post('/orders', `Content-Length: ${body.length}`, 'Expect: 100-continue')}\r\n\r\n`);
      await delay(20);
      connection.write(body);
      expect((await connection.response())?.status).toBe(201);
      connection.close();
    });

    it('gives up on a head and a body that do not come', () => {
      const server = service.app.getHttpServer() as { requestTimeout: number; headersTimeout: number };
      expect(server.requestTimeout).toBeGreaterThan(0);
      expect(server.requestTimeout).toBeLessThanOrEqual(60_000);
      expect(server.headersTimeout).toBeGreaterThan(0);
    });

    it('makes an order or none for a client that leaves at once, and never half of one', async () => {
      const notes = `left ${randomUUID()}`;
      const body = JSON.stringify({ ...orderInput(), notes });
      for (let i = 0; i < 20; i++) {
        const connection = await RawConnection.open(service.url);
        connection.write(`${post('/orders', `Content-Length: ${body.length}`)}\r\n\r\n${body}`);
        if (i % 2) await delay(i % 5);
        connection.close();
      }
      await delay(200);
      const rows = await service.database.sql<{ items: string; lines: string }>(
        `select (select count(*) from order_items i where i.order_id = o.id) as items,
                (select count(*) from order_history h where h.order_id = o.id) as lines
           from orders o where notes = $1`,
        [notes],
      );
      expect(rows.length).toBeLessThanOrEqual(20);
      for (const row of rows) expect(row).toEqual({ items: '2', lines: '1' });
    });
  });
});
