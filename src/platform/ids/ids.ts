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

/** A new UUIDv7 (RFC 9562), increasing within the process, and the time in it: the resource's `created_at`. */
export function newTimedId(): { id: string; at: Date } {
  const uuid = generator.generate();
  const milliseconds = Buffer.from(uuid.bytes.buffer, uuid.bytes.byteOffset, 6).readUIntBE(0, 6);
  return { id: uuid.toString(), at: new Date(milliseconds) };
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
