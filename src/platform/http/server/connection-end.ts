/**
 * How a connection ends. Node closes it at once after its last answer, and a client that is still sending then loses
 * the answer to a reset. Here it is closed in stages (RFC 9112, 9.6): the answer and an end of our side first, then
 * what the client still sends is read and thrown away for a while, then it is closed.
 */
import type { Socket } from 'node:net';

/** How long a client may take to hear the answer. */
const MOST_MS = 5_000;
/** Thrown away as fast as it comes; beyond it, a step for each pause. */
const FAST_BYTES = 1024 * 1024;
const PAUSE_MS = 10;

const closing = new WeakSet<Socket>();

/** Ends our side of a connection and discards what the client sends, within bounds, until it ends its own. */
export function closeInStages(socket: Socket): void {
  if (closing.has(socket)) return;
  closing.add(socket);
  const deadline = setTimeout(() => socket.destroy(), MOST_MS);
  socket.once('close', () => clearTimeout(deadline));
  socket.end();
  // Node resumes the connection for the unread body in this turn; taken over before, it would stay paused.
  setImmediate(() => discard(socket));
}

function discard(socket: Socket): void {
  let discarded = 0;
  // What is behind the refused body is no request any more: its response could not be sent.
  socket.removeAllListeners('data');
  socket.on('data', (chunk: Buffer) => {
    discarded += chunk.length;
    if (discarded < FAST_BYTES) return;
    socket.pause();
    setTimeout(() => socket.resume(), PAUSE_MS);
  });
  socket.resume();
}
