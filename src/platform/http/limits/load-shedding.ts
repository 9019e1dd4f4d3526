import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import { Inject, Injectable, type OnModuleDestroy } from '@nestjs/common';
import type { Logger } from 'pino';
import { Counter, Gauge } from 'prom-client';
import { Config } from '../../config/config';
import { DatabaseLoad } from '../../database/load';
import { Unavailable } from '../../errors';
import { LOGGER } from '../../observability/logger.module';
import { Metrics } from '../../observability/metrics';
import { PROBLEM_CONTENT_TYPE, toProblem } from '../problem';
import { publicPath } from '../public-url';
import { instanceOf } from '../requests/request-target';
import { requestIdOf } from '../requests/request-id';
import { corsHeaders } from '../responses/cors';
import { SECURITY_HEADERS } from '../responses/security-headers';
import { ShedRatio, SustainedDelay } from './shed-ratio';
import { AdmissionQueue } from './admission-queue';
import { TenantLoads } from './tenant-loads';

type Reason = 'event_loop' | 'pool';

const SAMPLE_MS = 20;
/**
 * Maximum event-loop delay and queueing time before requests are rejected. One second absorbs a burst within a tenant's
 * rate limit, and bounds the cost of a client that retries immediately.
 */
const MAX_WAIT_MS = 1_000;
/** For reads and for writes; of one tenant half of them. */
const MAX_QUEUED = 8_192;
const ADMIT_INTERVAL_MS = 5;
const LOG_MS = 1_000;
/** Upper bound of `Retry-After`, seconds; the values differ between callers, so that they do not return together. */
const MAX_RETRY_AFTER = 3;
/** A larger body is not read to its end to keep the connection. */
const MAX_DRAINED = 64 * 1024;
const HEALTH = /^\/health(?:[/?]|$)/;
/** In the cheapest form for Node: alternating names and values. */
const REFUSAL_HEADERS = Object.entries({
  ...SECURITY_HEADERS,
  'content-type': PROBLEM_CONTENT_TYPE,
  'cache-control': 'no-store',
}).flat();
const OVERLOADED = new Unavailable('turned away');

/** Requests of one kind, reads or writes, which share connections to PostgreSQL. */
interface RequestClass {
  reads: boolean;
  queue: AdmissionQueue;
  shedding: ShedRatio;
}

/**
 * Admits requests before any work is done for them: neither the body nor the route is read. While PostgreSQL has as
 * many statements in flight as it can serve in time, requests wait here, reads and writes apart, tenant after tenant,
 * and a request that has waited too long is refused. While the event loop is late, a share of the requests is refused
 * at once, those of the tenants with most requests in flight first. Health routes are always admitted.
 */
@Injectable()
export class LoadShedding implements OnModuleDestroy {
  private readonly reads = newRequestClass(true);
  private readonly writes = newRequestClass(false);
  private readonly eventLoopLag: SustainedDelay;
  private readonly shed: Counter<'reason'>;
  private readonly sampler?: NodeJS.Timeout;
  private admitTimer?: NodeJS.Timeout;
  private next: RequestListener = () => undefined;
  private refusedCount = 0;
  private readonly publicPath: string;
  private loggedAt = 0;

  constructor(
    private readonly config: Config,
    private readonly database: DatabaseLoad,
    private readonly loads: TenantLoads,
    { registry }: Metrics,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    this.publicPath = publicPath(config);
    this.shed = new Counter({
      name: 'http_requests_shed_total',
      help: 'Requests that were refused with 503 because of overload; they are not in http_request_duration_seconds.',
      labelNames: ['reason'],
      registers: [registry],
    });
    for (const reason of ['event_loop', 'pool']) this.shed.inc({ reason }, 0);
    const queued = (): number => this.queued;
    new Gauge({
      name: 'http_requests_queued',
      help: 'Requests in the admission queue.',
      registers: [registry],
      collect() {
        this.set(queued());
      },
    });
    this.eventLoopLag = new SustainedDelay(config.SHED_EVENT_LOOP_LAG, MAX_WAIT_MS);
    if (config.SHED_EVENT_LOOP_LAG > 0) this.sampler = this.sample();
  }

  onModuleDestroy(): void {
    clearInterval(this.sampler);
  }

  /** Runs before the server handles a request. */
  guard(server: Server): void {
    if (this.config.SHED_EVENT_LOOP_LAG === 0 && this.config.SHED_POOL_WAIT === 0) return;
    const listeners = server.listeners('request') as RequestListener[];
    server.removeAllListeners('request');
    this.next = (request, response) => {
      for (const listener of listeners) listener(request, response);
    };
    server.on('request', (request, response) => this.onRequest(request, response));
  }

