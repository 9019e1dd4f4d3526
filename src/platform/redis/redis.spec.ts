import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { Redis } from 'ioredis';
import { connectRedis } from './redis';

describe('the client of Redis', () => {
  let server: Server;
  let redis: Redis;
  const sockets = new Set<Socket>();

  beforeEach(async () => {
    // Replies OK to every command.
    server = createServer((socket) => {
      sockets.add(socket.on('error', () => undefined));
      socket.on('data', (data) => socket.write('+OK\r\n'.repeat(data.toString().match(/\*\d+\r\n\$/g)?.length ?? 0)));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    redis = connectRedis(`redis://127.0.0.1:${port}`, { enableReadyCheck: false }) as Redis;
    await redis.ping();
  });
  afterEach(async () => {
    redis.disconnect();
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });

  it('sends the commands of one turn of the event loop in one write, and a single command at once', async () => {
    const together = jest.spyOn(redis.stream, '_writev' as never);
    const alone = jest.spyOn(redis.stream, '_write' as never);
    const responses = await Promise.all(Array.from({ length: 50 }, (_, i) => redis.set(`key-${i}`, 'value')));
    expect(responses).toEqual(Array.from({ length: 50 }, () => 'OK'));
    expect(together).toHaveBeenCalledTimes(1);
    expect(alone).not.toHaveBeenCalled();
    expect(await redis.set('key', 'value')).toBe('OK');
    expect(alone).toHaveBeenCalledTimes(1);
  });

  it('sends pending commands before it quits', async () => {
    const asked = redis.set('key', 'value');
    const left = redis.quit();
    expect(await Promise.all([asked, left])).toEqual(['OK', 'OK']);
  });
});
