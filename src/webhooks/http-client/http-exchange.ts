/**
 * One webhook request: from the check of the URL to the outcome. It is undici's handler of the response, and it ends
 * exactly once: at the whole response, at enough of it, at a failure, or at the deadline.
 */
import { performance } from 'node:perf_hooks';
import type { Socket } from 'node:net';
import type { Dispatcher } from 'undici';
import { ResponseBody } from './response-body';
import type { Connection, IdleConnections } from './connections';
import type { UrlVerdict } from './ssrf-policy';
import { isReservedHeader } from './custom-headers';
import type { EndpointHeaders } from './custom-headers';
import { SendFailure, toSendFailure } from './send-failure';
import type { SendError } from './send-failure';

export interface SendRequest {
  /** Connections are kept per tenant: a receiver's out-of-step response never reaches another tenant. */
  tenantId: string;
  url: string;
  /** The exact bytes that were signed. */
  body: Buffer;
  id: string;
  /** Unix seconds, as signed. */
  timestamp: number;
  /** The result of `sign`. */
  signature: string;
  /** The trace context for the receiver. */
  traceparent?: string | undefined;
  /** The endpoint's own headers, as `validateEndpointHeaders` accepted them. */
  headers?: EndpointHeaders | undefined;
  /** Left out, the request stays wanted. */
  freshness?: Freshness | undefined;
}

/**
 * Whether a request is still to be sent: the process may pause, or the connection may take a while, before the first
 * byte.
 */
export interface Freshness {
  /** Whether it was known to be wanted a moment ago. */
  isFresh(): boolean;
  /** Checks again; the result counts for a moment. */
  confirm(): Promise<boolean>;
}

export interface SendOutcome {
  /** The status of the response, if there was one. The response may be incomplete: see `error`. */
  status?: number;
  /** The first 4 KiB of the response, safe for PostgreSQL's text. */
  body?: string;
  /** Why there was no complete response; for the tenant to read. */
  error?: SendError;
  /** The same for the log alone: it may hold addresses. */
  internal?: string;
  durationMs: number;
  /** The `Retry-After` of a 429 or 503. */
  retryAfter?: string;
  startedAt: Date;
  /** No request was sent and nothing failed: the request was no longer wanted. */
  unwanted?: true;
}

/** Where the requests to a URL go, or why none may be sent. */
export type Destination = { ok: true; origin: string; path: string } | Extract<UrlVerdict, { ok: false }>;

/** Shared state of all exchanges of a client. */
export interface Exchanges {
  readonly userAgent: string;
  readonly idle: IdleConnections;
  destination(url: string): Destination;
  connect(key: string, origin: string): Connection;
  /** Called at the beginning of an exchange, which fails at its deadline from then on. */
  begun(exchange: HttpExchange): void;
  ended(exchange: HttpExchange): void;
}

/**
 * Maximum bytes of a response on the wire. Framing (1xx responses, chunk extensions) does not count in undici's limits.
 */
const WIRE_LIMIT = 1024 * 1024;
const MAX_RETRY_AFTER = 64;
/** Statuses whose response ends with its header section, also with a length (RFC 9112, section 6.3). */
const WITHOUT_BODY = new Set([204, 304]);

export class HttpExchange implements Dispatcher.DispatchHandler {
  readonly #startedAt = new Date();
  /** By `performance.now()`. */
  readonly began = performance.now();
  #origin = '';
  #path = '';
  #connection: Connection | undefined;
  /** The kept socket of the request, and its responses so far. */
  #kept: Socket | undefined;
  #keptRead = 0;
  #replaced = false;
  #ended = false;
  #unwanted = false;
  #status: number | undefined;
  #retryAfter: string | undefined;
  #answer: ResponseBody | undefined;

  constructor(
    private readonly request: SendRequest,
    private readonly all: Exchanges,
    private readonly report: (outcome: SendOutcome) => void,
  ) {}

  start(): void {
    this.all.begun(this);
    try {
      const to = this.all.destination(this.request.url);
      // The URL was checked when it was registered; the configuration may have changed since.
      if (!to.ok) throw new SendFailure('destination not allowed', `${to.code}: ${to.message}`);
      this.#origin = to.origin;
      this.#path = to.path;
      const kept = this.all.idle.take(this.#key);
      if (kept) this.#begin(kept);
      else this.#connect();
    } catch (error) {
      this.fail(error);
    }
  }

  get #key(): string {
    return `${this.request.tenantId} ${this.#origin}`;
  }

  #connect(): void {
    const connection = this.all.connect(this.#key, this.#origin);
    this.#connection = connection;
    connection.open().then(
      () => this.#begin(connection),
      (error: unknown) => this.fail(error),
    );
  }

