/**
 * A deadline for every response: a client has to take it at a lowest rate, or its connection is closed. Node's own
 * timeout sees silence alone, and a client that reads a few bytes now and then would hold its response for ever.
 *
 * The connections are looked at in intervals, so that a response that is sent at once costs nothing.
 */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';

/** The rate at which a client has to take a response, and how long it may be slower. */
export interface ReadingRate {
  graceMs: number;
  bytesPerSecond: number;
  lookEveryMs: number;
}

/** A megabyte has two and a half minutes; a telephone on a bad line takes it in one. */
const READING_RATE: ReadingRate = { graceMs: 30_000, bytesPerSecond: 8 * 1024, lookEveryMs: 1_000 };

/** What Node knows of a connection and has no public name for: tested, since a later version may drop it. */
interface Handle {
  bytesWritten: number;
  writeQueueSize: number;
}

/** A response that has been waiting for its client at every look since, and the bytes that were taken by then. */
interface Waiting {
  since: number;
  taken: number;
}

/** Closes the connections of a server whose clients read too slowly. */
export function closeSlowReaders(server: Server, rate: ReadingRate = READING_RATE): void {
  const waiting = new Map<Socket, Waiting | undefined>();
  server.on('connection', (socket: Socket) => {
    waiting.set(socket, undefined);
    socket.once('close', () => waiting.delete(socket));
  });
  const timer = setInterval(() => {
    const now = performance.now();
    for (const [socket, before] of waiting) {
      const taken = takenBytes(socket);
      if (taken === undefined) {
        if (before) waiting.set(socket, undefined);
      } else if (!before) {
        waiting.set(socket, { since: now, taken });
      } else if (now - before.since > rate.graceMs) {
        const least = ((now - before.since) / 1_000) * rate.bytesPerSecond;
        if (taken - before.taken < least) socket.destroy();
        // What was taken earlier does not pay for a pause later.
        else waiting.set(socket, { since: now, taken });
      }
    }
  }, rate.lookEveryMs).unref();
  server.once('close', () => clearInterval(timer));
}

/** The bytes that the client has taken so far; undefined where none wait for it. */
function takenBytes(socket: Socket): number | undefined {
  if (socket.writableLength === 0) return undefined;
  const handle = (socket as unknown as { _handle?: Handle | null })._handle;
  return handle ? handle.bytesWritten - handle.writeQueueSize : undefined;
}
