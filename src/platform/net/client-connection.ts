import type { Socket } from 'node:net';
import { ClientGone } from '../errors';

/**
 * How long a client that has ended its side is waited for. Closing a connection and ending one's side after a request
 * look alike to the server; a client that does the second reads the response, and gets it at once but under overload.
 */
const ENDED_MS = 1_000;
const ENDED_AT = Symbol('ended at');

/** The connection of a client: the socket of its request. */
export interface ClientConnection {
  readonly destroyed: boolean;
  [ENDED_AT]?: number;
}

/** Notes when the client ends its side of the connection. */
export function noteEnd(socket: Socket & { [ENDED_AT]?: number }): void {
  socket.once('end', () => (socket[ENDED_AT] = performance.now()));
}

/** @throws ClientGone if the client that waits for the work has left meanwhile */
export function assertConnected(connection: ClientConnection | undefined): void {
  if (!connection) return;
  const ended = connection[ENDED_AT];
  if (connection.destroyed || (ended !== undefined && performance.now() - ended > ENDED_MS)) throw new ClientGone();
}
