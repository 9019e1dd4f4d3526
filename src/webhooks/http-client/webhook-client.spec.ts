import { brotliCompressSync, gzipSync } from 'node:zlib';
import type { Socket } from 'node:net';
import fc from 'fast-check';
import { Webhook } from 'standardwebhooks';
import { drip, flood, stubHttp, stubRaw } from '../../../test/harness/stub-receivers';
import type { Respond, StubReceiver } from '../../../test/harness/stub-receivers';
import { parseCidr } from '../../platform/net/cidrs';
import { createWebhookClient, succeeded, USER_AGENT } from './webhook-client';
import type { WebhookClient, SendOutcome, SendRequest } from './webhook-client';
import { newSecret, sign } from './signature';

const policy = { allowHttp: false, allowCidrs: ['127.0.0.0/8'].map(parseCidr) };
const resolve = (): Promise<string[]> => Promise.reject(new Error('no name is looked up in this file'));
const secret = newSecret();
const id = '01980000-0000-7000-8000-000000000001';
const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';

function message(url: string, more: Partial<SendRequest> = {}): SendRequest {
  const body = more.body ?? Buffer.from('{"type":"order.created"}');
  const timestamp = Math.floor(Date.now() / 1000);
  return {
    tenantId: 'a-tenant',
    url,
    body,
    id,
    timestamp,
    signature: sign({ id, timestamp, body, secrets: [secret] }),
    ...more,
  };
}

