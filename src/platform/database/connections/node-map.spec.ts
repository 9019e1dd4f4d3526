import { hashOfUuid, NodeMap } from './node-map';

describe('the hash of an id', () => {
  // Of PostgreSQL 15: select uuid_hash('…').
  it.each([
    ['00112233-4455-6677-8899-aabbccddeeff', 776152245],
    ['01a00000-0000-7000-8000-000000000001', 1747162356],
  ])('of %s is that of PostgreSQL', (id, hash) => {
    expect(hashOfUuid(id)).toBe(hash);
  });
});

describe('a map of servers', () => {
  const hash = hashOfUuid('01a00000-0000-7000-8000-000000000001');
  const find = (...ranges: [min: number, max: number, node: string | undefined][]): string | undefined =>
    new NodeMap(ranges.map(([min, max, node]) => ({ min, max, node }))).find('01a00000-0000-7000-8000-000000000001');

  it('finds the range with the hash, in any order of ranges, with both of its ends', () => {
    expect(find([hash, 2 ** 31 - 1, 'b'], [-(2 ** 31), hash - 1, 'a'])).toBe('b');
    expect(find([hash + 1, 2 ** 31 - 1, 'b'], [-(2 ** 31), hash, 'a'])).toBe('a');
    expect(find([-(2 ** 31), hash - 1, 'a'], [hash, hash, 'own'], [hash + 1, 2 ** 31 - 1, 'b'])).toBe('own');
  });

  it('knows no server where no range has it, or the range has none', () => {
    expect(find()).toBeUndefined();
    expect(find([-(2 ** 31), hash - 1, 'a'], [hash + 1, 2 ** 31 - 1, 'b'])).toBeUndefined();
    expect(find([-(2 ** 31), 2 ** 31 - 1, undefined])).toBeUndefined();
  });

  it('divides ids of any kind over all ranges', () => {
    const width = 2 ** 32 / 32;
    const ranges = Array.from({ length: 32 }, (_, n) => ({
      min: -(2 ** 31) + n * width,
      max: -(2 ** 31) + (n + 1) * width - 1,
      node: n,
    }));
    const map = new NodeMap(ranges);
    const counts = new Array<number>(32).fill(0);
    for (let i = 0; i < 3_200; i++) {
      const id = `01a00000-0000-7000-8000-${i.toString(16).padStart(12, '0')}`;
      counts[map.find(id) as number]!++;
    }
    expect(counts.reduce((sum, count) => sum + count)).toBe(3_200);
    expect(Math.min(...counts)).toBeGreaterThan(40);
  });
});
