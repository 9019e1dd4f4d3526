/**
 * The bytes of an audit entry that its leaf hash covers. They are a list of pairs of a name and a value, each preceded
 * by its length (32 bits, big-endian), so that no two lists have the same bytes. A personal value is replaced by a
 * commitment, SHA-256 over 32 random bytes and the value, and its name ends with `#`. The value and the salt can be
 * erased, and the bytes, and with them every proof, stay the same.
 */
import { createHash, randomFillSync } from 'node:crypto';

/** Names and values in the order in which they were written. */
export type CanonicalPairs = readonly (readonly [name: string, value: string | Buffer])[];

/** The first pair of every entry: which encoding the rest has. */
export const CANONICAL_VERSION = 'audit-entry/1';
const SALT_BYTES = 32;
const LENGTH_BYTES = 4;

/** Salts are made in blocks: most of the cost of one is the call. */
const salts = Buffer.alloc(64 * SALT_BYTES);
let usedBytes = salts.length;

/** A new salt for a commitment. Each is given out once, and no copy stays behind. */
export function newSalt(): Buffer {
  if (usedBytes === salts.length) {
    randomFillSync(salts);
    usedBytes = 0;
  }
  const end = usedBytes + SALT_BYTES;
  const salt = Buffer.from(salts.subarray(usedBytes, end));
  salts.fill(0, usedBytes, end);
  usedBytes = end;
  return salt;
}

/** The replacement of a personal value. */
export function commitment(salt: Buffer, value: string): Buffer {
  return createHash('sha256').update(salt).update(value, 'utf8').digest();
}

/** The canonical bytes of these pairs. */
export function encodeCanonical(pairs: CanonicalPairs): Buffer {
  const parts = pairs.flat();
  const length = parts.reduce((sum, part) => sum + LENGTH_BYTES + Buffer.byteLength(part), 0);
  const bytes = Buffer.allocUnsafe(length);
  let at = 0;
  for (const part of parts) at = writePrefixed(bytes, part, at);
  return bytes;
}

/** The pairs of canonical bytes. @throws RangeError for other bytes */
export function decodeCanonical(bytes: Buffer): [name: string, value: Buffer][] {
  const parts: Buffer[] = [];
  for (let at = 0; at < bytes.length;) {
    if (at + LENGTH_BYTES > bytes.length) throw new RangeError('the canonical bytes end within a length');
    const end = at + LENGTH_BYTES + bytes.readUInt32BE(at);
    if (end > bytes.length) throw new RangeError('the canonical bytes end within a value');
    parts.push(bytes.subarray(at + LENGTH_BYTES, end));
    at = end;
  }
  if (parts.length % 2 !== 0) throw new RangeError('the canonical bytes end with a name');
  return Array.from({ length: parts.length / 2 }, (_, index) => [
    (parts[2 * index] as Buffer).toString('utf8'),
    parts[2 * index + 1] as Buffer,
  ]);
}

/** @returns the end of the part */
function writePrefixed(bytes: Buffer, part: string | Buffer, at: number): number {
  const start = at + LENGTH_BYTES;
  const length = typeof part === 'string' ? bytes.write(part, start, 'utf8') : part.copy(bytes, start);
  bytes.writeUInt32BE(length, at);
  return start + length;
}
