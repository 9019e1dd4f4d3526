import { createSocket } from 'node:dgram';
import type { Socket } from 'node:dgram';
import type { AddressInfo } from 'node:net';
import { createResolver } from './resolver';
import type { Resolve } from './resolver';

type Behaviour = Record<string, { A?: number[][]; AAAA?: number[][]; code?: number; silent?: true }>;

/** A minimal name server on loopback: one question, then its addresses, an error code, or silence. */
async function nameServer(zone: Behaviour): Promise<{ address: string; asked: string[]; socket: Socket }> {
  const socket = createSocket('udp4');
  const asked: string[] = [];
  socket.on('message', (query, from) => {
    const labels: string[] = [];
    let at = 12;
    while (query[at] !== 0) {
      labels.push(query.toString('latin1', at + 1, at + 1 + query[at]!));
      at += 1 + query[at]!;
    }
    const type = query.readUInt16BE(at + 1) === 28 ? 'AAAA' : 'A';
    const name = labels.join('.').toLowerCase();
    asked.push(`${type} ${name}`);
    const known = zone[name];
    if (known?.silent) return;
    const responses = known?.[type] ?? [];
    const head = Buffer.alloc(12);
    query.copy(head, 0, 0, 2);
    head.writeUInt16BE(0x8180 | (known ? (known.code ?? 0) : 3), 2);
    head.writeUInt16BE(1, 4);
    head.writeUInt16BE(responses.length, 6);
    const records = responses.map((bytes) => {
      const record = Buffer.from([0xc0, 12, 0, type === 'A' ? 1 : 28, 0, 1, 0, 0, 0, 0, 0, bytes.length]);
      return Buffer.concat([record, Buffer.from(bytes)]);
    });
    socket.send(Buffer.concat([head, query.subarray(12, at + 5), ...records]), from.port, from.address);
  });
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  return { address: `127.0.0.1:${(socket.address() as AddressInfo).port}`, asked, socket };
}

describe('the resolver', () => {
  let server: Awaited<ReturnType<typeof nameServer>>;
  const system: string[] = [];
  let resolve: Resolve;

  beforeAll(async () => {
    server = await nameServer({
      'both.test': {
        A: [
          [192, 0, 2, 1],
          [192, 0, 2, 2],
        ],
        AAAA: [[...Array<number>(15).fill(0), 1]],
      },
      'four.test': { A: [[192, 0, 2, 3]] },
      'empty.test': {},
      'broken.test': { code: 2 },
      'silent.test': { silent: true },
    });
    const lookup: Resolve = (hostname) => {
      system.push(hostname);
      return hostname === 'hosts-file' ? Promise.resolve(['10.0.0.9']) : Promise.reject(new Error('ENOTFOUND'));
    };
    resolve = createResolver({ servers: [server.address], timeout: 100, tries: 1, lookup });
  });
  afterAll(() => server.socket.close());
  beforeEach(() => {
    system.length = 0;
    server.asked.length = 0;
  });

  it('gives all addresses of both families', async () => {
    expect(await resolve('both.test')).toEqual(['192.0.2.1', '192.0.2.2', '::1']);
    expect(await resolve('four.test')).toEqual(['192.0.2.3']);
    expect(system).toEqual([]);
  });

  it('uses the system for names that DNS does not know, and for no other', async () => {
    expect(await resolve('hosts-file')).toEqual(['10.0.0.9']);
    await expect(resolve('empty.test')).rejects.toThrow();
    await expect(resolve('nowhere.test')).rejects.toThrow();
    expect(system).toEqual(['hosts-file', 'empty.test', 'nowhere.test']);
  });

  it('does not let a silent or broken name server near the thread pool', async () => {
    await expect(resolve('silent.test')).rejects.toThrow();
    await expect(resolve('broken.test')).rejects.toThrow();
    expect(system).toEqual([]);
  });

  it('looks a name up once for concurrent callers, and again the next time', async () => {
    await Promise.all(Array.from({ length: 20 }, () => resolve('four.test')));
    expect(server.asked.sort()).toEqual(['A four.test', 'AAAA four.test']);
    await resolve('four.test');
    expect(server.asked).toHaveLength(4);
  });

  it('reads the hosts file of the system by default', async () => {
    const real = createResolver({ servers: [server.address], timeout: 100, tries: 1 });
    expect(await real('localhost')).toContain('127.0.0.1');
  });
});
