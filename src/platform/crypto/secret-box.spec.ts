import fc from 'fast-check';
import { createSecretBox, newKey, SecretBoxError } from './secret-box';

const k1 = newKey('k1');
const k2 = newKey('2026-02_b');
const context = '01980000-0000-7000-8000-00000000000a/01980000-0000-7000-8000-00000000000b';

function faultOf(open: () => unknown): string {
  try {
    open();
  } catch (error) {
    if (error instanceof SecretBoxError) return error.code;
    throw error;
  }
  return 'opened';
}

describe('secret box', () => {
  const box = createSecretBox(k1);

  it('decrypts what it encrypted, text and bytes, and encrypts the same text differently each time', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.uint8Array(), (text, bytes) => {
        expect(box.decrypt(box.encrypt(text, context), context)).toBe(text);
        expect(box.decryptBytes(box.encrypt(Buffer.from(bytes), context), context)).toEqual(Buffer.from(bytes));
      }),
    );
    const encrypted = new Set(Array.from({ length: 50 }, () => box.encrypt('whsec_x', context)));
    expect(encrypted.size).toBe(50);
    for (const text of encrypted) expect(text).toMatch(/^v1\.k1\.[A-Za-z0-9_-]{16}\.[A-Za-z0-9_-]{31}$/);
  });

  it('does not decrypt in another context, nor without one', () => {
    const encrypted = box.encrypt('secret', context);
    expect(faultOf(() => box.decrypt(encrypted, `${context}0`))).toBe('not_authentic');
    expect(() => box.decrypt(encrypted, '')).toThrow('bound to a context');
    expect(() => box.encrypt('secret', '')).toThrow('bound to a context');
  });

  it('does not decrypt after the change of any character', () => {
    const encrypted = box.encrypt('a secret of some length', context);
    for (let at = 0; at < encrypted.length; at++) {
      for (const other of ['A', 'B', '.', ' ', '=']) {
        if (encrypted[at] === other) continue;
        expect(faultOf(() => box.decrypt(encrypted.slice(0, at) + other + encrypted.slice(at + 1), context))).not.toBe(
          'opened',
        );
      }
    }
    expect(faultOf(() => box.decrypt(encrypted.slice(0, -1), context))).not.toBe('opened');
    expect(faultOf(() => box.decrypt(`${encrypted}A`, context))).not.toBe('opened');
  });

  it.each([
    '',
    'v1',
    'v1.k1',
    'v1.k1..',
    'v1.k1.AAAAAAAAAAAAAAAA.',
    'v2.k1.AAAAAAAAAAAAAAAA.AAAA',
    'whsec_plain',
    `v1.k1.AAAAAAAAAAAAAAAA.${'A'.repeat(20)}`,
  ])('calls %j malformed', (text) => expect(faultOf(() => box.decrypt(text, context))).toBe('malformed'));

  it('rotates: the first key encrypts, all decrypt, a dropped one is named', () => {
    const old = box.encrypt('secret', context);
    const rotated = createSecretBox(`${k2}, ${k1}`);
    expect(rotated.currentKid).toBe('2026-02_b');
    expect(rotated.decrypt(old, context)).toBe('secret');
    expect([rotated.isCurrent(old), box.isCurrent(old), box.isCurrent('whsec_plain')]).toEqual([false, true, false]);
    const fresh = rotated.encrypt('secret', context);
    expect(rotated.isCurrent(fresh)).toBe(true);
    expect(faultOf(() => box.decrypt(fresh, context))).toBe('unknown_key');
    expect(() => box.decrypt(fresh, context)).toThrow("'2026-02_b'");
  });

  it('notices a key that changed under its id', () => {
    expect(faultOf(() => createSecretBox(newKey('k1')).decrypt(box.encrypt('secret', context), context))).toBe(
      'not_authentic',
    );
  });

  it.each([
    ['', 'encryption key 1: expected kid:base64'],
    ['k1', 'encryption key 1: expected kid:base64'],
    [`${k1},`, 'encryption key 2: expected kid:base64'],
    [':AAAA', 'encryption key 1: its id'],
    ['a b:AAAA', 'encryption key 1: its id'],
    ['k1.x:AAAA', 'encryption key 1: its id'],
    [`${k1},${newKey('k1')}`, "encryption key 2: the id 'k1' is there twice"],
    ['k1:####', "encryption key 1 ('k1'): not valid base64"],
    ['k1:c2hvcnQ=', "encryption key 1 ('k1'): 5 bytes, expected 32"],
    [`k1:${Buffer.alloc(33).toString('base64')}`, '33 bytes, expected 32'],
  ])('refuses the key list %j', (list, message) => {
    expect(() => createSecretBox(list)).toThrow(RangeError);
    expect(() => createSecretBox(list)).toThrow(message);
  });
});
