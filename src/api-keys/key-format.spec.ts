import { crc32 } from 'node:zlib';
import { hashOfKey, KEY_PATTERN, looksLikeKey, newKey, tenantOfKey } from './key-format';

const TENANT = '0198c0de-7a11-7000-8000-000000000002';
const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** Base62 by repeated division of a list of digits: independent of the code under test. */
function base62(value: bigint, length: number): string {
  return value === 0n
    ? '0'.repeat(length)
    : (base62(value / 62n, length - 1) + ALPHABET[Number(value % 62n)]).slice(-length);
}
const checksummed = (content: string) => content + base62(BigInt(crc32(content)), 6);
const idNumber = BigInt(`0x${TENANT.replaceAll('-', '')}`);

describe('the text of an API key', () => {
  it('names its tenant, and fits the published expression', () => {
    for (let round = 0; round < 200; round++) {
      const key = newKey(TENANT);
      expect(key.text).toMatch(new RegExp(`^${KEY_PATTERN}$`));
      expect(key.text.slice(4, 26)).toBe(base62(idNumber, 22));
      expect(key.hint).toBe(key.text.slice(27, 31));
      expect(checksummed(key.text.slice(0, -6))).toBe(key.text);
      expect(tenantOfKey(key.text)).toBe(TENANT);
      expect(key.hash).toEqual(hashOfKey(key.text));
    }
  });

  it('is padded on the left, for the smallest and the largest ids', () => {
    expect(tenantOfKey(checksummed(`osa_${'0'.repeat(22)}_${'0'.repeat(43)}`))).toBe(
      '00000000-0000-0000-0000-000000000000',
    );
    const largest = checksummed(`osa_${base62((1n << 128n) - 1n, 22)}_${base62((1n << 256n) - 1n, 43)}`);
    expect(tenantOfKey(largest)).toBe('ffffffff-ffff-ffff-ffff-ffffffffffff');
  });

  it('is refused beyond the fields, with a right checksum', () => {
    expect(tenantOfKey(checksummed(`osa_${base62(1n << 128n, 22)}_${'0'.repeat(43)}`))).toBeUndefined();
    expect(tenantOfKey(checksummed(`osa_${'0'.repeat(22)}_${base62(1n << 256n, 43)}`))).toBeUndefined();
    expect(tenantOfKey(checksummed(`osa_${'z'.repeat(22)}_${'z'.repeat(43)}`))).toBeUndefined();
  });

  it('is refused where any character differs', () => {
    const { text } = newKey(TENANT);
    for (let at = 0; at < text.length; at++) {
      const other = text[at] === 'A' ? 'B' : 'A';
      expect(tenantOfKey(text.slice(0, at) + other + text.slice(at + 1))).toBeUndefined();
    }
  });

  it.each(['', 'osa_', 'eyJh.x.y', ` ${newKey(TENANT).text}`, `${newKey(TENANT).text}0`, 'OSA_a'])(
    'is not %j',
    (text) => expect(tenantOfKey(text)).toBeUndefined(),
  );

  it('differs from other tokens by its prefix', () => {
    expect(looksLikeKey(newKey(TENANT).text)).toBe(true);
    expect(looksLikeKey('eyJhbGciOiJIUzI1NiJ9.e30.c2ln')).toBe(false);
  });
});
