/**
 * Sends one webhook and returns its outcome. For any behaviour of a receiver (hang, drip, lie, flood, reset), the
 * result is a SendOutcome within one deadline, never an exception. It contains nothing about a refused destination.
 *
 * A success is a complete 2xx response: `succeeded(outcome)`. Redirects are not followed: a 3xx is a failure like any
 * other status. A response beyond the read limit (64 KiB) is cut off by closing the connection, and counts by its
 * status. A truncated response counts as failed, since the receiver's state is unknown.
 *
 * A kept connection that is dead before the first byte of the response is replaced once, within the same deadline:
 * receivers close idle connections at will. The retry has the same `webhook-id`, which receivers must expect twice.
 *
 * Proxies of the environment are not used: they would resolve the addresses.
 */
import { Connection, IdleConnections, socketOpener } from './connections';
import type { ConnectionSettings, OpenSocket } from './connections';
import { checkUrl } from './ssrf-policy';
import type { SsrfPolicy } from './ssrf-policy';
import { HttpExchange } from './http-exchange';
import type { Destination, Exchanges, SendOutcome, SendRequest } from './http-exchange';
import { createResolver } from './resolver';
import { RunningExchanges } from './running-exchanges';
import type { Resolve } from './resolver';
import { SendFailure } from './send-failure';

export type { SendOutcome, SendRequest } from './http-exchange';

export const USER_AGENT = 'OrdersWebhooks/1.0';

export interface WebhookClientOptions {
  policy: SsrfPolicy;
  /** `WEBHOOK_TIMEOUT` in milliseconds: name, connection, TLS, request and response together. */
  timeout: number;
  resolve?: Resolve;
  openSocket?: OpenSocket;
  /** Idle connections that are kept, per tenant and origin and in total. The caller bounds the concurrent sends. */
  maxIdlePerOrigin?: number;
  maxIdle?: number;
  /** How long a connection is kept without use, in milliseconds, unless the receiver names a time in `Keep-Alive`. */
  idleTimeout?: number;
  /** The longest time that a receiver may name, in milliseconds. */
  maxIdleTimeout?: number;
  /** Maximum age of a connection before its host is resolved and checked again, in milliseconds. */
  maxAge?: number;
}

export interface WebhookClient {
  send(request: SendRequest): Promise<SendOutcome>;
  /** The number of requests in flight for at least this time, milliseconds. */
  inFlightFor(milliseconds: number): number;
  /** Waits for running requests, each within its deadline, then closes all connections. Later sends are 'not sent'. */
  close(): Promise<void>;
}

/** A complete 2xx response, and nothing else. */
export function succeeded({ status, error }: Pick<SendOutcome, 'status' | 'error'>): boolean {
  return error === undefined && status !== undefined && status >= 200 && status < 300;
}

/** As many as a tenant has deliveries in flight: a busy endpoint's others would be closed, and opened again at once. */
const MAX_IDLE_PER_ORIGIN = 320;
const WATCH_INTERVAL = 250;
const MAX_KNOWN_URLS = 4_096;

export function createWebhookClient(options: WebhookClientOptions): WebhookClient {
  const settings: ConnectionSettings = {
    policy: options.policy,
    resolve: options.resolve ?? createResolver(),
    openSocket: options.openSocket ?? socketOpener(),
    maxIdlePerOrigin: options.maxIdlePerOrigin ?? MAX_IDLE_PER_ORIGIN,
    maxIdle: options.maxIdle ?? 4_096,
    idleTimeout: options.idleTimeout ?? 4_000,
    maxIdleTimeout: options.maxIdleTimeout ?? 30_000,
    maxAge: options.maxAge ?? 60_000,
  };
  const idle = new IdleConnections(settings);
  const running = new RunningExchanges(options.timeout);
  const known = new Map<string, Destination>();
  let closed: Promise<void> | undefined;
  let whenEmpty = () => {};

  const all: Exchanges = {
    userAgent: USER_AGENT,
    idle,
    destination(url) {
      let destination = known.get(url);
      if (!destination) {
        if (known.size >= MAX_KNOWN_URLS) known.clear();
        known.set(url, (destination = destinationOf(url, options.policy)));
      }
      return destination;
    },
    connect: (key, origin) => new Connection(key, origin, settings, (lost) => idle.remove(lost)),
    begun: (exchange) => running.add(exchange),
    ended: (exchange) => {
      running.delete(exchange);
      if (running.size === 0) whenEmpty();
    },
  };
  const watch = setInterval(() => running.watch(), WATCH_INTERVAL).unref();

  return {
    send: (request) =>
      new Promise((resolve) => {
        const exchange = new HttpExchange(request, all, resolve);
        if (closed) exchange.fail(new SendFailure('not sent', 'the sender is closed'));
        else exchange.start();
      }),
    inFlightFor: (milliseconds) => running.inFlightFor(milliseconds),
    close() {
      closed ??= new Promise<void>((resolve) => {
        whenEmpty = resolve;
        if (running.size === 0) resolve();
      }).then(() => {
        clearInterval(watch);
        running.stop();
        idle.clear();
      });
      return closed;
    },
  };
}

function destinationOf(text: string, policy: SsrfPolicy): Destination {
  const verdict = checkUrl(text, policy);
  if (!verdict.ok) return verdict;
  const { origin, pathname, search } = verdict.url;
  return { ok: true, origin, path: pathname + search };
}
