/**
 * A bound of the connections of one network that have not carried a credential. Without it one address could hold every
 * connection of a server, at no cost: a connection needs no request for ten seconds, and none for more than a minute
 * after its first.
 *
 * A connection counts from its start until its first request with a valid credential, so that clients behind one
 * address (an office, a balancer that `TRUST_PROXY` does not name) are bounded only as long as they have none.
 */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Logger } from 'pino';
import { clientNetwork } from './client-network';

/** A tenth of what a server takes in all. */
const MAX_OF_ONE_NETWORK = 1_000;
const LOG_EVERY_MS = 60_000;
const STOP_COUNTING = Symbol('stop counting');

interface CountedSocket extends Socket {
  /** Present while the connection counts. */
  [STOP_COUNTING]?: () => void;
}

/** The part of a server's settings that the bound needs. */
export interface AnonymousConnectionOptions {
  /** Whether a peer is a trusted proxy: it bounds its clients, and carries those of all. */
  isProxy: (address: string) => boolean;
  logger: Logger;
  max?: number;
}

/** Closes connections of a network beyond the bound immediately, before they cost anything. */
export function boundAnonymousConnections(server: Server, options: AnonymousConnectionOptions): void {
  const { isProxy, logger, max = MAX_OF_ONE_NETWORK } = options;
  const counts = new Map<string, number>();
  let loggedAt = -Infinity;
  const refuse = (socket: Socket, network: string): void => {
    socket.destroy();
    const now = performance.now();
    if (now - loggedAt < LOG_EVERY_MS) return;
    loggedAt = now;
    logger.warn(
      { network, max },
      'connections were closed: too many of one network carry no credential. If it is a proxy, name it in TRUST_PROXY',
    );
  };
  server.prependListener('connection', (socket: CountedSocket) => {
    const { remoteAddress } = socket;
    // An address is missing once the connection has ended.
    if (remoteAddress === undefined || isProxy(remoteAddress)) return;
    const network = clientNetwork(remoteAddress);
    const count = counts.get(network) ?? 0;
    if (count >= max) return refuse(socket, network);
    counts.set(network, count + 1);
    socket[STOP_COUNTING] = () => {
      socket[STOP_COUNTING] = undefined;
      const left = (counts.get(network) ?? 1) - 1;
      if (left === 0) counts.delete(network);
      else counts.set(network, left);
    };
    socket.once('close', () => noteCredential(socket));
  });
}

/** The connection has carried a valid credential: it counts no longer. */
export function noteCredential(socket: Socket): void {
  (socket as CountedSocket)[STOP_COUNTING]?.();
}
