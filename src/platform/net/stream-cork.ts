import type { Writable } from 'node:stream';

/**
 * Joins all writes to the stream in this turn of the event loop into one: many small writes cost more, and each wakes
 * the receiver.
 */
export function corkForThisTurn(stream: Writable): void {
  if (stream.writableCorked > 0) return;
  stream.cork();
  setImmediate(() => stream.uncork());
}
