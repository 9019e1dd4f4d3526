import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createTestDatabase, type TestDatabase } from '../../harness/databases';
import { startService, type TestService } from '../../harness/service';
import { until } from '../../harness/until';

const READY = Buffer.from([0x5a, 0, 0, 0, 5, 0x49]);
const FATAL = errorResponse('SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0');

function errorResponse(fields: string): Buffer {
  const body = Buffer.from(fields);
  const head = Buffer.alloc(5);
  head.write('E');
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

/** A way to PostgreSQL on which, while it is poisoned, a FATAL follows the first ReadyForQuery in the same bytes. */
async function startPoison(
  target: number,
): Promise<{ port: number; poison(on: boolean): void; poisoned(): number; drop(): void; stop(): void }> {
  let on = false;
  let count = 0;
  const open = new Set<Socket>();
  const server: Server = createServer((client) => {
    const upstream = connect(target, '127.0.0.1');
    open.add(client);
    client.on('close', () => open.delete(client));
    let fresh = on;
    client.on('data', (chunk) => upstream.write(chunk));
    upstream.on('data', (chunk) => {
      const isReady = chunk.subarray(-READY.length).equals(READY);
      if (fresh && isReady) {
        fresh = false;
        count++;
        client.end(Buffer.concat([chunk, FATAL]));
      } else client.write(chunk);
    });
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      from.on('error', () => to.destroy());
      from.on('close', () => to.destroy());
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    poison: (value) => void (on = value),
    poisoned: () => count,
    drop: () => open.forEach((client) => client.destroy()),
    stop: () => server.close(),
  };
}

describe('a connection that ends in the moment in which it is ready', () => {
  let database: TestDatabase;
  let service: TestService;
  let way: Awaited<ReturnType<typeof startPoison>>;

  beforeAll(async () => {
    database = await createTestDatabase();
    way = await startPoison(Number(new URL(database.serviceUrl).port));
    const url = new URL(database.serviceUrl);
    url.host = `127.0.0.1:${way.port}`;
    service = await startService({ database, env: { DATABASE_URL: url.href } });
  });
  afterAll(async () => {
    await service?.stop();
    way?.stop();
    await database?.drop();
  });

  it('costs requests a 503 at most, and never the process', async () => {
    const tenant = await service.tenant();
    const order = await tenant.createOrder();
    const errors: unknown[] = [];
    const onError = (error: unknown): number => errors.push(error);
    process.on('uncaughtException', onError);
    way.poison(true);
    const statuses: number[] = [];
    for (let round = 0; round < 4; round++) {
      // Without the connections of before, new ones are made, each with the fault.
      way.drop();
      const responses = await Promise.all(
        Array.from({ length: 12 }, (_, at) => tenant.patch(`/orders/${order.id}`, { notes: `${round} ${at}` })),
      );
      statuses.push(...responses.map(({ status }) => status));
    }
    expect(way.poisoned()).toBeGreaterThan(3);
    expect(statuses.filter((status) => status !== 200 && status !== 503)).toEqual([]);
    way.poison(false);
    await until(
      'all is well',
      async () => (await tenant.patch(`/orders/${order.id}`, { notes: 'well' })).status === 200,
    );
    process.off('uncaughtException', onError);
    expect(errors).toEqual([]);
  });
});
