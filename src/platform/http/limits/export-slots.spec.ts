import type { Readable } from 'node:stream';
import { RateLimited } from '../../errors';
import { ExportSlots } from './export-slots';

const CHUNK = 'x'.repeat(1024 * 1024);

describe('slots of exports', () => {
  let now: number;
  let streams: Readable[];
  let slots: ExportSlots;

  beforeEach(() => {
    now = 0;
    streams = [];
    jest.spyOn(performance, 'now').mockImplementation(() => now);
    slots = new ExportSlots(16, 4);
  });
  afterEach(() => {
    for (const stream of streams) stream.destroy();
    jest.restoreAllMocks();
  });

  async function* chunks(): AsyncGenerator<string> {
    for (let i = 0; i < 100; i++) yield CHUNK;
  }
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const open = (tenantId: string): Readable => {
    const stream = slots.stream(tenantId, chunks()).on('error', () => undefined);
    streams.push(stream);
    return stream;
  };
  /** Begins to read, so that the first chunk waits for a reader that does not continue. */
  const openAndStall = async (tenantId: string): Promise<Readable> => {
    const stream = open(tenantId);
    stream.read(0);
    await turn();
    return stream;
  };
  const fill = async (): Promise<Readable[]> => {
    const all: Readable[] = [];
    for (const tenant of ['a', 'b', 'c', 'd']) for (let i = 0; i < 4; i++) all.push(await openAndStall(tenant));
    return all;
  };

  it('are four for a tenant', async () => {
    for (let i = 0; i < 4; i++) await openAndStall('a');
    expect(() => open('a')).toThrow(RateLimited);
    now = 60_000;
    expect(() => open('a')).toThrow(RateLimited);
    expect(slots.size).toBe(4);
  });

  it('are all taken while their readers read', async () => {
    await fill();
    now = 1_000;
    expect(() => open('e')).toThrow(RateLimited);
  });

  it('go from the slowest reader to the next tenant', async () => {
    const [first, ...others] = await fill();
    now = 3_000;
    const late = open('e');
    await turn();
    expect(first?.destroyed).toBe(true);
    expect([...others, late].some((stream) => stream.destroyed)).toBe(false);
    expect(slots.size).toBe(16);
  });

  it('are taken from a tenant with many before one with few', async () => {
    const only = await openAndStall('e');
    now = 10;
    for (const tenant of ['a', 'b', 'c']) for (let i = 0; i < 4; i++) await openAndStall(tenant);
    for (let i = 0; i < 3; i++) await openAndStall('d');
    now = 5_000;
    open('f');
    expect(only.destroyed).toBe(false);
    expect(streams.filter((stream) => stream.destroyed)).toHaveLength(1);
  });

  it('are free after the end of an export, with any outcome', async () => {
    const all = await fill();
    all[0]?.destroy();
    await turn();
    expect(slots.size).toBe(15);
  });
});
