/**
 * The bytes of an audit entry that its leaf hash covers. They are a list of pairs of a name and a value, each preceded
 * by its length (32 bits, big-endian), so that no two lists have the same bytes. A personal value is replaced by a
 * commitment, SHA-256 over 32 random bytes and the value, and its name ends with `#`. The value and the salt can be
 * erased, and the bytes, and with them every proof, stay the same.
 */
import { createHash } from 'node:crypto';

/** Names and values in the order in which they were written. */
export type CanonicalPairs = readonly (readonly [name: string, value: string | Buffer])[];

/** The first pair of every entry: which encoding the rest has. */
export const CANONICAL_VERSION = 'audit-entry/1';
export const SALT_BYTES = 32;

/** The replacement of a personal value. */
export function commitment(salt: Buffer, value: string): Buffer {
  return createHash('sha256').update(salt).update(value, 'utf8').digest();
}

/** The canonical bytes of these pairs. */
export function encodeCanonical(pairs: CanonicalPairs): Buffer {
  return Buffer.concat(pairs.flatMap(([name, value]) => [prefixed(name), prefixed(value)]));
}

/** The pairs of canonical bytes. @throws RangeError for other bytes */
export function decodeCanonical(bytes: Buffer): [name: string, value: Buffer][] {
  const parts: Buffer[] = [];
  for (let at = 0; at < bytes.length;) {
    if (at + 4 > bytes.length) throw new RangeError('the canonical bytes end within a length');
    const end = at + 4 + bytes.readUInt32BE(at);
    if (end > bytes.length) throw new RangeError('the canonical bytes end within a value');
    parts.push(bytes.subarray(at + 4, end));
    at = end;
  }
  if (parts.length % 2 !== 0) throw new RangeError('the canonical bytes end with a name');
  return Array.from({ length: parts.length / 2 }, (_, index) => [
    (parts[2 * index] as Buffer).toString('utf8'),
    parts[2 * index + 1] as Buffer,
  ]);
}

function prefixed(value: string | Buffer): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value, 'utf8') : value;
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}
