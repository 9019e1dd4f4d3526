import { randomFillSync } from 'node:crypto';
import { V7Generator } from 'uuidv7';

const random = new Uint32Array(1024);
let used = random.length;
/** Fetches random bytes in blocks from the library's own source: most of an id's cost is the system call. */
const generator = new V7Generator({
  nextUint32() {
    if (used === random.length) {
      randomFillSync(random);
      used = 0;
    }
    return random[used++] as number;
  },
});

const HEX = Buffer.from('0123456789abcdef');
/** The positions of each byte's digits in the text. */
const PLACES = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34] as const;
/** The length of the time in the text. */
const TIME_LENGTH = 13;
const text = Buffer.from('00000000-0000-0000-0000-000000000000');

/** The id of these bytes, as one flat string: the library's is put together of 40. */
function format(bytes: Readonly<Uint8Array>): string {
  for (let i = 0; i < PLACES.length; i++) {
    const byte = bytes[i] as number;
    const place = PLACES[i] as number;
    text[place] = HEX[byte >>> 4] as number;
    text[place + 1] = HEX[byte & 0xf] as number;
  }
  return text.toString('latin1');
}

/** A new UUIDv7 (RFC 9562), increasing within the process, and the time in it: the resource's `created_at`. */
export function newTimedId(): { id: string; at: Date } {
  const id = newId();
  return { id, at: timeOfId(id) };
}

/** A new UUIDv7 alone. */
export function newId(): string {
  return format(generator.generate().bytes);
}

/** A new UUIDv7 of a time that another clock has told. @param milliseconds Unix time */
export function newIdAt(milliseconds: number): string {
  return firstIdAt(Math.trunc(milliseconds)).slice(0, TIME_LENGTH) + newId().slice(TIME_LENGTH);
}

/** The smallest UUIDv7 of a time: the start of a range of ids. */
export function firstIdAt(milliseconds: number): string {
  const clamped = Math.min(Math.max(milliseconds, 0), 0xffff_ffff_ffff);
  const hex = clamped.toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`;
}

/** The time that is in a UUIDv7. */
export function timeOfId(id: string): Date {
  return new Date(parseInt(id.slice(0, 8) + id.slice(9, 13), 16));
}
