import { tarEnd, tarEntry } from './tar';

describe('an entry of a tar archive', () => {
  const time = new Date('2026-01-31T12:00:00.000Z');

  it('is a header and whole blocks of content', () => {
    for (const [length, blocks] of [
      [0, 1],
      [1, 2],
      [512, 2],
      [513, 3],
    ] as const) {
      expect(tarEntry('a/00001.ndjson', Buffer.alloc(length, 'x'), time)).toHaveLength(blocks * 512);
    }
    expect(tarEnd().equals(Buffer.alloc(1024))).toBe(true);
  });

  it('has the sum of its header, counted with blanks in its place', () => {
    const header = tarEntry('name', Buffer.from('content'), time).subarray(0, 512);
    const told = parseInt(header.toString('latin1', 148, 154), 8);
    const blank = Buffer.from(header);
    blank.fill(' ', 148, 156);
    expect(told).toBe(blank.reduce((sum, byte) => sum + byte, 0));
    expect(header.toString('latin1', 257, 265)).toBe('ustar\u000000');
    expect(parseInt(header.toString('latin1', 124, 135), 8)).toBe(7);
  });

  it('refuses a name that does not fit', () => {
    expect(() => tarEntry('x'.repeat(101), Buffer.alloc(0), time)).toThrow(RangeError);
  });
});
