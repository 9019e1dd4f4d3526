/**
 * One webhook on its way: from the URL's check to the outcome. It is the handler that undici calls as the answer comes in,
 * and it ends exactly once, whichever comes first: the whole answer, enough of it, a failure, or the deadline.
 */
import { performance } from 'node:perf_hooks';
import type { Socket } from 'node:net';
import type { Dispatcher } from 'undici';
import { AnswerBody } from './response-body';
import type { Connection, IdleConnections } from './connections';
import type { UrlVerdict } from './ssrf-policy';
import { isReservedHeader } from './custom-headers';
import type { EndpointHeaders } from './custom-headers';
import { SendFailure, toSendFailure } from './send-failure';
import type { SendError } from './send-failure';

export interface SendRequest {
  url: string;
  /** The exact bytes that were signed. */
  body: Buffer;
  id: string;
  /** Unix seconds, as signed. */
  timestamp: number;
  /** What `sign` returned. */
  signature: string;
  /** The trace that the receiver may go on with. */
  traceparent?: string | undefined;
  /** The endpoint's own, as `validateEndpointHeaders` let them through. */
  headers?: EndpointHeaders | undefined;
}

export interface SendOutcome {
  /** Of the answer, if there was one. It does not mean that the answer was whole: see `error`. */
  status?: number;
  /** The first 4 KiB of the answer, safe for PostgreSQL's text. */
  body?: string;
  /** Why there was no whole answer; for the tenant to read. */
  error?: SendError;
  /** The same for the log alone: it may hold addresses. */
  internal?: string;
  durationMs: number;
  /** What a 429 or 503 asked for. */
  retryAfter?: string;
  startedAt: Date;
}

/** What all exchanges of a sender share. */
export interface Exchanges {
  readonly userAgent: string;
  readonly timeout: number;
  readonly idle: IdleConnections;
  readonly running: Set<Exchange>;
  check(url: string): UrlVerdict;
  connect(origin: string): Connection;
  ended(): void;
}

/** What an answer may cost on the wire. Framing (1xx answers, chunk extensions) passes undici's limits uncounted. */
const WIRE_LIMIT = 1024 * 1024;
const MAX_RETRY_AFTER = 64;

export class Exchange implements Dispatcher.DispatchHandler {
  readonly #startedAt = new Date();
  /** By `performance.now()`. */
  readonly began = performance.now();
  #deadline: NodeJS.Timeout | undefined;
  #url: URL | undefined;
  #connection: Connection | undefined;
  /** The kept socket that the request was given to, and what had come over it before. */
  #kept: Socket | undefined;
  #keptRead = 0;
  #replaced = false;
  #ended = false;
  #status: number | undefined;
  #retryAfter: string | undefined;
  #answer: AnswerBody | undefined;

  constructor(
    private readonly request: SendRequest,
    private readonly all: Exchanges,
    private readonly report: (outcome: SendOutcome) => void,
  ) {}

  start(): void {
    this.all.running.add(this);
    this.#deadline = setTimeout(
      () => this.fail(new SendFailure('timed out', `no whole answer in ${this.all.timeout} ms`)),
      this.all.timeout,
    );
    try {
      const verdict = this.all.check(this.request.url);
      // The URL was checked when it was registered; the configuration may have changed since.
      if (!verdict.ok) throw new SendFailure('destination not allowed', `${verdict.code}: ${verdict.message}`);
      this.#url = verdict.url;
      const { origin } = verdict.url;
      this.#dispatch(this.all.idle.take(origin) ?? this.all.connect(origin));
    } catch (error) {
      this.fail(error);
    }
  }

  #dispatch(connection: Connection): void {
    const { pathname, search } = this.#url!;
    this.#connection = connection;
    this.#kept = connection.socket;
    this.#keptRead = connection.socket?.bytesRead ?? 0;
    connection.client.dispatch(
      { method: 'POST', path: pathname + search, headers: this.#headers(), body: this.request.body },
      this,
    );
  }

  #headers(): string[] {
    const { id, timestamp, signature, traceparent, headers } = this.request;
    const list = ['webhook-id', id, 'webhook-timestamp', String(timestamp), 'webhook-signature', signature];
    list.push('content-type', 'application/json', 'user-agent', this.all.userAgent);
    if (traceparent !== undefined) list.push('traceparent', traceparent);
    for (const name in headers) {
      // Refused when they were set; should one have got into a row otherwise, it still does not get out.
      if (!isReservedHeader(name)) list.push(name, headers[name]!);
    }
    return list;
  }

  onRequestStart(): void {
    // Present so that undici takes this for a handler of its current kind.
  }

  onResponseStart(_controller: unknown, status: number, headers: Record<string, string | string[] | undefined>): void {
    if (status < 200 || this.#ended) return;
    this.#status = status;
    this.#answer = new AnswerBody(headers['content-encoding']?.toString());
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
    this.#dispatch(this.all.connect(this.#url!.origin));
  }

  /** Called now and then: cuts off an answer that floods the wire without ever counting as a header or a body. */
  watch(): void {
    if (this.#ended || this.#bytesRead <= WIRE_LIMIT) return;
    if (this.#status === undefined)
      this.fail(new SendFailure('invalid response', 'more than 1 MiB without an answer in it'));
    else this.#cut();
  }

  fail(error: unknown): void {
    if (this.#ended) return;
    const failure = toSendFailure(error, this.#bytesRead > 0);
    this.#drop(failure);
    this.#end(failure);
  }

  /** Enough was read: the rest is not drained but dropped, with its connection. */
  #cut(): void {
    this.#drop(new SendFailure('invalid response', 'more than is read of an answer'));
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
    clearTimeout(this.#deadline);
    const outcome: SendOutcome = {
      durationMs: Math.round(performance.now() - this.began),
      startedAt: this.#startedAt,
    };
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
    this.all.running.delete(this);
    this.report(outcome);
    this.all.ended();
  }
}
