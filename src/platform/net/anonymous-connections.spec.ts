import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import pino from 'pino';
import { boundAnonymousConnections, noteCredential } from './anonymous-connections';

const MAX = 5;

describe('connections of one network without a credential', () => {
  let server: Server;
  let proxies: string[];
  const clients: Socket[] = [];
  const lines: string[] = [];

  beforeEach(async () => {
    proxies = [];
    server = createServer((request, response) => {
      if (request.headers.authorization !== undefined) noteCredential(request.socket);
      response.end();
    });
    const logger = pino({}, { write: (line: string) => void lines.push(line) });
    boundAnonymousConnections(server, { isProxy: (address) => proxies.includes(address), logger, max: MAX });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  afterEach(() => {
    clients.splice(0).forEach((client) => client.destroy());
    lines.length = 0;
    server.close();
  });

  /** Opens a connection, sends a request, and tells whether it got a response. */
  async function isServed(client: Socket, ...headers: string[]): Promise<boolean> {
    client.write(['GET / HTTP/1.1', 'Host: x', ...headers, '', ''].join('\r\n'));
    return new Promise((resolve) => {
      client.once('data', () => resolve(true));
      client.once('close', () => resolve(false));
    });
  }
  const open = (localAddress?: string): Socket => {
    const { port } = server.address() as AddressInfo;
    const client = connect({ port, host: '127.0.0.1', localAddress }).on('error', () => undefined);
    clients.push(client);
    return client;
  };
  const openServed = async (count: number, ...headers: string[]): Promise<boolean[]> => {
    const served: boolean[] = [];
    for (let i = 0; i < count; i++) served.push(await isServed(open(), ...headers));
    return served;
  };
  const all = (count: number, value: boolean): boolean[] => Array.from({ length: count }, () => value);

  it('are refused beyond the bound, also those with a completed request, and not those of another network', async () => {
    expect(await openServed(MAX + 2)).toEqual([...all(MAX, true), ...all(2, false)]);
    expect(await isServed(open('127.0.0.2'))).toBe(true);
    expect(lines.map((line) => JSON.parse(line) as object)).toMatchObject([
      { level: 40, network: '127.0.0.1', max: MAX },
    ]);
  });

  it('allow new ones after their end', async () => {
    await openServed(MAX);
    const [first] = clients as [Socket];
    first.destroy();
    for (let i = 0; i < 100 && !(await isServed(open())); i++) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await isServed(open())).toBe(false);
  });

  it('do not count after they have carried one, any number of times', async () => {
    expect(await openServed(4 * MAX, 'Authorization: x')).toEqual(all(4 * MAX, true));
    const [first] = clients as [Socket];
    expect([await isServed(first, 'Authorization: x'), await isServed(first)]).toEqual([true, true]);
    expect(await openServed(MAX + 1)).toEqual([...all(MAX, true), false]);
  });

  it('of a trusted proxy are not bounded', async () => {
    proxies = ['127.0.0.1'];
    expect(await openServed(3 * MAX)).toEqual(all(3 * MAX, true));
    expect(lines).toEqual([]);
  });
});
