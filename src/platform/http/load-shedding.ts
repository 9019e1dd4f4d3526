import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import { Inject, Injectable, type OnModuleDestroy } from '@nestjs/common';
import type { Logger } from 'pino';
import { Counter } from 'prom-client';
import type { Config } from '../config/config';
import { CONFIG } from '../config/config.module';
import { DatabaseLoad } from '../database/load';
import { Unavailable } from '../errors';
import { LOGGER } from '../observability/logger.module';
import { Metrics } from '../observability/metrics';
import { PROBLEM_CONTENT_TYPE, toProblem } from './problem';
import { requestIdOf } from './request-id';
import { SECURITY_HEADERS } from './security-headers';
import { ShareOf, StandingDelay } from './shed-share';

type Reason = 'event_loop' | 'pool';

const SAMPLE_MS = 20;
/** A delay is put up with for so long: a tenant's burst, which it has a right to, is soon served. */
const PATIENCE_MS = 1_000;
const LOG_MS = 1_000;
/** Longest pause that is asked of a caller, seconds; each is told another, so that they do not come back together. */
const LONGEST_PAUSE = 3;
/** A body larger than this is not read to its end for the sake of the connection. */
const MAX_DRAINED = 64 * 1024;
const HEALTH = /^\/health(?:[/?]|$)/;
/** As Node writes them with the least work: names and values by turns. */
const REFUSAL_HEADERS = Object.entries({ ...SECURITY_HEADERS, 'content-type': PROBLEM_CONTENT_TYPE }).flat();
const OVERLOADED = new Unavailable('turned away');

/**
 * Turns requests away while there is more to do than can be done, before anything is spent on them: neither the body nor
 * the route is looked at. Two delays are watched. How late the event loop is, which is what all requests wait for; and how
 * long a statement sent now would stand behind others on its way to PostgreSQL, for reads and for writes apart. And
 * nothing is let in that finds the connections to PostgreSQL full. Health routes are always let in.
 */
@Injectable()
export class LoadShedding implements OnModuleDestroy {
  private readonly eventLoopLag: StandingDelay;
  private readonly readWait: StandingDelay;
  private readonly writeWait: StandingDelay;
  private readonly ofReads = new ShareOf();
  private readonly ofWrites = new ShareOf();
  private readonly shed: Counter<'reason'>;
  private readonly sampler?: NodeJS.Timeout;
  private turnedAway = 0;
  private loggedAt = 0;

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    private readonly database: DatabaseLoad,
    { registry }: Metrics,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    this.shed = new Counter({
      name: 'http_requests_shed_total',
      help: 'Requests that were turned away with 503 since there was too much to do; they are not in http_request_duration_seconds.',
      labelNames: ['reason'],
      registers: [registry],
    });
    for (const reason of ['event_loop', 'pool']) this.shed.inc({ reason }, 0);
    this.eventLoopLag = new StandingDelay(config.SHED_EVENT_LOOP_LAG, PATIENCE_MS);
    this.readWait = new StandingDelay(config.SHED_POOL_WAIT, PATIENCE_MS);
    this.writeWait = new StandingDelay(config.SHED_POOL_WAIT, PATIENCE_MS);
    if (this.isOn) this.sampler = this.sample();
  }

  onModuleDestroy(): void {
    clearInterval(this.sampler);
  }

  /** Stands before whatever the server does with a request. */
  guard(server: Server): void {
    if (!this.isOn) return;
    const listeners = server.listeners('request') as RequestListener[];
    server.removeAllListeners('request');
    server.on('request', (request, response) => {
      const reason = this.reasonToShed(request);
      if (reason) this.turnAway(reason, request, response);
      else for (const listener of listeners) listener(request, response);
    });
  }

  private get isOn(): boolean {
    return this.config.SHED_EVENT_LOOP_LAG > 0 || this.config.SHED_POOL_WAIT > 0;
  }

  private reasonToShed({ method, url = '' }: IncomingMessage): Reason | undefined {
    if (HEALTH.test(url)) return undefined;
    const reads = method === 'GET' || method === 'HEAD';
    if (this.config.SHED_POOL_WAIT > 0 && this.database.isFull(reads)) return 'pool';
    const now = performance.now();
    const byLag = this.eventLoopLag.share(now);
    const byWait = (reads ? this.readWait : this.writeWait).share(now);
    if (!(reads ? this.ofReads : this.ofWrites).pick(Math.max(byLag, byWait))) return undefined;
    return byLag > byWait ? 'event_loop' : 'pool';
  }

  private turnAway(reason: Reason, request: IncomingMessage, response: ServerResponse): void {
    this.shed.inc({ reason });
    this.turnedAway++;
    this.tell();
    const requestId = requestIdOf(request);
    const path = (request.url ?? '').split('?', 1)[0] as string;
    const body = JSON.stringify(toProblem(OVERLOADED, path, requestId));
    const { 'content-length': length, 'transfer-encoding': encoding, origin } = request.headers;
    const headers = [
      ...REFUSAL_HEADERS,
      'content-length', String(Buffer.byteLength(body)),
      'retry-after', String(1 + Math.floor(Math.random() * LONGEST_PAUSE)),
      'x-request-id', requestId,
    ]; // prettier-ignore
    if (origin !== undefined && this.config.ALLOWED_ORIGINS.includes(origin)) headers.push(...corsHeaders(origin));
    if (encoding !== undefined || Number(length) > MAX_DRAINED) headers.push('connection', 'close');
    response.writeHead(OVERLOADED.status, headers);
    response.end(body);
  }

  /** Says that it happens, and how much, once in a while: a line for each would be work of its own. */
  private tell(): void {
    const now = performance.now();
    if (now - this.loggedAt < LOG_MS) return;
    this.loggedAt = now;
    this.logger.warn(
      {
        requests: this.turnedAway,
        event_loop_lag_ms: Math.round(this.eventLoopLag.value),
        read_wait_ms: Math.round(this.readWait.value),
        write_wait_ms: Math.round(this.writeWait.value),
      },
      'too much to do: requests are turned away',
    );
    this.turnedAway = 0;
  }

  /** A timer is late by as much as the turn of the event loop took that it had to wait for. */
  private sample(): NodeJS.Timeout {
    let last = performance.now();
    return setInterval(() => {
      const now = performance.now();
      this.eventLoopLag.add(Math.max(0, now - last - SAMPLE_MS), now);
      this.readWait.add(this.database.expectedWait(true), now);
      this.writeWait.add(this.database.expectedWait(false), now);
      last = now;
    }, SAMPLE_MS).unref();
  }
}

/** So that a browser's script may read the refusal. */
function corsHeaders(origin: string): string[] {
  return [
    'access-control-allow-origin', origin,
    'access-control-allow-credentials', 'true',
    'access-control-expose-headers', 'Retry-After, X-Request-Id',
    'vary', 'Origin',
  ]; // prettier-ignore
}
