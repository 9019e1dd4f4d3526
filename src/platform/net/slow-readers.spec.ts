import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { closeSlowReaders } from './slow-readers';

/** More than the buffers of both ends of a connection hold. */
const LARGE = Buffer.alloc(24 * 1024 * 1024);
const RATE = { graceMs: 600, bytesPerSecond: 1_000_000, checkIntervalMs: 50 };

describe('a client that does not take its response', () => {
  let server: Server;
  const clients: Socket[] = [];

  beforeAll(async () => {
    server = createServer((request, response) => {
      if (request.url === '/large') response.end(LARGE);
      else response.end('small');
    });
    closeSlowReaders(server, RATE);
    await new Promise<void>((resolve) => server.listen(0, resolve));
  });
  afterEach(() => clients.splice(0).forEach((client) => client.destroy()));
  afterAll(() => void server.close());

  const ask = (path: string): Socket => {
    const client = connect((server.address() as AddressInfo).port).on('error', () => undefined);
    clients.push(client);
    client.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
    return client;
  };
  const open = (): Promise<number> =>
    new Promise((resolve, reject) => server.getConnections((error, count) => (error ? reject(error) : resolve(count))));
  const closedAfter = async (milliseconds: number): Promise<boolean> => {
    for (const end = performance.now() + milliseconds; performance.now() < end;) {
      if ((await open()) === 0) return true;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return false;
  };

  it('is disconnected, where it reads nothing, and not before its time', async () => {
    const lasted = new Promise<number>((resolve) =>
      server.once('connection', (socket: Socket) => {
        const began = performance.now();
        socket.once('close', () => resolve(performance.now() - began));
      }),
    );
    ask('/large').pause();
    expect(await lasted).toBeGreaterThan(RATE.graceMs - RATE.checkIntervalMs);
  });

  it('is disconnected, where it reads a little now and then, which is no silence', async () => {
    const client = ask('/large');
    await new Promise<void>((resolve) => client.once('readable', resolve));
    const sip = setInterval(() => client.read(1_000), 50);
    expect(await closedAfter(20_000)).toBe(true);
    clearInterval(sip);
  });

  it('gets no credit for bytes from before its pause', async () => {
    const client = ask('/large');
    await new Promise<void>((resolve) => {
      let taken = 0;
      client.on('data', (chunk: Buffer) => {
        taken += chunk.length;
        if (taken < 8 * 1024 * 1024) return;
        client.pause();
        resolve();
      });
    });
    expect(await closedAfter(20_000)).toBe(true);
  });

  it('gets all of it, where it is slower than the server and fast enough', async () => {
    const client = ask('/large');
    let taken = 0;
    client.on('data', (chunk: Buffer) => {
      taken += chunk.length;
      client.pause();
      setTimeout(() => client.resume(), 5);
    });
    for (let i = 0; i < 400 && taken < LARGE.length; i++) await new Promise((resolve) => setTimeout(resolve, 50));
    expect(taken).toBeGreaterThan(LARGE.length);
    client.destroy();
  });

  it('keeps a connection on which nothing waits', async () => {
    const client = ask('/small');
    await new Promise((resolve) => client.once('data', resolve));
    expect(await closedAfter(1_500)).toBe(false);
  });
});
