import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { stubCertificate, stubHttp, stubRaw } from '../../../test/harness/stub-receivers';
import type { Respond, StubReceiver } from '../../../test/harness/stub-receivers';
import { TENANT_SLOTS } from '../dispatch/concurrency-limiter';
import { socketOpener } from './connections';
import type { SocketTarget } from './connections';
import { parseCidr } from '../../platform/net/cidrs';
import { createWebhookClient } from './webhook-client';
import type { WebhookClient, WebhookClientOptions, SendOutcome, SendRequest } from './webhook-client';

const loopback = { allowHttp: true, allowCidrs: ['127.0.0.0/8'].map(parseCidr) };
const closed = { allowHttp: true, allowCidrs: [] };
const body = Buffer.from('{}');

/** A sender with a recording resolver and sockets: the names that it resolved, and every address that it dialled. */
function watched(options: Partial<WebhookClientOptions> = {}) {
  const dialled: SocketTarget[] = [];
  const lookedUp: string[] = [];
  const open = options.openSocket ?? socketOpener();
  const resolve = options.resolve ?? (() => Promise.resolve(['127.0.0.1']));
  const sender = createWebhookClient({
    policy: loopback,
    timeout: 20_000,
    ...options,
    resolve: (hostname) => {
      lookedUp.push(hostname);
      return resolve(hostname);
    },
    openSocket: (target) => {
      dialled.push(target);
      // A test dials loopback only, whatever it tests.
      if (!target.address.startsWith('127.')) throw new Error(`a test dialled ${target.address}`);
      return open(target);
    },
  });
  return { sender, dialled, lookedUp };
}

function post(sender: WebhookClient, url: string, more: Partial<SendRequest> = {}): Promise<SendOutcome> {
  return sender.send({ tenantId: 'a-tenant', url, body, id: 'id', timestamp: 1, signature: 'v1,x', ...more });
}

