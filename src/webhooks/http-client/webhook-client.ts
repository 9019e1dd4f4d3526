/**
 * Sends one webhook and says what came of it. Whatever a receiver does (hang, drip, lie, flood, reset), the answer is a
 * SendOutcome within one deadline, never an exception; nothing of what is behind a refused destination is in it.
 *
 * A success is a 2xx with a whole answer: `succeeded(outcome)`. Redirects are not followed: a 3xx is a failure like any
 * other status. An answer that is longer than what is read (64 KiB) is cut off by closing the connection, and counts by
 * its status. One that breaks off by itself counts as failed, since nobody knows what the receiver kept.
 *
 * A kept connection that turns out dead before a byte of the answer came is replaced once, within the same deadline:
 * receivers close idle connections at will, and it is the same `webhook-id`, which receivers have to expect twice.
 *
 * Proxies named in the environment are not used: the addresses would be theirs to resolve.
 */
import { Connection, IdleConnections, socketOpener } from './connections';
import type { ConnectionSettings, OpenSocket } from './connections';
import { checkUrl } from './ssrf-policy';
import type { SsrfPolicy, UrlVerdict } from './ssrf-policy';
import { HttpExchange } from './http-exchange';
import type { Exchanges, SendOutcome, SendRequest } from './http-exchange';
import { createResolver } from './resolver';
import type { Resolve } from './resolver';
import { SendFailure } from './send-failure';

export type { SendOutcome, SendRequest } from './http-exchange';

export const USER_AGENT = 'OrdersWebhooks/1.0';

export interface WebhookClientOptions {
  policy: SsrfPolicy;
  /** `WEBHOOK_TIMEOUT` in milliseconds: name, connection, TLS, request and answer together. */
  timeout: number;
  resolve?: Resolve;
  openSocket?: OpenSocket;
  /**
   * Idle connections that are kept, per tenant and origin and in all. How many sends run at a time is the caller's to
   * say.
   */
  maxIdlePerOrigin?: number;
  maxIdle?: number;
  /** How long a connection is kept without use, in milliseconds. */
  idleTimeout?: number;
  /** How long a connection is used before its host is looked up and checked anew, in milliseconds. */
  maxAge?: number;
}

export interface WebhookClient {
  send(request: SendRequest): Promise<SendOutcome>;
  /** How many requests have been under way for at least so long, milliseconds. */
  outFor(milliseconds: number): number;
  /** Lets what is running end, each within its deadline, then closes all connections. Later sends are 'not sent'. */
  close(): Promise<void>;
}

/** 2xx with a whole answer, and nothing else. */
export function succeeded({ status, error }: Pick<SendOutcome, 'status' | 'error'>): boolean {
  return error === undefined && status !== undefined && status >= 200 && status < 300;
}

const WATCH_INTERVAL = 250;
const MAX_KNOWN_URLS = 4_096;

export function createWebhookClient(options: WebhookClientOptions): WebhookClient {
  const settings: ConnectionSettings = {
    policy: options.policy,
    resolve: options.resolve ?? createResolver(),
    openSocket: options.openSocket ?? socketOpener(),
    maxIdlePerOrigin: options.maxIdlePerOrigin ?? 128,
    maxIdle: options.maxIdle ?? 4_096,
    idleTimeout: options.idleTimeout ?? 4_000,
    maxAge: options.maxAge ?? 60_000,
  };
  const idle = new IdleConnections(settings);
  const running = new Set<HttpExchange>();
  const knownUrls = new Map<string, UrlVerdict>();
  let closed: Promise<void> | undefined;
  let whenEmpty = () => {};

  const all: Exchanges = {
    userAgent: USER_AGENT,
    timeout: options.timeout,
    idle,
    running,
    check(url) {
      let verdict = knownUrls.get(url);
      if (!verdict) {
        if (knownUrls.size >= MAX_KNOWN_URLS) knownUrls.clear();
        knownUrls.set(url, (verdict = checkUrl(url, options.policy)));
      }
      return verdict;
    },
    connect: (key, origin) => new Connection(key, origin, settings, (lost) => idle.remove(lost)),
    ended: () => {
      if (running.size === 0) whenEmpty();
    },
  };
  const watch = setInterval(() => running.forEach((exchange) => exchange.watch()), WATCH_INTERVAL).unref();

  return {
    send: (request) =>
      new Promise((resolve) => {
        const exchange = new HttpExchange(request, all, resolve);
        if (closed) exchange.fail(new SendFailure('not sent', 'the sender is closed'));
        else exchange.start();
      }),
    outFor(milliseconds) {
      const before = performance.now() - milliseconds;
      let out = 0;
      for (const exchange of running) {
        if (exchange.began > before) break; // the oldest is first
        out++;
      }
      return out;
    },
    close() {
      closed ??= new Promise<void>((resolve) => {
        whenEmpty = resolve;
        all.ended();
      }).then(() => {
        clearInterval(watch);
        idle.clear();
      });
      return closed;
    },
  };
}