  /** Sends over an open connection, unless the request is no longer wanted. */
  #begin(connection: Connection): void {
    if (this.#ended) return;
    this.#connection = connection;
    const { freshness } = this.request;
    if (freshness?.isFresh() ?? true) return this.#dispatch(connection);
    freshness!.confirm().then(
      (isWanted) => {
        if (this.#ended) return;
        if (isWanted) this.#dispatch(connection);
        else this.#giveUp();
      },
      () => this.#giveUp(),
    );
  }

  #dispatch(connection: Connection): void {
    this.#kept = connection.socket;
    this.#keptRead = connection.socket?.bytesRead ?? 0;
    connection.dispatch({ method: 'POST', path: this.#path, headers: this.#headers(), body: this.request.body }, this);
  }

  #giveUp(): void {
    if (this.#ended) return;
    this.#drop(new SendFailure('not sent', 'not wanted any more'));
    this.#unwanted = true;
    this.#end();
  }

  #headers(): string[] {
    const { id, timestamp, signature, traceparent, headers } = this.request;
    const list = ['webhook-id', id, 'webhook-timestamp', String(timestamp), 'webhook-signature', signature];
    list.push('content-type', 'application/json', 'user-agent', this.all.userAgent);
    if (traceparent !== undefined) list.push('traceparent', traceparent);
    for (const name in headers) {
      // Refused at registration; an invalid one in a row is not sent either.
      if (!isReservedHeader(name)) list.push(name, headers[name]!);
    }
    return list;
  }

  /** Called in the turn that writes the first byte, so that a process that was paused notices it. */
  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.request.freshness?.isFresh() ?? true) return;
    this.#giveUp();
    controller.abort(new SendFailure('not sent', 'not wanted any more'));
  }

  onResponseStart(_controller: unknown, status: number, headers: Record<string, string | string[] | undefined>): void {
    if (status < 200 || this.#ended) return;
    this.#status = status;
    this.#answer = new ResponseBody(headers['content-encoding']?.toString());
    if (WITHOUT_BODY.has(status) && announcesBody(headers)) this.#cut();
    if (status === 429 || status === 503) {
      const asked = headers['retry-after'];
      this.#retryAfter = (Array.isArray(asked) ? asked[0] : asked)?.slice(0, MAX_RETRY_AFTER);
    }
  }

  onResponseData(_controller: unknown, chunk: Buffer): void {
    if (!this.#ended && !this.#answer!.add(chunk)) this.#cut();
  }

  onResponseEnd(): void {
    if (this.#ended) return;
    const connection = this.#connection!;
    this.#connection = undefined;
    connection.served++;
    this.all.idle.put(connection);
    this.#end();
  }

  onResponseError(_controller: unknown, error: Error): void {
    if (this.#ended) return;
    const failure = toSendFailure(error, this.#bytesRead > 0);
    const connection = this.#connection!;
    const wentStale = connection.served > 0 && connection.socket === this.#kept && this.#bytesRead === 0;
    if (!wentStale || this.#replaced || failure.publicError !== 'connection reset') {
      this.fail(failure);
      return;
    }
    this.#replaced = true;
    connection.destroy(failure);
    this.#connect();
  }

  /** Called at intervals: cuts off a response that floods the wire without a header or body that counts. */
  watch(): void {
    if (this.#ended || this.#bytesRead <= WIRE_LIMIT) return;
    if (this.#status === undefined)
      this.fail(new SendFailure('invalid response', 'more than 1 MiB without a response in it'));
    else this.#cut();
  }

  fail(error: unknown): void {
    if (this.#ended) return;
    const failure = toSendFailure(error, this.#bytesRead > 0);
    this.#drop(failure);
    this.#end(failure);
  }

  /** Enough was read: the rest is dropped with its connection. */
  #cut(): void {
    this.#drop(new SendFailure('invalid response', 'more than the read limit of a response'));
    this.#end();
  }

  #drop(reason: Error): void {
    // Ended first, since undici reports the destruction back to this handler.
    this.#ended = true;
    this.#connection?.destroy(reason);
  }

  get #bytesRead(): number {
    const socket = this.#connection?.socket;
    if (!socket) return 0;
    return socket === this.#kept ? socket.bytesRead - this.#keptRead : socket.bytesRead;
  }

  #end(failure?: SendFailure): void {
    this.#ended = true;
    const outcome: SendOutcome = {
      durationMs: Math.round(performance.now() - this.began),
      startedAt: this.#startedAt,
    };
    if (this.#unwanted) outcome.unwanted = true;
    if (this.#status !== undefined) outcome.status = this.#status;
    if (this.#retryAfter !== undefined) outcome.retryAfter = this.#retryAfter;
    if (failure) {
      outcome.error = failure.publicError;
      outcome.internal = failure.message;
    }
    const text = this.#answer?.text();
    if (text instanceof Promise) {
      text.then(
        (unpacked) => this.#settle(outcome, unpacked),
        () => this.#settle(outcome, undefined),
      );
    } else this.#settle(outcome, text);
  }

  #settle(outcome: SendOutcome, body: string | undefined): void {
    if (body !== undefined) outcome.body = body;
    this.report(outcome);
    this.all.ended(this);
  }
}

function announcesBody(headers: Record<string, string | string[] | undefined>): boolean {
  return headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';
}