describe('connections to receivers', () => {
  const receivers: StubReceiver[] = [];
  const senders: WebhookClient[] = [];

  afterEach(async () => {
    await Promise.all(senders.splice(0).map((sender) => sender.close()));
    await Promise.all(receivers.splice(0).map((receiver) => receiver.close()));
  });

  async function http(response?: Respond, options?: { secure: boolean }) {
    const receiver = await stubHttp(response, options);
    receivers.push(receiver);
    return receiver;
  }
  async function raw(respond: (socket: Socket, count: number) => void, options?: { when: 'request' | 'connection' }) {
    const receiver = await stubRaw(respond, options);
    receivers.push(receiver);
    return receiver;
  }
  function senderWith(options?: Partial<WebhookClientOptions>) {
    const made = watched(options);
    senders.push(made.sender);
    return made;
  }

  describe('to destinations that are not allowed', () => {
    const refusal = { error: 'destination not allowed' };
    /** The same phrase as for a name that does not resolve: a tenant must not learn which internal names exist. */
    const nameRefusal = { error: 'host not found or not allowed' };

    it.each([
      'http://127.0.0.1:8080/',
      'http://2130706433/',
      'https://0x7f.1/',
      'https://169.254.169.254/latest/meta-data/',
      'http://10.0.0.1/',
      'http://[::1]:8080/',
      'http://[::ffff:10.0.0.1]/',
      'http://[64:ff9b::7f00:1]/',
      'http://[fe80::1]/',
      'http://localhost:8080/',
      'http://api.localhost/',
      'http://user:password@8.8.8.8/',
      'http://8.8.8.8:22/',
      'ftp://8.8.8.8/',
      'not a url',
    ])('neither looks up nor dials %s', async (url) => {
      const { sender, dialled, lookedUp } = senderWith({ policy: closed });
      const { internal, ...shown } = await post(sender, url);
      expect(shown).toMatchObject(refusal);
      expect(Object.keys(shown).sort()).toEqual(['durationMs', 'error', 'startedAt']);
      expect(typeof internal).toBe('string');
      expect([dialled, lookedUp]).toEqual([[], []]);
    });

    it.each([
      ['127.0.0.1'],
      ['10.0.0.1'],
      ['172.16.0.1'],
      ['192.168.1.1'],
      ['169.254.169.254'],
      ['100.64.0.1'],
      ['0.0.0.0'],
      ['224.0.0.1'],
      ['255.255.255.255'],
      ['192.0.2.1'],
      ['168.63.129.16'],
      ['::'],
      ['::1'],
      ['::ffff:127.0.0.1'],
      ['::ffff:8.8.8.8'],
      ['::127.0.0.1'],
      ['::7f00:1'],
      ['::ffff:0:7f00:1'],
      ['64:ff9b::7f00:1'],
      ['64:ff9b:1::1'],
      ['2002:7f00:1::'],
      ['2001::1'],
      ['fc00::1'],
      ['fd00:ec2::254'],
      ['fe80::1'],
      ['fe80::1%eth0'],
      ['fec0::1'],
      ['ff02::1'],
      ['2001:db8::1'],
      ['not-an-address'],
      [''],
      ['0177.0.0.1'],
      ['2130706433'],
    ])('dials nothing for a name that is %j', async (address) => {
      const { sender, dialled, lookedUp } = senderWith({ policy: closed, resolve: () => Promise.resolve([address]) });
      expect(await post(sender, 'https://receiver.test/')).toMatchObject(nameRefusal);
      expect([dialled, lookedUp]).toEqual([[], ['receiver.test']]);
    });

    it.each([
      [['8.8.8.8', '10.0.0.1']],
      [['10.0.0.1', '8.8.8.8']],
      [['8.8.8.8', '1.1.1.1', '2606:4700:4700::1111', '9.9.9.9', '8.8.4.4', '::1']],
      [['127.0.0.1', '10.0.0.1']],
    ])('refuses a host for one bad address: %j', async (addresses) => {
      const { sender, dialled } = senderWith({ resolve: () => Promise.resolve(addresses) });
      expect(await post(sender, 'https://receiver.test/')).toMatchObject(nameRefusal);
      expect(dialled).toEqual([]);
    });

    it('takes http to a name only where http is allowed', async () => {
      const { sender, lookedUp } = senderWith({ policy: { ...loopback, allowHttp: false } });
      expect(await post(sender, 'http://receiver.test:8080/')).toMatchObject(refusal);
      expect(lookedUp).toEqual([]);
    });

    it('takes http to a name where every address of it is in a range that is opened, and dials nothing else', async () => {
      const receiver = await http();
      const policy = { allowHttp: false, allowCidrs: ['127.0.0.0/8', '10.0.0.0/8'].map(parseCidr) };
      const to = (...addresses: string[]) => senderWith({ policy, resolve: () => Promise.resolve(addresses) });
      const opened = to('127.0.0.1');
      expect(await post(opened.sender, `http://receiver.internal:${receiver.port}/`)).toMatchObject({ status: 200 });
      for (const addresses of [['8.8.8.8'], ['127.0.0.1', '8.8.8.8']]) {
        const public_ = to(...addresses);
        expect(await post(public_.sender, `http://receiver.internal:${receiver.port}/`)).toMatchObject(nameRefusal);
        expect(public_.dialled).toEqual([]);
      }
    });
  });

  describe('to names', () => {
    it('dials the address and sends the name', async () => {
      const receiver = await http();
      const { sender, dialled } = senderWith();
      expect(await post(sender, `http://Receiver.TEST:${receiver.port}/`)).toMatchObject({ status: 200 });
      expect(dialled).toEqual([
        { address: '127.0.0.1', port: receiver.port, secure: false, servername: 'receiver.test' },
      ]);
      expect(receiver.received[0]!.headers.host).toBe(`receiver.test:${receiver.port}`);
    });

    it('uses the port of the scheme where none is given', async () => {
      const { sender, dialled } = senderWith({
        openSocket: () => {
          throw Object.assign(new Error('refused'), { code: 'ECONNREFUSED' });
        },
      });
      expect(await post(sender, 'http://receiver.test/')).toMatchObject({ error: 'connection refused' });
      expect(await post(sender, 'https://receiver.test/')).toMatchObject({ error: 'connection refused' });
      expect(dialled.map(({ port, secure }) => `${port} ${secure}`)).toEqual(['80 false', '443 true']);
    });

    it.each([
      [
        'rejects',
        () => Promise.reject(Object.assign(new Error('queryA ENOTFOUND inside.corp'), { code: 'ENOTFOUND' })),
      ],
      [
        'throws',
        () => {
          throw new Error('no');
        },
      ],
      ['knows no address', () => Promise.resolve([])],
    ])('reports that a host was not found when the resolver %s', async (_name, resolve) => {
      const { sender, dialled } = senderWith({ resolve });
      expect(await post(sender, 'https://receiver.test/')).toMatchObject({ error: 'host not found or not allowed' });
      expect(dialled).toEqual([]);
    });

    it('does not dial when the resolver responds after the deadline', async () => {
      let complete = (_addresses: string[]) => {};
      const { sender, dialled } = senderWith({
        timeout: 100,
        resolve: () => new Promise((resolve) => (complete = resolve)),
      });
      expect(await post(sender, 'https://receiver.test/')).toMatchObject({ error: 'timed out' });
      complete(['127.0.0.1']);
      await new Promise((done) => setTimeout(done, 20));
      expect(dialled).toEqual([]);
    });

    it('tries the next address when one refuses, and closes abandoned sockets', async () => {
      const receiver = await http();
      const { sender, dialled } = senderWith({
        resolve: () => Promise.resolve(['127.0.0.2', '127.0.0.3', '127.0.0.1']),
      });
      expect(await post(sender, `http://receiver.test:${receiver.port}/`)).toMatchObject({ status: 200 });
      expect(dialled.map(({ address }) => address)).toEqual(['127.0.0.2', '127.0.0.3', '127.0.0.1']);
    });

    it('tries no more than four addresses', async () => {
      const receiver = await http();
      const many = Array.from({ length: 100 }, (_, n) => `127.0.1.${n}`);
      const { sender, dialled } = senderWith({ resolve: () => Promise.resolve(many) });
      expect(await post(sender, `http://receiver.test:${receiver.port}/`)).toMatchObject({
        error: 'connection refused',
      });
      expect(dialled).toHaveLength(4);
    });
  });

  describe('when a resolver changes its result', () => {
    const rebinding = (...responses: string[][]) => {
      let asked = 0;
      return () => Promise.resolve(responses[Math.min(asked++, responses.length - 1)]!);
    };

    it('refuses the next connection and dials nothing', async () => {
      const receiver = await http((_request, response) => response.setHeader('connection', 'close').end());
      const { sender, dialled, lookedUp } = senderWith({
        resolve: rebinding(['127.0.0.1'], ['10.0.0.1'], ['169.254.169.254'], ['127.0.0.1', '10.0.0.1']),
      });
      const url = `http://receiver.test:${receiver.port}/`;
      expect(await post(sender, url)).toMatchObject({ status: 200 });
      await receiver.drained();
      for (let n = 0; n < 3; n++)
        expect(await post(sender, url)).toMatchObject({ error: 'host not found or not allowed' });
      expect(dialled).toHaveLength(1);
      expect(lookedUp).toHaveLength(4);
    });

    it('looks a name up once per connection: there is no second look-up between check and dial', async () => {
      const receiver = await http();
      const { sender, dialled, lookedUp } = senderWith({ resolve: rebinding(['127.0.0.1'], ['10.0.0.1']) });
      expect(await post(sender, `http://receiver.test:${receiver.port}/`)).toMatchObject({ status: 200 });
      expect(lookedUp).toHaveLength(1);
      expect(dialled[0]!.address).toBe('127.0.0.1');
    });

    it('keeps using a connection to the checked address, and opens no other', async () => {
      const receiver = await http(({ url }, response) =>
        setTimeout(() => response.end('ok'), url === '/slow' ? 100 : 0),
      );
      const { sender, dialled } = senderWith({ resolve: rebinding(['127.0.0.1'], ['10.0.0.1']) });
      const origin = `http://receiver.test:${receiver.port}`;
      expect(await post(sender, `${origin}/`)).toMatchObject({ status: 200 });
      const slow = post(sender, `${origin}/slow`);
      expect(await post(sender, `${origin}/`)).toMatchObject({ error: 'host not found or not allowed' });
      expect(await slow).toMatchObject({ status: 200 });
      expect([dialled.length, receiver.accepted]).toEqual([1, 1]);
    });

    it('notices at the latest when the connection is too old', async () => {
      const receiver = await http();
      const { sender, dialled } = senderWith({ maxAge: 0, resolve: rebinding(['127.0.0.1'], ['10.0.0.1']) });
      const url = `http://receiver.test:${receiver.port}/`;
      expect(await post(sender, url)).toMatchObject({ status: 200 });
      expect(await post(sender, url)).toMatchObject({ error: 'host not found or not allowed' });
      expect(dialled).toHaveLength(1);
    });

    it('checks again when it replaces a connection that went stale', async () => {
      const receiver = await raw((socket, count) => {
        if (count === 1) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
        else socket.resetAndDestroy();
      });
      const { sender, dialled } = senderWith({ resolve: rebinding(['127.0.0.1'], ['10.0.0.1']) });
      const url = `http://receiver.test:${receiver.port}/`;
      expect(await post(sender, url)).toMatchObject({ status: 200 });
      expect(await post(sender, url)).toMatchObject({ error: 'host not found or not allowed' });
      expect(dialled).toHaveLength(1);
    });
  });

  describe('over TLS', () => {
    const trusting = { openSocket: socketOpener({ ca: stubCertificate }) };

    it('shows the name, not the address, and checks the certificate by it', async () => {
      let sni: unknown;
      const receiver = await http(undefined, { secure: true });
      const open = socketOpener({ ca: stubCertificate });
      const { sender } = senderWith({
        openSocket: (target) => {
          const socket = open(target) as TLSSocket & { servername?: unknown };
          socket.once('secureConnect', () => (sni = socket.servername));
          return socket;
        },
      });
      expect(await post(sender, `https://receiver.test:${receiver.port}/`)).toMatchObject({ status: 200, body: 'ok' });
      expect(sni).toBe('receiver.test');
      expect(receiver.received[0]!.headers.host).toBe(`receiver.test:${receiver.port}`);
    });

    it('takes a certificate for an address where the URL has one', async () => {
      const receiver = await http(undefined, { secure: true });
      const { sender } = senderWith(trusting);
      expect(await post(sender, `${receiver.origin}/`)).toMatchObject({ status: 200 });
      expect(await post(sender, `https://127.0.0.2:${receiver.port}/`)).toMatchObject({ error: 'connection refused' });
    });

    it('refuses a certificate for another name, each time', async () => {
      const receiver = await http(undefined, { secure: true });
      const { sender } = senderWith(trusting);
      for (let n = 0; n < 3; n++)
        expect(await post(sender, `https://other.test:${receiver.port}/`)).toMatchObject({ error: 'TLS error' });
      expect(receiver.received).toHaveLength(0);
    });

    it('refuses a self-signed certificate, also where the environment would not', async () => {
      const receiver = await http(undefined, { secure: true });
      const { sender } = senderWith();
      const warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
      process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
      try {
        expect(await post(sender, `https://receiver.test:${receiver.port}/`)).toMatchObject({ error: 'TLS error' });
      } finally {
        delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
        warned.mockRestore();
      }
      expect(receiver.received).toHaveLength(0);
    });

    it('calls it a TLS error when the other side speaks none', async () => {
      const plain = await http();
      const { sender } = senderWith(trusting);
      expect(await post(sender, `https://127.0.0.1:${plain.port}/`)).toMatchObject({ error: 'TLS error' });
      const hangsUp = await raw((socket) => socket.end());
      expect(await post(sender, `https://127.0.0.1:${hangsUp.port}/`)).toMatchObject({ error: 'TLS error' });
    });

    it('gives up on a handshake that hangs, and closes', async () => {
      const receiver = await raw(() => undefined);
      const { sender } = senderWith({ ...trusting, timeout: 200 });
      expect(await post(sender, `https://127.0.0.1:${receiver.port}/`)).toMatchObject({ error: 'timed out' });
      await receiver.drained();
    });

    it('uses a secure connection again', async () => {
      const receiver = await http(undefined, { secure: true });
      const { sender, lookedUp } = senderWith(trusting);
      for (let n = 0; n < 5; n++)
        expect(await post(sender, `https://receiver.test:${receiver.port}/`)).toMatchObject({ status: 200 });
      expect([receiver.accepted, lookedUp.length]).toEqual([1, 1]);
    });
  });

  describe('that are kept', () => {
    it('are used again, one request at a time', async () => {
      const receiver = await http();
      const { sender } = senderWith();
      for (let n = 0; n < 20; n++) expect(await post(sender, receiver.origin)).toMatchObject({ status: 200 });
      expect(receiver.accepted).toBe(1);
      await Promise.all(Array.from({ length: 10 }, () => post(sender, receiver.origin)));
      expect(receiver.accepted).toBe(10);
    });

    it('are of one tenant: another one opens its own to the same origin', async () => {
      const receiver = await http();
      const { sender } = senderWith();
      for (const tenantId of ['a', 'b', 'a', 'b']) await post(sender, receiver.origin, { tenantId });
      expect(receiver.accepted).toBe(2);
    });

    it('are few per origin', async () => {
      const receiver = await http((_request, response) => setTimeout(() => response.end(), 50));
      const { sender } = senderWith({ maxIdlePerOrigin: 3 });
      await Promise.all(Array.from({ length: 30 }, () => post(sender, receiver.origin)));
      while (receiver.sockets.size > 3) await new Promise((done) => setTimeout(done, 5));
      await new Promise((done) => setTimeout(done, 50));
      expect(receiver.sockets.size).toBe(3);
    });

    it('are as many as a tenant may have deliveries in flight', async () => {
      let waiting: (() => void)[] = [];
      const receiver = await http((_request, response) => {
        waiting.push(() => response.end());
        if (waiting.length < TENANT_SLOTS) return;
        for (const respond of waiting) respond();
        waiting = [];
      });
      const { sender } = senderWith();
      for (let burst = 0; burst < 2; burst++) {
        await Promise.all(Array.from({ length: TENANT_SLOTS }, () => post(sender, receiver.origin)));
      }
      expect(receiver.accepted).toBe(TENANT_SLOTS);
    });

    it('are bounded in all, the longest unused going first', async () => {
      const { sender } = senderWith({ maxIdle: 2 });
      const [a, b, c] = [await http(), await http(), await http()];
      for (const receiver of [a, b, a, c]) await post(sender, receiver.origin);
      await b.drained();
      for (const receiver of [a, c]) await post(sender, receiver.origin);
      expect([a.accepted, b.accepted, c.accepted]).toEqual([1, 1, 1]);
      await post(sender, b.origin);
      expect(b.accepted).toBe(2);
    });

    it('are closed when unused, also if the receiver would keep them longer', async () => {
      const receiver = await http((_request, response) => response.setHeader('keep-alive', 'timeout=600').end());
      const { sender } = senderWith({ maxIdleTimeout: 50 });
      await post(sender, receiver.origin);
      await receiver.drained();
    });

    it('are kept for as long as the receiver says, and a short time if it says nothing', async () => {
      const says = await http((_request, response) => response.setHeader('keep-alive', 'timeout=20').end());
      // A response with a Connection header gets no Keep-Alive from Node.
      const isSilent = await http((_request, response) => response.setHeader('connection', 'keep-alive').end());
      const { sender } = senderWith({ idleTimeout: 50 });
      await Promise.all([says, isSilent].map(({ origin }) => post(sender, origin)));
      await isSilent.drained();
      await post(sender, says.origin);
      expect(says.accepted).toBe(1);
    });

    it('are replaced once when they turn out dead, unseen by the tenant', async () => {
      const receiver = await raw((socket, count) => {
        if (count === 2) socket.destroy();
        else socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
      });
      const { sender } = senderWith();
      for (let n = 0; n < 3; n++) expect(await post(sender, receiver.origin)).toMatchObject({ status: 200 });
      expect(receiver.accepted).toBe(2);
    });

    it('are replaced once only', async () => {
      const receiver = await raw((socket, count) => {
        if (count === 1) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
        else socket.destroy();
      });
      const { sender } = senderWith();
      await post(sender, receiver.origin);
      expect(await post(sender, receiver.origin)).toMatchObject({ error: 'connection reset' });
      expect(receiver.accepted).toBe(2);
    });

    it('are not replaced once a byte of the response has come', async () => {
      const receiver = await raw((socket, count) => {
        if (count === 1) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
        else socket.end('HTTP/1.1 2');
      });
      const { sender } = senderWith();
      await post(sender, receiver.origin);
      expect(await post(sender, receiver.origin)).toMatchObject({ error: 'invalid response' });
      expect(receiver.accepted).toBe(1);
    });

    it('carry no response over from one request to the next', async () => {
      const receiver = await raw((socket, count) => {
        socket.write(`HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n${count}`);
        if (count === 1) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nsmuggled');
      });
      const { sender } = senderWith();
      expect(await post(sender, receiver.origin)).toMatchObject({ body: '1' });
      expect(await post(sender, receiver.origin)).toMatchObject({ body: '2' });
      expect(receiver.accepted).toBe(2);
    });
  });

  describe('for a request that may be unwanted by now', () => {
    /** Fresh until `stale` is set; `confirm` sets the result of the confirmation. */
    function freshness(confirmed: boolean) {
      const state = { stale: false, asked: 0 };
      const confirm = (): Promise<boolean> => {
        state.asked++;
        state.stale = false;
        return Promise.resolve(confirmed);
      };
      return { state, freshness: { isFresh: () => !state.stale, confirm } };
    }

    it.each([true, false])(
      'check again after a long dial, and send only deliveries that are still due: %s',
      async (wanted) => {
        const receiver = await http();
        const { state, ...request } = freshness(wanted);
        const { sender } = senderWith({
          resolve: () => {
            state.stale = true;
            return Promise.resolve(['127.0.0.1']);
          },
        });
        const outcome = await post(sender, `http://receiver.test:${receiver.port}/`, request);
        expect(state.asked).toBe(1);
        expect(receiver.received).toHaveLength(wanted ? 1 : 0);
        expect(outcome.unwanted).toBe(wanted ? undefined : true);
        expect(outcome.error).toBeUndefined();
      },
    );

    it('check again before a kept one is used', async () => {
      const receiver = await http();
      const { sender } = senderWith();
      await post(sender, receiver.origin);
      const { state, ...request } = freshness(false);
      state.stale = true;
      expect((await post(sender, receiver.origin, request)).unwanted).toBe(true);
      expect([state.asked, receiver.received.length]).toEqual([1, 1]);
    });

    it('write nothing where the process stood still right before the first byte', async () => {
      const receiver = await http();
      const { sender } = senderWith();
      let looks = 0;
      const outcome = await post(sender, receiver.origin, {
        freshness: { isFresh: () => ++looks === 1, confirm: () => Promise.resolve(true) },
      });
      expect([looks, outcome.unwanted]).toEqual([2, true]);
      await receiver.drained();
      expect(receiver.received).toHaveLength(0);
    });

    it('give up where it cannot be found out', async () => {
      const receiver = await http();
      const { sender } = senderWith();
      const confirm = (): Promise<boolean> => Promise.reject(new Error('the database is away'));
      const outcome = await post(sender, receiver.origin, { freshness: { isFresh: () => false, confirm } });
      expect([outcome.unwanted, receiver.received.length]).toEqual([true, 0]);
    });
  });
});
