import { uuidv7obj } from 'uuidv7';

/** A new UUIDv7 (RFC 9562), growing within the process, and the time that is in it: the resource's `created_at`. */
export function newTimedId(): { id: string; at: Date } {
  const uuid = uuidv7obj();
  const milliseconds = Buffer.from(uuid.bytes.buffer, uuid.bytes.byteOffset, 6).readUIntBE(0, 6);
  return { id: uuid.toString(), at: new Date(milliseconds) };
}
