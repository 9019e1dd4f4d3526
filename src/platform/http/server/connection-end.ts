/**
 * How a connection ends. Node closes it at once after its last answer, and a client that is still sending then loses the
 * answer to a reset. Here it is closed in stages (RFC 9112, 9.6): the answer and an end of our side first, then what the
 * client still sends is read and thrown away for a while, then it is closed.
 */
import type { Socket } from 'node:net';

/** How long a client may take to hear the answer. */
const MOST_MS = 5_000;
/** Thrown away as fast as it comes; beyond it, a step for each pause. */
const FAST_BYTES = 1024 * 1024;
const PAUSE_MS = 10;

/** Ends our side of a connection and discards what the client sends, within bounds, until it ends its own. */
export function closeInStages(socket: Socket): void {
  // What is behind the refused body is no request any more: its answer could not be sent.
  socket.removeAllListeners('data');
  const deadline = setTimeout(() => socket.destroy(), MOST_MS);
  let pause: NodeJS.Timeout | undefined;
  let discarded = 0;
  socket.on('data', (chunk: Buffer) => {
    discarded += chunk.length;
    if (discarded < FAST_BYTES) return;
    socket.pause();
    pause = setTimeout(() => socket.resume(), PAUSE_MS);
  });
  socket.once('close', () => {
    clearTimeout(deadline);
    clearTimeout(pause);
  });
  socket.end();
  socket.resume();
}
