import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { Gauge } from 'prom-client';
import { SeriesHistogram } from '../../observability/histogram';
import type { Metrics } from '../../observability/metrics';
import { type CallersSampling, EVERY_TRACE } from '../../observability/sampling';
import { parseTraceparent, type TraceContext } from '../../observability/trace-context';
import { NO_TRACING, type TraceSpan, type Tracing } from '../../observability/tracing';
import { arrivalOf } from '../limits/admission-queue';
import { logIds } from '../requests/request-id';
import { beginRequestSpan, endRequestSpan } from './request-spans';

declare module 'fastify' {
  interface FastifyRequest {
    /** The trace of this request, if its caller or the service has one. */
    trace?: TraceContext;
  }
}

/** The route of requests without a route: one name for all. */
const UNMATCHED = 'unmatched';
/** The status of a response that its client did not wait for (nginx's number). */
const CALLER_LEFT = 499;
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);
const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** The common data of requests with one route, method and status. */
interface Outcome {
  method: string;
  status: number;
  observe: (seconds: number) => void;
  logger: Logger;
}

/**
 * The records of each request after its end, however it ended: a line in the log, an observation and, with tracing, a
 * span. They name the route by its template, so that they contain no text of a client.
 */
export class RequestLog {
  private inFlight = 0;
  private readonly logger: Logger;
  private readonly duration: SeriesHistogram<'method' | 'route' | 'status'>;
  /** By route, method and status: as many as there are of those. */
  private readonly outcomes = new Map<string, Outcome[]>();

  constructor(
    logger: Logger,
    metrics: Metrics,
    private readonly tracing: Tracing = NO_TRACING,
    private readonly sampling: CallersSampling = EVERY_TRACE,
  ) {
    // The request's line holds nothing that a caller wrote: it need not be searched for secrets.
    this.logger = logger.child({}, { redact: [] });
    const registers = [metrics.registry];
    this.duration = new SeriesHistogram({
      name: 'http_request_duration_seconds',
      help: 'From the head of a request to the end of its answer.',
      buckets: BUCKETS,
      registers,
    });
    const inFlight = (): number => this.inFlight;
    new Gauge({
      name: 'http_requests_in_flight',
      help: 'Requests whose response has not ended.',
      registers,
      collect() {
        this.set(inFlight());
      },
    });
  }

  /** Handles a new request and registers for its end. */
  begin(request: FastifyRequest, reply: FastifyReply): void {
    this.inFlight++;
    const began = arrivalOf(request.raw);
    const { traceparent } = request.headers;
    if (traceparent !== undefined) request.trace = this.admitted(parseTraceparent(traceparent));
    let span: TraceSpan | undefined;
    if (this.tracing.isOn) {
      span = beginRequestSpan(this.tracing, request, request.trace);
      if (span) request.trace = span.context;
    }
    // `close` of a response comes last and always, also if the client left and there is no `finish`.
    reply.raw.once('close', () => this.end(request, reply, performance.now() - began, span));
  }

  /** The caller's trace. A caller that is not trusted cannot have more of its traces kept than our share. */
  private admitted(trace: TraceContext | undefined): TraceContext | undefined {
    const { trusted, share } = this.sampling;
    if (!trace?.sampled || trusted || Math.random() < share) return trace;
    return { ...trace, sampled: false };
  }

  /** Bytes that could not be parsed as a request, and the response to them. */
  malformed({ requestId, status, reason }: { requestId: string; status: number; reason: string }): void {
    this.logger.info({ request_id: requestId, route: UNMATCHED, status, reason }, 'request could not be read');
  }

  /** Continues with the request, so that its work belongs to its trace. */
  within(request: FastifyRequest, work: () => void): void {
    if (this.tracing.isOn) this.tracing.within(request.trace, work);
    else work();
  }

  private end(request: FastifyRequest, reply: FastifyReply, milliseconds: number, span?: TraceSpan): void {
    this.inFlight--;
    if (request.load) request.load.inFlight--;
    const { method, caller } = request;
    const route = routeOf(request);
    if (span) endRequestSpan(span, request, route, reply);
    const status = reply.raw.writableFinished ? reply.raw.statusCode : CALLER_LEFT;
    const outcome = this.outcomeOf(METHODS.has(method) ? method : '_OTHER', route, status);
    outcome.observe(milliseconds / 1000);
    const line = logIds(request);
    line.duration_ms = Math.round(milliseconds * 10) / 10;
    if (caller) {
      line.tenant_id = caller.tenantId;
      line.actor = `${caller.actor.type}:${caller.actor.id}`;
    }
    outcome.logger.info(line, 'request');
  }

  private outcomeOf(method: string, route: string, status: number): Outcome {
    let known = this.outcomes.get(route);
    if (!known) this.outcomes.set(route, (known = []));
    for (const outcome of known) if (outcome.status === status && outcome.method === method) return outcome;
    const observe = this.duration.observer({ method, route, status: String(status) });
    // The members that a line shares with others are serialized once.
    const outcome = { method, status, observe, logger: this.logger.child({ method, route, status }) };
    known.push(outcome);
    return outcome;
  }
}

function routeOf(request: FastifyRequest): string {
  const { url } = request.routeOptions;
  // The catch-all for preflights is not a route of the API.
  return url === undefined || url === '*' || request.is404 ? UNMATCHED : url;
}
