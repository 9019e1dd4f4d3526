/** The common limits of every HTTP server of the service. */
import type { Server, ServerOptions } from 'node:http';
import { closeSlowReaders } from './slow-readers';

/** The head of a request must arrive within this time, so that a client cannot hold a connection. */
const HEADERS_TIMEOUT_MS = 10_000;

/** Connections of one server; more are closed immediately, before they cost anything. */
const MAX_CONNECTIONS = 10_000;
/** A connection on which nothing moves for so long is closed. */
const SILENCE_MS = 60_000;

/** For the creation of a server: the maximum delay of a timeout. Node checks every 30 seconds by default. */
export const SERVER_OPTIONS = { connectionsCheckingInterval: 1_000 } as const satisfies ServerOptions;

/**
 * Bounds the time of a request's arrival, and of its response. All headers within the size limit are read: Node drops
 * those after 1,000.
 */
export function limitServer(server: Server, requestTimeoutMs: number): void {
  server.requestTimeout = requestTimeoutMs;
  server.headersTimeout = Math.min(HEADERS_TIMEOUT_MS, requestTimeoutMs);
  server.maxHeadersCount = 0;
  server.maxConnections = MAX_CONNECTIONS;
  server.timeout = Math.max(SILENCE_MS, 2 * requestTimeoutMs);
  closeSlowReaders(server);
}
