import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { auditText, changeText } from './audit-entry';
import { commitment, decodeCanonical, encodeCanonical, newSalt } from './canonical';
import { leafHash } from './merkle';

describe('the text of an audit entry', () => {
  it('has no control character, no change of direction and no lone surrogate', () => {
    expect(auditText('a\u0000b\nc\u001b[31m\u202ed\u2028')).toBe('a\\u0000b\\u000ac\\u001b[31m\\u202ed\\u2028');
    expect(auditText('\ud83d')).toBe('\ufffd');
  });

  it('is cut at 512 characters, and none of them is cut in half', () => {
    expect(auditText('x'.repeat(512))).toHaveLength(512);
    const cut = Array.from(auditText('😀'.repeat(600)));
    expect(cut).toHaveLength(512);
    expect(cut.slice(0, 511).every((character) => character === '😀')).toBe(true);
  });

  it('keeps a change that is too large as two texts that are cut', () => {
    const many = Array.from({ length: 100 }, () => 'y'.repeat(100));
    const [before, after] = JSON.parse(changeText([null, many])) as [unknown, string];
    expect(before).toBeNull();
    expect(Array.from(after)).toHaveLength(512);
  });

  it('shows values without a form in JSON as null or as text', () => {
    expect(changeText([undefined, new Date(0)])).toBe('[null,"1970-01-01T00:00:00.000Z"]');
  });
});

describe('salts', () => {
  it('are 32 bytes, and all differ, also over several blocks', () => {
    const salts = Array.from({ length: 200 }, newSalt);
    expect(salts.every((salt) => salt.length === 32)).toBe(true);
    expect(new Set(salts.map((salt) => salt.toString('hex'))).size).toBe(200);
    expect(salts).not.toContainEqual(Buffer.alloc(32));
  });
});

describe('canonical bytes', () => {
  it('can be read again', () => {
    const bytes = encodeCanonical([
      ['name', 'value'],
      ['', Buffer.of(0, 255)],
    ]);
    expect(decodeCanonical(bytes)).toEqual([
      ['name', Buffer.from('value')],
      ['', Buffer.of(0, 255)],
    ]);
  });

  it('differ where a character moves from one value to the next', () => {
    const one = encodeCanonical([['a', 'bc']]);
    const other = encodeCanonical([['ab', 'c']]);
    expect(one.equals(other)).toBe(false);
  });

  it('are refused where they end too early', () => {
    const bytes = encodeCanonical([['name', 'value']]);
    for (let length = 1; length < bytes.length; length++) {
      expect(() => decodeCanonical(bytes.subarray(0, length))).toThrow(RangeError);
    }
  });

  it('of the test vector are those in docs/audit-log.md', () => {
    const network = commitment(Buffer.alloc(32, 7), '203.0.113.9');
    const bytes = encodeCanonical([
      ['version', 'audit-entry/1'],
      ['action', 'order.status_changed'],
      ['changes.status', '["pending","confirmed"]'],
      ['network#', network],
    ]);
    const told = readFileSync(join(__dirname, '../../../docs/audit-log.md'), 'utf8');
    for (const value of [network, bytes, leafHash(bytes)]) expect(told).toContain(`\`${value.toString('base64')}\``);
  });
});
