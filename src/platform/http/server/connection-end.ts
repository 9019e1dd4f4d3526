/**
 * The end of a connection. Node closes it immediately after its last response, and a client that is still sending then
 * loses the response to a reset. Here it is closed in stages (RFC 9112, 9.6): first the response and an end of our
 * side, then the client's further bytes are read and discarded for a while, then the connection closes.
 */
import type { Socket } from 'node:net';

/** How long a client may take to read the response. */
const MAX_MS = 5_000;
/** Discarded without a pause; beyond it, a portion per pause. */
const FAST_BYTES = 1024 * 1024;
const PAUSE_MS = 10;

const closing = new WeakSet<Socket>();

/** Ends our side of a connection and discards the client's bytes, within bounds, until the client ends its side. */
export function closeInStages(socket: Socket): void {
  if (closing.has(socket)) return;
  closing.add(socket);
  const deadline = setTimeout(() => socket.destroy(), MAX_MS);
  socket.once('close', () => clearTimeout(deadline));
  socket.end();
  // Node resumes the connection for the unread body in this turn; an earlier takeover would leave it paused.
  setImmediate(() => discard(socket));
}

function discard(socket: Socket): void {
  let discarded = 0;
  // Bytes behind the refused body are no request any more: its response could not be sent.
  socket.removeAllListeners('data');
  socket.on('data', (chunk: Buffer) => {
    discarded += chunk.length;
    if (discarded < FAST_BYTES) return;
    socket.pause();
    setTimeout(() => socket.resume(), PAUSE_MS);
  });
  socket.resume();
}
