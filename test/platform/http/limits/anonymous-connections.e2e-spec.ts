import { once } from 'node:events';
import type { Server } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { ApiClient } from '../../../harness/client';
import { startService, type TestService } from '../../../harness/service';
import { until } from '../../../harness/until';

/** As src/platform/net/anonymous-connections.ts has it. */
const MAX = 1_000;
const WITHIN_MS = 30_000;

describe('open connections of one address without a credential', () => {
  let service: TestService;
  const clients: Socket[] = [];

  afterEach(async () => {
    clients.splice(0).forEach((client) => client.destroy());
    await service.stop();
  });

  /** A busy machine opens the connections slowly: none may end by a timeout meanwhile. */
  async function start(env: Record<string, string> = {}): Promise<void> {
    service = await startService({ env });
    Object.assign(service.app.getHttpServer() as Server, { headersTimeout: 0, requestTimeout: 0 });
  }
  async function open(localAddress?: string): Promise<Socket> {
    const { port } = new URL(service.url);
    const client = connect({ port: Number(port), host: '127.0.0.1', localAddress }).on('error', () => undefined);
    clients.push(client);
    await once(client, 'connect');
    return client;
  }
  /** The status of the response, or 0 if the connection ends without one. */
  async function statusOf(client: Socket, path: string, ...headers: string[]): Promise<number> {
    const answered = new Promise<string>((resolve) => {
      client.once('data', (data: Buffer) => resolve(data.toString('latin1')));
      client.once('close', () => resolve(''));
    });
    client.write([`GET ${path} HTTP/1.1`, 'Host: localhost', ...headers, '', ''].join('\r\n'));
    return Number(/^HTTP\/1\.1 (\d{3})/.exec(await answered)?.[1] ?? 0);
  }
  const authorizationOf = (tenant: ApiClient): string => `Authorization: Bearer ${tenant.session?.access_token}`;

  it('do not block other addresses, nor clients of that address with a credential', async () => {
    await start();
    const authorization = authorizationOf(await service.tenant());
    const signedIn = await open();
    expect(await statusOf(signedIn, '/api/v1/orders', authorization)).toBe(200);
    const idle = await Promise.all(Array.from({ length: MAX }, () => open()));
    // A connection that registered the tenant may still be open: it counts, too.
    await until('the bound', async () => (await statusOf(await open(), '/health/live')) === 0, WITHIN_MS);
    expect(await statusOf(signedIn, '/api/v1/orders', authorization)).toBe(200);
    expect(await statusOf(await open('127.0.0.2'), '/health/live')).toBe(200);
    expect(service.logLines.filter((line) => line.includes('name it in TRUST_PROXY'))).toHaveLength(1);
    idle.slice(0, 10).forEach((client) => client.destroy());
    await until('room', async () => (await statusOf(await open(), '/health/live')) === 200, WITHIN_MS);
  });

  it('are the business of a proxy that TRUST_PROXY names', async () => {
    await start({ TRUST_PROXY: '1' });
    await Promise.all(Array.from({ length: MAX + 50 }, () => open()));
    expect(await statusOf(await open(), '/health/live')).toBe(200);
  });
});
