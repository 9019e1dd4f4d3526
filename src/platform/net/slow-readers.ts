/**
 * A deadline for every response: a client must read it at a minimum rate, or its connection is closed. Node's own
 * timeout detects only silence, and a client that reads a few bytes now and then would hold its response forever.
 *
 * The connections are checked at intervals, so that a response that is sent immediately costs nothing.
 */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';

/** The rate at which a client has to take a response, and how long it may be slower. */
export interface ReadingRate {
  graceMs: number;
  bytesPerSecond: number;
  checkIntervalMs: number;
}

/** A megabyte has two and a half minutes; a telephone on a bad line takes it in one. */
const READING_RATE: ReadingRate = { graceMs: 30_000, bytesPerSecond: 8 * 1024, checkIntervalMs: 1_000 };

/** Node's state of a connection without a public name: tested, since a later version may drop it. */
interface Handle {
  bytesWritten: number;
  writeQueueSize: number;
}

/** A response that has waited for its client at each of the last checks, and the bytes read before them. */
interface Waiting {
  checks: number;
  taken: number;
}

/** Closes the connections of a server whose clients read too slowly. */
export function closeSlowReaders(server: Server, rate: ReadingRate = READING_RATE): void {
  const waiting = new Map<Socket, Waiting | undefined>();
  // Time is counted in checks, not by the clock: while this process stands still, it sends nothing to read.
  const checksOfGrace = Math.ceil(rate.graceMs / rate.checkIntervalMs);
  const leastBytes = ((checksOfGrace * rate.checkIntervalMs) / 1_000) * rate.bytesPerSecond;
  server.on('connection', (socket: Socket) => {
    waiting.set(socket, undefined);
    socket.once('close', () => waiting.delete(socket));
  });
  const timer = setInterval(() => {
    for (const [socket, before] of waiting) {
      const taken = takenBytes(socket);
      if (taken === undefined) {
        if (before) waiting.set(socket, undefined);
      } else if (!before) {
        waiting.set(socket, { checks: 0, taken });
      } else if (++before.checks >= checksOfGrace) {
        if (taken - before.taken < leastBytes) socket.destroy();
        // Bytes read earlier do not compensate for a pause later.
        else waiting.set(socket, { checks: 0, taken });
      }
    }
  }, rate.checkIntervalMs).unref();
  server.once('close', () => clearInterval(timer));
}

/** The bytes that the client has read so far; undefined if none wait for it. */
function takenBytes(socket: Socket): number | undefined {
  if (socket.writableLength === 0) return undefined;
  const handle = (socket as unknown as { _handle?: Handle | null })._handle;
  return handle ? handle.bytesWritten - handle.writeQueueSize : undefined;
}
