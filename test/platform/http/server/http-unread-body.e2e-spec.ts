import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { type ApiClient, type ApiResponse, orderInput } from '../../../harness/client';
import { expectProblem } from '../../../harness/problems';
import { RawConnection } from '../../../harness/raw-http';
import { startService, type TestService } from '../../../harness/service';

const MIB = 1024 * 1024;
const LARGEST = 8 * MIB;

describe('a body without permission to send it', () => {
  let service: TestService;
  let tenant: ApiClient;
  const sockets: Socket[] = [];

  beforeAll(async () => {
    service = await startService();
    tenant = await service.tenant();
    (service.app.getHttpServer() as Server).on('connection', (socket: Socket) => sockets.push(socket));
  });
  afterAll(() => service.stop());

  const head = (path: string, credential: string, ...lines: string[]) =>
    [`POST /api/v1${path} HTTP/1.1`, 'Host: localhost', 'Content-Type: application/json', credential, ...lines]
      .filter((line) => line !== '')
      .join('\r\n') + '\r\n\r\n';
  const good = () => `Authorization: Bearer ${tenant.session?.access_token}`;
  const CREDENTIALS: [string, () => string][] = [
    ['no credential', () => ''],
    ['a malformed one', () => 'Authorization: Bearer'],
    ['a forged one', () => `${good()}x`],
    ['two of them', () => `${good()}\r\n${good()}`],
  ];

  it.each(CREDENTIALS)('is refused before any of it has come: %s', async (_, credential) => {
    for (const size of [`Content-Length: ${LARGEST}`, 'Transfer-Encoding: chunked']) {
      const connection = await RawConnection.open(service.url);
      connection.write(head('/orders/batch', credential(), size));
      const response = (await connection.response()) as ApiResponse;
      expectProblem(response, 'unauthorized');
      expect(response.headers.get('www-authenticate')).toMatch(/^Bearer/);
      expect(response.headers.get('connection')).toBe('close');
      await connection.closed();
    }
  });

  it('is not read whole from a client that sends it', async () => {
    const body = Buffer.alloc(LARGEST, ' ');
    for (const path of ['/orders/batch', '/orders', '/nowhere']) {
      const seen = sockets.length;
      const connection = await RawConnection.open(service.url);
      connection.write(head(path, '', `Content-Length: ${body.length}`));
      connection.write(body);
      expectProblem((await connection.response()) as ApiResponse, path === '/nowhere' ? 'not_found' : 'unauthorized');
      await connection.closed();
      expect(sockets.length).toBe(seen + 1);
      // The bytes that the kernel had already taken, and no more.
      expect(sockets[seen]?.bytesRead).toBeLessThan(4 * MIB);
    }
  });

  it('does not hide the response from its client', async () => {
    const body = Buffer.alloc(LARGEST, ' ');
    for (let i = 0; i < 10; i++) expectProblem(await service.client.post('/orders/batch', body), 'unauthorized');
  });

  it('costs no connection where it is small', async () => {
    const connection = await RawConnection.open(service.url);
    const small = JSON.stringify(orderInput());
    for (let i = 0; i < 3; i++) {
      connection.write(`${head('/orders', '', `Content-Length: ${small.length}`)}${small}`);
      const response = (await connection.response()) as ApiResponse;
      expectProblem(response, 'unauthorized');
      expect(response.headers.get('connection')).toBe('keep-alive');
    }
    connection.write(`${head('/orders', good(), `Content-Length: ${small.length}`)}${small}`);
    expect((await connection.response())?.status).toBe(201);
    connection.close();
  });

  it('has no fault reported: only a permitted caller gets its faults', async () => {
    const path = `/orders/${(await tenant.createOrder()).id as string}`;
    for (const [body, headers, slug] of [
      ['{', {}, 'malformed_request'],
      ['x', { 'content-type': 'text/plain' }, 'unsupported_media_type'],
      [`{"notes":"${'x'.repeat(MIB)}"}`, {}, 'payload_too_large'],
      ['{"notes":1}', {}, 'validation_error'],
    ] as const) {
      expectProblem(await tenant.patch(path, body, headers), slug);
      expectProblem(await service.client.patch(path, body, headers), 'unauthorized');
      expectProblem(await service.client.withToken('a.b.c').patch(path, body, headers), 'unauthorized');
    }
  });
});
