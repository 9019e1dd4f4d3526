import { brotliCompressSync, constants, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { ResponseBody, KEEP_LIMIT, READ_LIMIT, toStorableText } from './response-body';

async function textOf(bytes: Buffer, encoding?: string, chunkSize = 1_000): Promise<string | undefined> {
  const body = new ResponseBody(encoding);
  for (let at = 0; at < bytes.length; at += chunkSize) if (!body.add(bytes.subarray(at, at + chunkSize))) break;
  return body.text();
}

describe('the stored part of a response', () => {
  it('is short text as it came', async () => {
    expect(await textOf(Buffer.from('Grüße 🚀'), undefined, 3)).toBe('Grüße 🚀');
    expect(await textOf(Buffer.alloc(0))).toBe('');
    expect(await textOf(Buffer.alloc(0), 'gzip')).toBe('');
  });

  it('is cut at 4 KiB, between characters', async () => {
    expect(await textOf(Buffer.from('a'.repeat(KEEP_LIMIT)))).toBe('a'.repeat(KEEP_LIMIT));
    expect(await textOf(Buffer.from('a'.repeat(KEEP_LIMIT + 1)))).toBe('a'.repeat(KEEP_LIMIT));
    for (const chunkSize of [1, 7, 100_000]) {
      for (const lead of ['', 'a', 'aa', 'aaa']) {
        const text = (await textOf(Buffer.from(lead + '🚀'.repeat(2_000)), undefined, chunkSize))!;
        expect(text).toMatch(/^a{0,3}🚀+$/u);
        expect(KEEP_LIMIT - Buffer.byteLength(text)).toBeLessThan(4);
      }
    }
  });

  it('holds no NUL, no invalid character and never more than 4 KiB, for any response', async () => {
    expect(await textOf(Buffer.from('a\0b\xff', 'latin1'))).toBe('a\ufffdb\ufffd');
    expect(Buffer.byteLength((await textOf(Buffer.alloc(10_000)))!)).toBe(KEEP_LIMIT - (KEEP_LIMIT % 3));
    expect(await textOf(Buffer.from('eda080', 'hex'))).toBe('\ufffd\ufffd\ufffd');
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2 * KEEP_LIMIT, size: 'max' }), (bytes) => {
        const text = toStorableText(Buffer.from(bytes));
        expect(text).not.toMatch(/\0|\p{Surrogate}/u);
        expect(Buffer.byteLength(text)).toBeLessThanOrEqual(KEEP_LIMIT);
        expect(Buffer.from(text).toString()).toBe(text);
      }),
      { numRuns: 30 },
    );
  });

  it('reads no more after 64 KiB', () => {
    const body = new ResponseBody(undefined);
    expect(body.add(Buffer.alloc(READ_LIMIT))).toBe(true);
    expect(body.add(Buffer.alloc(1))).toBe(false);
  });
});

describe('a compressed response', () => {
  const plain = 'Grüße 🚀 '.repeat(20);
  const packers: [string, (bytes: Buffer) => Buffer][] = [
    ['gzip', gzipSync],
    ['x-gzip', gzipSync],
    [' GZIP ', gzipSync],
    ['deflate', deflateSync],
    ['deflate', deflateRawSync],
    ['br', brotliCompressSync],
  ];

  it.each(packers)('is unpacked: %s', async (encoding, pack) => {
    expect(await textOf(pack(Buffer.from(plain)), encoding)).toBe(plain);
    expect(await textOf(pack(Buffer.from(plain)), encoding, 1)).toBe(plain);
    expect(await textOf(pack(Buffer.from('a'.repeat(100_000))), encoding)).toBe('a'.repeat(KEEP_LIMIT));
  });

  it.each(packers)('shows the part before the damage or the cut: %s', async (encoding, pack) => {
    // Random text, so that the cut falls into the middle of the visible part.
    const long = Array.from({ length: 3_000 }, (_, n) => ((n * 7_919) % 36).toString(36)).join('');
    const packed = pack(Buffer.from(long));
    const text = (await textOf(packed.subarray(0, packed.length / 2), encoding))!;
    expect(long.startsWith(text.replace(/\ufffd$/, ''))).toBe(true);
    expect(typeof (await textOf(Buffer.concat([packed.subarray(0, 20), Buffer.alloc(500, 0xee)]), encoding))).toBe(
      'string',
    );
    expect(typeof (await textOf(Buffer.from('not packed at all'), encoding))).toBe('string');
  });

  it.each(['zstd', 'compress', 'gzip, gzip', 'br,gzip', 'nonsense'])(
    'is not shown where %s is not understood',
    async (encoding) => {
      expect(await textOf(gzipSync('text'), encoding)).toBeUndefined();
    },
  );

  it('does not go off: bombs are unpacked only as far as they are shown', async () => {
    const pile = Buffer.alloc(32 * 1024 * 1024, 'a');
    const bombs: [string, Buffer][] = [
      ['gzip', gzipSync(pile)],
      ['deflate', deflateSync(pile)],
      [
        'br',
        brotliCompressSync(pile, {
          params: { [constants.BROTLI_PARAM_QUALITY]: 5, [constants.BROTLI_PARAM_LGWIN]: 24 },
        }),
      ],
    ];
    const before = process.memoryUsage().rss;
    const responses = await Promise.all(
      Array.from({ length: 120 }, (_, n) => bombs[n % 3]!).map(([encoding, bomb]) => textOf(bomb, encoding, 16_384)),
    );
    expect(new Set(responses)).toEqual(new Set(['a'.repeat(KEEP_LIMIT)]));
    // Unpacked in full they would be nearly 4 GiB.
    expect(process.memoryUsage().rss - before).toBeLessThan(1024 * 1024 * 1024);
  });
});