describe('sending a webhook', () => {
  /** Generous, so that only a hanging receiver reaches it; `hasty` is for that. */
  const patient = createWebhookClient({ policy, resolve, timeout: 20_000, maxIdleTimeout: 1_000 });
  const hasty = createWebhookClient({ policy, resolve, timeout: 1_000 });
  const receivers: StubReceiver[] = [];

  afterEach(async () => {
    await Promise.all(receivers.splice(0).map((receiver) => receiver.close()));
  });
  afterAll(async () => {
    await Promise.all([patient.close(), hasty.close()]);
  });

  async function http(response?: Respond) {
    const receiver = await stubHttp(response);
    receivers.push(receiver);
    return receiver;
  }
  async function raw(respond: (socket: Socket, count: number) => void, options?: { when: 'request' | 'connection' }) {
    const receiver = await stubRaw(respond, options);
    receivers.push(receiver);
    return receiver;
  }
  async function outcomeOf(receiver: StubReceiver, sender: WebhookClient = patient): Promise<SendOutcome> {
    const outcome = await sender.send(message(`${receiver.origin}/hook`));
    expect(outcome.startedAt).toBeInstanceOf(Date);
    expect(outcome.durationMs).toBeGreaterThanOrEqual(0);
    expect(outcome.error === undefined).toBe(outcome.internal === undefined);
    return outcome;
  }
  /** A failure that is fit to be shown, and after which nothing stays open. */
  async function failureOf(receiver: StubReceiver, sender?: WebhookClient): Promise<SendOutcome> {
    const outcome = await outcomeOf(receiver, sender);
    expect(succeeded(outcome)).toBe(false);
    expect(outcome.error).not.toMatch(/\d/);
    await receiver.drained();
    return outcome;
  }

  describe('to a receiver that responds', () => {
    it('posts the signed bytes under the headers of Standard Webhooks', async () => {
      const receiver = await http();
      const body = Buffer.from('{ "type":"order.created", "data":{"notes":"Grüße 🚀"} }');
      const outcome = await patient.send(
        message(`${receiver.origin}/a%20b/?x=1&y=%C3%A9`, {
          body,
          headers: { 'X-Team': 'a & b', authorization: 'Bearer t' },
        }),
      );
      expect(outcome).toMatchObject({ status: 200, body: 'ok' });
      expect(succeeded(outcome)).toBe(true);

      const { method, url, headers, body: got } = receiver.received[0]!;
      expect([method, url]).toEqual(['POST', '/a%20b/?x=1&y=%C3%A9']);
      expect(got.equals(body)).toBe(true);
      expect(new Webhook(secret).verify(got, headers as Record<string, string>)).toMatchObject({
        type: 'order.created',
      });
      expect(headers).toEqual({
        host: `127.0.0.1:${receiver.port}`,
        connection: 'keep-alive',
        'webhook-id': id,
        'webhook-timestamp': expect.stringMatching(/^\d{10}$/) as string,
        'webhook-signature': expect.stringMatching(/^v1,/) as string,
        'content-type': 'application/json',
        'content-length': String(body.length),
        'user-agent': USER_AGENT,
        'x-team': 'a & b',
        authorization: 'Bearer t',
      });
    });

    it('carries a body of 1 MiB', async () => {
      const receiver = await http();
      const body = Buffer.from(JSON.stringify({ data: 'x'.repeat(1024 * 1024) }));
      expect(succeeded(await patient.send(message(receiver.origin, { body })))).toBe(true);
      expect(receiver.received[0]!.body.equals(body)).toBe(true);
    });

    it.each([200, 201, 202, 204, 299])('takes %i for a success', async (status) => {
      const receiver = await http((_request, response) => response.writeHead(status).end());
      const outcome = await outcomeOf(receiver);
      expect(outcome).toMatchObject({ status, body: '' });
      expect(succeeded(outcome)).toBe(true);
    });

    it.each([300, 304, 400, 404, 410, 429, 500, 503, 599, 999])(
      'takes %i for a failure with a response',
      async (status) => {
        const receiver = await http((_request, response) =>
          response.writeHead(status).end(status === 304 ? undefined : 'no'),
        );
        const outcome = await outcomeOf(receiver);
        expect(outcome).toMatchObject({ status, body: status === 304 ? '' : 'no' });
        expect(outcome.error).toBeUndefined();
        expect(succeeded(outcome)).toBe(false);
      },
    );

    it('returns Retry-After of 429 and 503 only', async () => {
      const receiver = await http(({ url }, response) =>
        response.writeHead(Number(url.slice(1)), { 'retry-after': '120' }).end(),
      );
      const asked = await Promise.all(
        [429, 503, 500, 200].map(
          async (status) => (await patient.send(message(`${receiver.origin}/${status}`))).retryAfter,
        ),
      );
      expect(asked).toEqual(['120', '120', undefined, undefined]);
      const strange = await raw((socket) =>
        socket.end(
          `HTTP/1.1 503 No\r\nretry-after: ${'9'.repeat(5_000)}\r\nretry-after: 2\r\ncontent-length: 0\r\n\r\n`,
        ),
      );
      expect((await outcomeOf(strange)).retryAfter).toBe('9'.repeat(64));
    });

    it('skips informational responses', async () => {
      const receiver = await raw((socket) =>
        socket.write(`HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n${OK}`),
      );
      expect(await outcomeOf(receiver)).toMatchObject({ status: 200, body: 'ok' });
    });

    it('keeps 4 KiB that PostgreSQL can store', async () => {
      const receiver = await http((_request, response) =>
        response.end(Buffer.concat([Buffer.from('a\0b\xff', 'latin1'), Buffer.alloc(20_000, 'x')])),
      );
      const { body } = await outcomeOf(receiver);
      expect(body).toMatch(/^a\ufffdb\ufffdx+$/);
      expect(Buffer.byteLength(body!)).toBe(4_096);
    });

    it.each([
      ['gzip', gzipSync],
      ['br', brotliCompressSync],
    ])('unpacks %s', async (encoding, pack) => {
      const receiver = await http((_request, response) =>
        response.setHeader('content-encoding', encoding).end(pack('unpacked')),
      );
      expect(await outcomeOf(receiver)).toMatchObject({ status: 200, body: 'unpacked' });
    });
  });

  describe('to a receiver that misleads', () => {
    it.each([301, 302, 303, 307, 308])('does not follow a %i', async (status) => {
      const target = await http();
      const receiver = await http((_request, response) =>
        response.writeHead(status, { location: `${target.origin}/stolen` }).end('over there'),
      );
      const outcome = await outcomeOf(receiver);
      expect(outcome).toMatchObject({ status, body: 'over there' });
      expect(succeeded(outcome)).toBe(false);
      expect(target.accepted).toBe(0);
    });

    it('does not take a proxy from the environment', async () => {
      const proxy = await http();
      const receiver = await http();
      const names = [
        'HTTP_PROXY',
        'http_proxy',
        'HTTPS_PROXY',
        'https_proxy',
        'ALL_PROXY',
        'all_proxy',
        'NODE_USE_ENV_PROXY',
      ];
      for (const name of names) process.env[name] = name === 'NODE_USE_ENV_PROXY' ? '1' : proxy.origin;
      const sender = createWebhookClient({ policy, resolve, timeout: 20_000 });
      try {
        expect(await outcomeOf(receiver, sender)).toMatchObject({ status: 200 });
      } finally {
        for (const name of names) delete process.env[name];
        await sender.close();
      }
      expect([proxy.accepted, receiver.accepted]).toEqual([0, 1]);
    });

    it.each<Record<string, string>>([
      { host: 'evil.test' },
      { 'Content-Length': '1' },
      { 'transfer-encoding': 'chunked' },
      { 'Webhook-Id': 'forged' },
      { 'WEBHOOK-signature': 'v1,forged' },
      { connection: 'close' },
      { expect: '100-continue' },
      { 'content-type': 'text/plain' },
    ])('leaves out %j, should it have got past the endpoint’s check', async (headers) => {
      const receiver = await http();
      expect(await patient.send(message(receiver.origin, { headers: { ...headers, 'x-ok': 'yes' } }))).toMatchObject({
        status: 200,
      });
      const { rawHeaders, headers: got } = receiver.received[0]!;
      expect(got).toMatchObject({
        host: `127.0.0.1:${receiver.port}`,
        'webhook-id': id,
        'content-type': 'application/json',
        'x-ok': 'yes',
        connection: 'keep-alive',
      });
      expect(rawHeaders).toHaveLength(18);
    });

    it.each([
      { headers: { 'x-a': 'v\r\nwebhook-id: forged' } },
      { headers: { 'x-a': 'v\n' } },
      { headers: { 'x-a': 'v\0' } },
      { headers: { 'x-a\r\nx-b': 'v' } },
      { headers: { 'x a': 'v' } },
      { headers: { '': 'v' } },
      { id: 'a\r\nx-b: c' },
      { signature: 'v1,a\r\nx-b: c' },
    ])('sends nothing at all for %j', async (part) => {
      const receiver = await http();
      expect(await patient.send(message(receiver.origin, part as Partial<SendRequest>))).toMatchObject({
        error: 'invalid request',
      });
      expect(receiver.received).toHaveLength(0);
    });
  });

  describe('to a receiver that takes its time', () => {
    it('gives up on one that accepts and never responds, and closes', async () => {
      const receiver = await raw(() => undefined);
      expect(await failureOf(receiver, hasty)).toMatchObject({ error: 'timed out' });
    });

    it('gives each request its own time, whatever others do meanwhile', async () => {
      const hanging = await raw(() => undefined);
      const good = await http();
      const first = outcomeOf(hanging, hasty);
      await new Promise((done) => setTimeout(done, 400));
      expect(succeeded(await outcomeOf(good, hasty))).toBe(true);
      const second = outcomeOf(hanging, hasty);
      const outcomes = await Promise.all([first, second]);
      expect(outcomes.map(({ error }) => error)).toEqual(['timed out', 'timed out']);
      const third = await outcomeOf(hanging, hasty);
      expect(third.error).toBe('timed out');
      for (const { durationMs } of [...outcomes, third]) expect(durationMs).toBeGreaterThanOrEqual(1_000);
    });

    it('gives up on one that does not even read', async () => {
      const receiver = await raw((socket) => socket.pause(), { when: 'connection' });
      expect(await hasty.send(message(receiver.origin, { body: Buffer.alloc(16 * 1024 * 1024, 'x') }))).toMatchObject({
        error: 'timed out',
      });
      await receiver.close();
    });

    it('gives up on headers that come a byte at a time', async () => {
      const receiver = await raw((socket) => drip(socket, `HTTP/1.1 200 OK\r\nx-a: ${'a'.repeat(10_000)}`));
      const outcome = await failureOf(receiver, hasty);
      expect(outcome).toMatchObject({ error: 'timed out' });
      expect(outcome.status).toBeUndefined();
    });

    it('ends at the deadline for a body of single bytes, and shows the received part', async () => {
      const receiver = await raw((socket) => {
        // At once: a busy machine drips slowly, and the body must have begun by the deadline.
        socket.write('HTTP/1.1 200 OK\r\ncontent-length: 10000\r\n\r\n');
        drip(socket, 'a'.repeat(10_000), 2);
      });
      const outcome = await failureOf(receiver, hasty);
      expect(outcome).toMatchObject({ error: 'timed out', status: 200 });
      expect(outcome.body).toMatch(/^a*$/);
    });

    it('gives up on a body that does not end at its announced length', async () => {
      const receiver = await raw((socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf'));
      expect(await failureOf(receiver, hasty)).toMatchObject({ error: 'timed out', status: 200, body: 'half' });
    });

    it('lets a hundred that hang delay no other, on the very same host', async () => {
      const receiver = await http(({ url }, response) => {
        if (url === '/good') response.end('ok');
      });
      const sender = createWebhookClient({ policy, resolve, timeout: 5_000 });
      let hanging = 100;
      const hung = Array.from({ length: hanging }, () =>
        sender.send(message(`${receiver.origin}/hang`)).finally(() => hanging--),
      );
      while (receiver.received.length < 100) await new Promise((done) => setTimeout(done, 5));
      for (let n = 0; n < 20; n++)
        expect(await sender.send(message(`${receiver.origin}/good`))).toMatchObject({ status: 200 });
      expect(hanging).toBe(100);
      await receiver.close();
      for (const outcome of await Promise.all(hung)) expect(outcome.error).toBe('connection reset');
      await sender.close();
    });
  });

  it('counts the requests in flight by their age', async () => {
    const sender = createWebhookClient({ policy, resolve, timeout: 20_000 });
    const hanging = await raw(() => undefined);
    const sent = [1, 2].map(() => sender.send(message(`${hanging.origin}/hook`)));
    expect(sender.inFlightFor(0)).toBe(2);
    expect(sender.inFlightFor(10_000)).toBe(0);
    await new Promise((resolve) => setTimeout(resolve, 60));
    sent.push(sender.send(message(`${hanging.origin}/hook`)));
    expect(sender.inFlightFor(50)).toBe(2);
    await hanging.close();
    await Promise.all(sent);
    expect(sender.inFlightFor(0)).toBe(0);
    await sender.close();
  });

  describe('to a receiver that floods', () => {
    it('cuts off an endless body and counts it by its status', async () => {
      let sent = { bytes: () => 0 };
      const receiver = await raw((socket, count) => {
        if (count === 1)
          socket.write(
            'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n',
            () => (sent = flood(socket, `4000\r\n${'a'.repeat(0x4000)}\r\n`)),
          );
      });
      const outcome = await outcomeOf(receiver);
      await receiver.drained();
      expect(outcome).toMatchObject({ status: 200, body: 'a'.repeat(4_096) });
      expect(succeeded(outcome)).toBe(true);
      // The client has read 64 KiB; the rest is in the kernel's buffers on both sides.
      expect(sent.bytes()).toBeLessThan(16 * 1024 * 1024);
    });

    it('cuts off an endless packed body', async () => {
      const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024, 'a'));
      const receiver = await http((_request, response) =>
        response.writeHead(500, { 'content-encoding': 'gzip' }).end(bomb),
      );
      expect(await outcomeOf(receiver)).toMatchObject({ status: 500, body: 'a'.repeat(4_096) });
      await receiver.drained();
    });

    it('cuts off a body that is announced as too long', async () => {
      const receiver = await raw((socket) =>
        socket.write(`HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n${'a'.repeat(70_000)}`),
      );
      expect(await outcomeOf(receiver)).toMatchObject({ status: 200, body: 'a'.repeat(4_096) });
      await receiver.drained();
    });

    it.each([
      ['one header of 2 MB', `x-a: ${'a'.repeat(2_000_000)}`],
      ['a name of 2 MB', `${'a'.repeat(2_000_000)}: a`],
      ['2 MB of headers', 'x-aaaaaaaaaaaaaaa: aaaaaaaaaaaaa\r\n'.repeat(60_000)],
      ['33 KiB of headers', `x-a: ${'a'.repeat(33 * 1_024)}`],
    ])('refuses %s', async (_name, headers) => {
      const receiver = await raw((socket) => socket.write(`HTTP/1.1 200 OK\r\n${headers}\r\n\r\n`));
      expect(await failureOf(receiver)).toMatchObject({ error: 'invalid response' });
    });

    it('takes 24 KiB of headers', async () => {
      const receiver = await raw((socket) =>
        socket.write(`HTTP/1.1 200 OK\r\nx-a: ${'a'.repeat(24 * 1_024)}\r\ncontent-length: 0\r\n\r\n`),
      );
      expect(await outcomeOf(receiver)).toMatchObject({ status: 200 });
    });

    it.each([
      ['informational answers', '', 'HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n'],
      ['a reason', 'HTTP/1.1 200 ', 'a'.repeat(1_000)],
      ['trailers', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n', 'x-a: a\r\n'.repeat(100)],
    ])('refuses endless %s', async (_name, head, more) => {
      const receiver = await raw((socket, count) => {
        if (count > 1) return;
        socket.write(head);
        flood(socket, more);
      });
      expect(await failureOf(receiver)).toMatchObject({ error: 'invalid response' });
    });

    it('cuts off an endless chunk extension', async () => {
      const receiver = await raw((socket, count) => {
        if (count > 1) return;
        socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;a=');
        flood(socket, 'a'.repeat(1_000));
      });
      expect(await outcomeOf(receiver)).toMatchObject({ status: 200, body: '' });
      await receiver.drained();
    });
  });

  describe('to a receiver that breaks off or talks nonsense', () => {
    it.each([
      ['half a body', 'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf', 200],
      ['half a chunked body', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n', 200],
      ['half a header', 'HTTP/1.1 200 OK\r\ncontent-le', undefined],
      ['headers without an end', 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n', undefined],
      ['half a status line', 'HTT', undefined],
      ['another protocol', 'SSH-2.0-OpenSSH_9.6\r\n', undefined],
      ['a Redis error', '-ERR unknown command\r\n', undefined],
      ['HTTP/0.9', '<html>hello</html>', undefined],
      ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', undefined],
      ['a status of two digits', 'HTTP/1.1 20 OK\r\n\r\n', undefined],
      ['two lengths', 'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab', undefined],
      ['a length that is none', 'HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n', undefined],
      ['a chunk size that is none', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n', 200],
      ['NUL in a header', 'HTTP/1.1 200 OK\r\nx-a: a\0b\r\n\r\n', undefined],
      [
        'an upgrade without a request for it',
        'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n',
        undefined,
      ],
      ['100 Continue without a request for it', 'HTTP/1.1 100 Continue\r\n\r\n', undefined],
    ])('calls %s an invalid response', async (_name, bytes, status) => {
      const receiver = await raw((socket) => socket.end(bytes));
      const outcome = await failureOf(receiver);
      expect(outcome).toMatchObject({ error: 'invalid response' });
      expect(outcome.status).toBe(status);
    });

    const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n';
    const HINTS = 'HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n';

    it.each([
      ['100 Continue', [CONTINUE + OK]],
      ['100 Continue in a packet of its own', [CONTINUE, OK]],
      ['several of them', ['HTTP/1.1 102 Processing\r\n\r\n' + CONTINUE + HINTS, CONTINUE, HINTS + OK]],
      ['one byte after the other', [...(CONTINUE + HINTS + OK)]],
      ['headers in them', ['HTTP/1.1 100 Continue\r\nserver: a\r\nx: b\r\n\r\n' + OK]],
    ])('skips interim responses before the final one: %s', async (_name, pieces) => {
      const receiver = await raw((socket) => {
        const next = (): void => {
          const piece = pieces.shift();
          if (piece !== undefined) socket.write(piece, () => setTimeout(next, 2));
        };
        next();
      });
      const outcome = await outcomeOf(receiver);
      expect(outcome).toMatchObject({ status: 200, body: 'ok' });
      expect(succeeded(outcome)).toBe(true);
    });

    it('uses a connection again after an interim response, and skips the next one, too', async () => {
      const receiver = await raw((socket) => void socket.write(CONTINUE + OK));
      for (let n = 0; n < 3; n++) expect(await outcomeOf(receiver)).toMatchObject({ status: 200, body: 'ok' });
      expect(receiver.accepted).toBe(1);
    });

    it.each([
      ['Content-Length without the bytes', 'content-length: 5\r\n\r\n'],
      ['Content-Length and the bytes', 'content-length: 5\r\n\r\nhello'],
      ['chunked', 'transfer-encoding: chunked\r\n\r\n'],
      ['chunked, with a chunk', 'transfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n'],
    ])('ends 204 and 304 at the blank line, with any announced length: %s', async (_name, rest) => {
      for (const status of ['204 No Content', '304 Not Modified']) {
        const receiver = await raw((socket) => void socket.write(`HTTP/1.1 ${status}\r\n${rest}`));
        const outcome = await outcomeOf(receiver);
        expect(outcome).toMatchObject({ status: Number(status.slice(0, 3)), body: '' });
        expect(outcome.error).toBeUndefined();
        // Later bytes belong to no request: the connection is not used again.
        await receiver.drained();
      }
    });

    it('takes a body that ends with the connection, where no length was given', async () => {
      const receiver = await raw((socket) => socket.end('HTTP/1.0 200 OK\r\n\r\nall of it'));
      expect(await outcomeOf(receiver)).toMatchObject({ status: 200, body: 'all of it' });
    });

    it.each([
      ['closes without an answer', (socket: Socket) => socket.end()],
      ['resets without an answer', (socket: Socket) => socket.resetAndDestroy()],
      [
        'resets within its body',
        (socket: Socket) =>
          socket.write('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf', () =>
            setTimeout(() => socket.resetAndDestroy(), 30),
          ),
      ],
    ])('calls it a reset when it %s', async (_name, act) => {
      const receiver = await raw((socket) => void act(socket));
      expect(await failureOf(receiver)).toMatchObject({ error: 'connection reset' });
      expect(receiver.accepted).toBe(1);
    });

    it('calls it a reset when it closes at once', async () => {
      const receiver = await raw((socket) => socket.resetAndDestroy(), { when: 'connection' });
      expect(await failureOf(receiver)).toMatchObject({ error: 'connection reset' });
    });

    it('names a refused connection', async () => {
      const receiver = await http();
      await receiver.close();
      expect(await failureOf(receiver)).toMatchObject({ error: 'connection refused' });
    });

    it('ends in an outcome for any bytes', async () => {
      const piece = fc.oneof(
        fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
        fc.constantFrom(
          'HTTP/1.1 200 OK\r\n',
          'HTTP/1.1 103 \r\n\r\n',
          '\r\n',
          '\r\n\r\n',
          'content-length: 5\r\n',
          'transfer-encoding: chunked\r\n',
          'content-encoding: gzip\r\n',
          'connection: close\r\n',
          'keep-alive: timeout=0\r\n',
          '__proto__: a\r\n',
          '5\r\nhello\r\n',
          '0\r\n\r\n',
          'hello',
          OK,
          'HTTP/1.1 204 No\r\n\r\n',
          'upgrade: h2c\r\n',
        ),
      );
      let reply: string[] = [];
      const receiver = await raw((socket) => {
        for (const part of reply) socket.write(part, 'latin1');
        socket.end();
      });
      await fc.assert(
        fc.asyncProperty(fc.array(piece, { maxLength: 8 }), async (pieces) => {
          reply = pieces;
          const { status, error, body = '' } = await outcomeOf(receiver);
          expect(status !== undefined || error !== undefined).toBe(true);
          expect(body).not.toContain('\0');
        }),
        { numRuns: 300 },
      );
    });
  });

  describe('closing', () => {
    it('completes running requests, closes every connection, and sends no request afterwards', async () => {
      const receiver = await http((_request, response) => setTimeout(() => response.end('late'), 100));
      const sender = createWebhookClient({ policy, resolve, timeout: 20_000 });
      const running = outcomeOf(receiver, sender);
      const closing = sender.close();
      expect(await outcomeOf(receiver, sender)).toMatchObject({ error: 'not sent' });
      await closing;
      expect(await running).toMatchObject({ status: 200, body: 'late' });
      await receiver.drained();
      await sender.close();
      expect(receiver.received).toHaveLength(1);
    });
  });
});
