import { once } from 'node:events';
import type { Server } from 'node:http';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { type ApiClient, type ApiResponse, orderInput } from '../../../harness/client';
import { expectProblem, type ProblemSlug } from '../../../harness/problems';
import { RawConnection, rawRequest } from '../../../harness/raw-http';
import { startService, type TestService } from '../../../harness/service';
import { until } from '../../../harness/until';

const MIB = 1024 * 1024;

describe('connections', () => {
  let service: TestService;
  let tenant: ApiClient;
  let authorization: string;
  /** The server's side of each connection, in the order in which they were opened. */
  const sockets: Socket[] = [];

  beforeAll(async () => {
    service = await startService();
    tenant = await service.tenant();
    authorization = `Authorization: Bearer ${tenant.session?.access_token}`;
    (service.app.getHttpServer() as Server).on('connection', (socket: Socket) => sockets.push(socket));
  });
  afterAll(() => service.stop());

  const head = (method: string, path: string, ...lines: string[]) =>
    [`${method} /api/v1${path} HTTP/1.1`, 'Host: localhost', authorization, ...lines].join('\r\n') + '\r\n\r\n';
  const post = (path: string, ...lines: string[]) => head('POST', path, 'Content-Type: application/json', ...lines);
  const create = () => {
    const body = JSON.stringify(orderInput());
    return post('/orders', `Content-Length: ${body.length}`) + body;
  };

  /** Every byte that the server sends until it ends the connection. */
  async function allOf(data: string, later?: [ms: number, data: string]): Promise<string> {
    const socket = connect(Number(new URL(service.url).port), '127.0.0.1');
    const chunks: Buffer[] = [];
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('error', () => undefined);
    socket.write(Buffer.from(data, 'latin1'));
    if (later) {
      await delay(later[0]);
      socket.write(Buffer.from(later[1], 'latin1'));
    }
    await once(socket, 'end');
    socket.destroy();
    return Buffer.concat(chunks).toString('latin1');
  }
  const statusesIn = (text: string) => [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));

  describe('one response for each request', () => {
    it.each(['x\r\n', '\x00\x01\r\n\r\n', 'GET / HTTP/1.1 x\r\n\r\n'])(
      'responds to the order in front of %j, and ends the connection',
      async (garbage) => {
        expect(statusesIn(await allOf(create() + garbage))).toEqual([201]);
      },
    );

    it('responds to all requests before the garbage', async () => {
      expect(statusesIn(await allOf(`${create()}${create()}${head('GET', '/orders?limit=1')}x\r\n`))).toEqual([
        201, 201, 200,
      ]);
    });

    it('leaves a stream whole that garbage arrives behind', async () => {
      await Promise.all(Array.from({ length: 30 }, () => tenant.createOrder()));
      for (const wait of [0, 2, 10]) {
        const text = await allOf(head('GET', '/orders/export'), [wait, '\x00\x01\r\n\r\n']);
        // If the stream had ended before, the garbage is a request of its own.
        const [first = '', ...others] = text.split(/(?=HTTP\/1\.1 \d)/);
        expect(statusesIn(first)).toEqual([200]);
        expect(first.endsWith('\r\n0\r\n\r\n')).toBe(true);
        if (wait === 0) expect(others).toEqual([]);
      }
    });

    it('sends no second response when the rest of a refused body does not come', async () => {
      const server = service.app.getHttpServer() as Server;
      const before = server.requestTimeout;
      Object.assign(server, { requestTimeout: 400, headersTimeout: 300 });
      try {
        const unsigned = post('/orders', 'Content-Length: 50000').replace(`${authorization}\r\n`, '');
        expect(statusesIn(await allOf(`${unsigned}x`))).toEqual([401]);
      } finally {
        Object.assign(server, { requestTimeout: before, headersTimeout: 10_000 });
      }
    });

    it('responds to a request that closes the connection, whatever follows it', async () => {
      const closing = 'GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';
      for (const more of ['x', 'GET /health HTTP/1.1\r\nHost: x\r\n\r\n']) {
        expect(statusesIn(await allOf(closing + more))).toEqual([200]);
      }
    });

    it('responds to requests behind a body that was read whole and refused', async () => {
      for (const [body, type, status] of [
        ['{', 'application/json', 400],
        ['{"a":"\\ud800"}', 'application/json', 422],
        ['{}', 'application/json; charset=latin1', 415],
        ['\xff\xfe', 'application/json', 400],
        ['{}', 'text/plain', 415],
      ] as const) {
        const connection = await RawConnection.open(service.url);
        const refused = head('POST', '/orders', `Content-Type: ${type}`, `Content-Length: ${body.length}`) + body;
        connection.write(refused + create());
        expect([type, body, (await connection.response())?.status, (await connection.response())?.status]).toEqual([
          type,
          body,
          status,
          201,
        ]);
        connection.close();
      }
    });

    it('responds to a client that ends its side after its request', async () => {
      for (const [request, status] of [
        [create(), 201],
        [head('GET', '/orders?limit=1'), 200],
        ['GET /health HTTP/1.1\r\nHost: x\r\n\r\n', 200],
        [head('GET', '/orders/export'), 200],
      ] as const) {
        const connection = await RawConnection.open(service.url);
        connection.write(request);
        connection.socket.end();
        expect((await connection.response())?.status).toBe(status);
        await connection.closed();
      }
    });
  });

  describe('unreadable bytes', () => {
    const CASES: [string, string, ProblemSlug][] = [
      ['garbage', 'GARBAGE\r\n\r\n', 'malformed_request'],
      [
        'headers over 16 KB',
        `GET /health HTTP/1.1\r\nHost: x\r\nX-A: ${'a'.repeat(100_000)}\r\n\r\n`,
        'headers_too_large',
      ],
      ['an address over 16 KB', `GET /?x=${'a'.repeat(100_000)} HTTP/1.1\r\nHost: x\r\n\r\n`, 'headers_too_large'],
      ['HTTP/9.9', 'GET /health HTTP/9.9\r\nHost: x\r\n\r\n', 'http_version_not_supported'],
      ['HTTP/2.0 as text', 'GET /health HTTP/2.0\r\nHost: x\r\n\r\n', 'http_version_not_supported'],
      ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'http_version_not_supported'],
      ['a tunnel', 'CONNECT localhost:1 HTTP/1.1\r\nHost: localhost:1\r\n\r\n', 'method_not_allowed'],
      [
        'a transfer coding beside chunked',
        'POST /health HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n',
        'not_implemented',
      ],
      ['two Host headers', 'GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n', 'malformed_request'],
      ['the same Host twice', 'GET /health HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n', 'malformed_request'],
      ['a Host that is none', 'GET /health HTTP/1.1\r\nHost: a b/c?d\r\n\r\n', 'malformed_request'],
      ['an empty Host', 'GET /health HTTP/1.1\r\nHost:\r\n\r\n', 'malformed_request'],
    ];

    it.each(CASES)('%s: one problem with the security headers, and its id in the log', async (_, request, slug) => {
      const connection = await RawConnection.open(service.url);
      connection.write(request);
      const response = (await connection.response()) as ApiResponse;
      expectProblem(response, slug);
      for (const name of ['strict-transport-security', 'content-security-policy', 'x-frame-options']) {
        expect([name, response.headers.get(name)]).toEqual([name, expect.any(String)]);
      }
      const id = response.headers.get('x-request-id') as string;
      await until('the log has it', async () => service.logLines.some((line) => line.includes(id)));
      // Any client can send it: it is no failure of the service.
      expect(service.logLines.filter((line) => line.includes(id) && line.includes('"level":50'))).toEqual([]);
      connection.close();
    });

    it.each(['localhost', 'localhost:3000', '[::1]:80', '127.0.0.1', 'a.b-c_d.example'])(
      'takes Host: %s',
      async (host) => {
        expect((await rawRequest(service.url, `GET /health HTTP/1.1\r\nHost: ${host}`))?.status).toBe(200);
      },
    );

    it('responds with 408 to a request that does not arrive in time, soon after that time', async () => {
      const server = service.app.getHttpServer() as Server;
      expect([server.headersTimeout, server.requestTimeout]).toEqual([10_000, 30_000]);
      Object.assign(server, { requestTimeout: 400, headersTimeout: 300 });
      try {
        for (const part of ['GET /health HTTP/1.1\r\nHost: x\r\n', post('/orders', 'Content-Length: 100') + '{']) {
          const began = performance.now();
          const connection = await RawConnection.open(service.url);
          connection.write(part);
          expectProblem((await connection.response()) as ApiResponse, 'request_timeout');
          await connection.closed();
          expect(performance.now() - began).toBeLessThan(10_000);
        }
      } finally {
        Object.assign(server, { requestTimeout: 30_000, headersTimeout: 10_000 });
      }
    });
  });

  it('reads every header within the size limit', async () => {
    const { id } = (await tenant.createOrder()) as { id: string };
    const many = Array.from({ length: 1_100 }, (_, i) => `a${i}: 1`);
    const patch = head(
      'PATCH',
      `/orders/${id}`,
      'Content-Type: application/json',
      'Content-Length: 13',
      ...many,
      'If-Match: "77"',
    );
    const connection = await RawConnection.open(service.url);
    connection.write(`${patch}{"notes":"x"}`);
    expectProblem((await connection.response()) as ApiResponse, 'version_conflict');
    const body = JSON.stringify(orderInput());
    const keyed =
      post('/orders', `Content-Length: ${body.length}`, ...many, 'Idempotency-Key: behind a thousand') + body;
    connection.write(keyed);
    const first = (await connection.response()) as ApiResponse;
    connection.write(keyed);
    const again = (await connection.response()) as ApiResponse;
    expect([first.status, again.status, again.body.id]).toEqual([201, 201, first.body.id]);
    connection.close();
  });

  describe('a large body that is refused', () => {
    const unsigned = (method: string, path: string, size: number, type = 'application/json') =>
      `${method} /api/v1${path} HTTP/1.1\r\nHost: x\r\nContent-Type: ${type}\r\nContent-Length: ${size}\r\n\r\n`;
    const signed = (method: string, path: string, size: number, type = 'application/json') =>
      head(method, path, `Content-Type: ${type}`, `Content-Length: ${size}`);

    it.each([
      ['401', () => unsigned('POST', '/orders/batch', 5 * MIB), 401, 5],
      ['413', () => signed('POST', '/orders', 5 * MIB), 413, 5],
      ['404', () => signed('POST', '/nowhere', 20 * MIB), 404, 20],
      ['405', () => signed('DELETE', '/orders', 20 * MIB), 405, 20],
      ['415', () => signed('POST', '/orders', 5 * MIB, 'text/plain'), 415, 5],
      ['a GET', () => signed('GET', '/orders?limit=1', 20 * MIB), 200, 20],
      ['OPTIONS', () => unsigned('OPTIONS', '/orders', 20 * MIB), 204, 20],
    ] as const)('%s: the client reads its response while it is sending', async (_, request, status, mib) => {
      for (let round = 0; round < 3; round++) {
        const from = sockets.length;
        const connection = await RawConnection.open(service.url);
        let failed: string | undefined;
        connection.socket.on('error', (error) => (failed = error.message));
        connection.write(request());
        const piece = Buffer.alloc(MIB, ' ');
        for (let i = 0; i < mib && !connection.socket.writableNeedDrain; i++) connection.socket.write(piece);
        const response = await connection.response();
        expect([response?.status, response?.headers.get('connection'), failed]).toEqual([status, 'close', undefined]);
        connection.close();
        await until('the server has let go', async () => sockets[from]?.destroyed === true);
      }
    });

    it('is read no further than a bound, and the connection does not stay', async () => {
      for (const request of [
        unsigned('POST', '/orders/batch', 1024 * MIB),
        signed('POST', '/orders', 1024 * MIB, 'text/plain'),
        signed('GET', '/orders?limit=1', 1024 * MIB),
        unsigned('OPTIONS', '/orders', 1024 * MIB),
      ]) {
        const from = sockets.length;
        const socket = connect(Number(new URL(service.url).port), '127.0.0.1');
        socket.on('error', () => undefined);
        socket.write(request);
        const piece = Buffer.alloc(MIB, ' ');
        const send = (): void => {
          while (!socket.destroyed && socket.write(piece));
        };
        socket.on('drain', send);
        send();
        const began = performance.now();
        await until('the server has let go', async () => sockets[from]?.destroyed === true, 20_000);
        expect(performance.now() - began).toBeLessThan(15_000);
        expect(sockets[from]?.bytesRead).toBeLessThan(64 * MIB);
        socket.destroy();
      }
    });
  });

  it('writes no Content-Length with a 204', async () => {
    for (const request of [
      'OPTIONS /api/v1/orders HTTP/1.1\r\nHost: x\r\nOrigin: http://localhost:3000\r\nAccess-Control-Request-Method: GET',
      'OPTIONS * HTTP/1.1\r\nHost: x',
    ]) {
      const response = (await rawRequest(service.url, request)) as ApiResponse;
      expect([response.status, response.headers.get('content-length')]).toEqual([204, null]);
    }
  });
});
