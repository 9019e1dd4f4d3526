import { uuidv7obj } from 'uuidv7';

/** A new UUIDv7 (RFC 9562), growing within the process, and the time that is in it: the resource's `created_at`. */
export function newTimedId(): { id: string; at: Date } {
  const uuid = uuidv7obj();
  const milliseconds = Buffer.from(uuid.bytes.buffer, uuid.bytes.byteOffset, 6).readUIntBE(0, 6);
  return { id: uuid.toString(), at: new Date(milliseconds) };
}

/** The smallest UUIDv7 of a time: where a range of ids of that time begins. */
export function firstIdAt(milliseconds: number): string {
  const clamped = Math.min(Math.max(milliseconds, 0), 0xffff_ffff_ffff);
  const hex = clamped.toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`;
}