  private get queued(): number {
    return this.reads.queue.size + this.writes.queue.size;
  }

  private onRequest(request: IncomingMessage, response: ServerResponse): void {
    const { method, url = '' } = request;
    if (HEALTH.test(url)) return void this.next(request, response);
    const kind = method === 'GET' || method === 'HEAD' ? this.reads : this.writes;
    const now = performance.now();
    if (this.isShed(kind, request, now)) this.refuse('event_loop', request, response);
    else if (kind.queue.size === 0 && this.capacityFor(kind) > 0) this.next(request, response);
    else if (kind.queue.enqueue(this.loads.of(request.headers.authorization), request, response, now)) {
      this.admitTimer ??= this.startAdmitting();
    } else this.refuse('pool', request, response);
  }

  /**
   * Whether the request is one of the share that is refused; the tenants with most requests in flight bear it first.
   */
  private isShed({ shedding }: RequestClass, { headers }: IncomingMessage, now: number): boolean {
    const ratio = this.eventLoopLag.ratio(now);
    if (ratio === 0) return false;
    return shedding.pick(ratio, this.loads.isHeaviest(this.loads.of(headers.authorization), now));
  }

  private capacityFor({ reads }: RequestClass): number {
    const limit = this.config.SHED_POOL_WAIT;
    return limit === 0 ? Infinity : this.database.capacity(reads, limit);
  }

  /** Admits requests while there is capacity, and refuses those that have waited too long. */
  private startAdmitting(): NodeJS.Timeout {
    return setInterval(() => {
      for (const kind of [this.reads, this.writes]) {
        for (let capacity = kind.queue.size > 0 ? this.capacityFor(kind) : 0; capacity > 0; capacity--) {
          const entry = kind.queue.dequeue();
          if (!entry) break;
          this.next(entry.request, entry.response);
        }
        for (const { request, response } of kind.queue.dequeueBefore(performance.now() - MAX_WAIT_MS)) {
          this.refuse('pool', request, response);
        }
      }
      if (this.queued > 0) return;
      clearInterval(this.admitTimer);
      this.admitTimer = undefined;
    }, ADMIT_INTERVAL_MS);
  }

  private refuse(reason: Reason, request: IncomingMessage, response: ServerResponse): void {
    this.shed.inc({ reason });
    this.refusedCount++;
    this.logRefusals();
    const requestId = requestIdOf(request);
    const instance = this.publicPath + instanceOf(request.url ?? '/');
    const body = JSON.stringify(toProblem(OVERLOADED, instance, requestId));
    const { 'content-length': length, 'transfer-encoding': encoding, origin } = request.headers;
    const headers = [
      ...REFUSAL_HEADERS,
      'content-length', String(Buffer.byteLength(body)),
      'retry-after', String(1 + Math.floor(Math.random() * MAX_RETRY_AFTER)),
      'x-request-id', requestId,
    ]; // prettier-ignore
    if (origin !== undefined && this.config.ALLOWED_ORIGINS.includes(origin))
      headers.push(...Object.entries({ ...corsHeaders(origin), vary: 'Origin' }).flat());
    if (encoding !== undefined || Number(length) > MAX_DRAINED) headers.push('connection', 'close');
    response.writeHead(OVERLOADED.status, headers);
    response.end(body);
  }

  /** Logs the refusals at intervals: one line for each would cost time. */
  private logRefusals(): void {
    const now = performance.now();
    if (now - this.loggedAt < LOG_MS) return;
    this.loggedAt = now;
    this.logger.warn(
      {
        requests: this.refusedCount,
        event_loop_lag_ms: Math.round(this.eventLoopLag.value),
        reads_held: this.reads.queue.size,
        writes_held: this.writes.queue.size,
      },
      'overload: requests are refused',
    );
    this.refusedCount = 0;
  }

  /** A timer is late by the duration of the event-loop turn that it waited for. */
  private sample(): NodeJS.Timeout {
    let last = performance.now();
    return setInterval(() => {
      const now = performance.now();
      this.eventLoopLag.add(Math.max(0, now - last - SAMPLE_MS), now);
      last = now;
    }, SAMPLE_MS).unref();
  }
}

function newRequestClass(reads: boolean): RequestClass {
  return { reads, queue: new AdmissionQueue(MAX_QUEUED), shedding: new ShedRatio() };
}
