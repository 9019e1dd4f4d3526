import type { Writable } from 'node:stream';

/**
 * Has what is written to the stream in this turn of the event loop, from now on, go out in one write: many small ones cost more,
 * and each wakes who reads.
 */
export function corkForThisTurn(stream: Writable): void {
  if (stream.writableCorked > 0) return;
  stream.cork();
  setImmediate(() => stream.uncork());
}
