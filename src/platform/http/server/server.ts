/**
 * The HTTP server under Nest: Fastify with everything that holds for each request before a controller sees it (request
 * id, JSON, sizes, media types, CORS, security headers) and after it (the log line, problems without a route).
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify';
import type { Logger } from 'pino';
import type { Config } from '../../config/config';
import { API_PREFIX } from '../api-prefix';
import { Readiness } from '../../health/readiness';
import { publicPath } from '../public-url';
import { RequestLimits } from '../limits/request-limits';
import { LoadShedding } from '../limits/load-shedding';
import { ResponseBudget } from '../limits/response-budget';
import { handlePreflight } from '../responses/cors';
import { deprecationHeaders, type DeprecationNotice } from '../responses/deprecation';
import { OutageLog } from '../responses/outage-log';
import { sendProblem } from '../responses/problem.filter';
import { ApiAdapter } from './api-adapter';
import { leavesUnread } from './discard-body';
import { noteEmptyResponses } from './empty-responses';
import { headFault } from './head-faults';
import { addBodyParsers, forgetTypeOfNothing } from './request-body';
import type { RequestLog } from './request-log';
import { RoutePatterns } from './route-patterns';
import { SECURITY_HEADERS } from '../responses/security-headers';

const IDLE_CLOSED_EVERY_MS = 50;

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Largest body of this route in bytes; default: 1 MiB. */
    bodyLimit?: number;
    /** Maximum members of one object in this route's body; see `json-body.ts`. */
    maxMembers?: number;
    /** Media types of the route's responses, besides problems; default: JSON, empty for a 204. */
    produces?: string[];
    /** A public route that also reads the session of a caller that sends one. */
    optionalCredential?: true;
  }
}

/** The adapter that Nest is created with. */
export function createAdapter(config: Config, logger: Logger, records: RequestLog): ApiAdapter {
  return new ApiAdapter(config, logger, records);
}

/** Everything on the server that is not a route. */
export function prepareServer(app: NestFastifyApplication, config: Config, records: RequestLog): void {
  const adapter = app.getHttpAdapter() as unknown as ApiAdapter;
  const server = adapter.getInstance() as unknown as FastifyInstance;
  const { exchanges } = adapter;
  const patterns = new RoutePatterns();
  noteEmptyResponses(app);
  server.decorate('publicPath', publicPath(config));
  server.decorate('outages', app.get<OutageLog>(OutageLog, { strict: false }));

  server.addHook('onRoute', (route: RouteOptions) => {
    if (route.config?.bodyLimit) route.bodyLimit = route.config.bodyLimit;
    if (route.config?.deprecation) announceDeprecation(route, route.config.deprecation);
    patterns.add(route);
  });
  const readiness = app.get(Readiness, { strict: false });
  const responses = new ResponseBudget();
  server.addHook('onRequest', (request, reply, done) => {
    exchanges.handled(request, reply);
    records.begin(request, reply);
    reply.header('x-request-id', request.id).headers(SECURITY_HEADERS);
    if (request.url.startsWith(API_PREFIX)) reply.header('cache-control', 'no-store');
    if (!handlePreflight(config.ALLOWED_ORIGINS, request, reply)) records.within(request, done);
  });
  server.addHook('onSend', (request, reply, payload, done) => {
    const isLast = leavesUnread(request) || (readiness.isStopping && exchanges.isLatest(request.raw));
    if (isLast) reply.header('connection', 'close');
    // Fastify closes after each refusal of a body, although most were read whole.
    else if (reply.hasHeader('connection')) reply.removeHeader('connection');
    // A response without a body has no length either (RFC 9110, 8.6).
    if (reply.statusCode === 204) reply.removeHeader('content-length');
    const refusal = responses.charge(request, reply, payload);
    if (refusal) done(refusal);
    else done(null, payload);
  });
  // Requests in flight at the shutdown keep their connection, and a kept one would delay the end.
  server.addHook('preClose', (done) => {
    const timer = setInterval(() => server.server.closeIdleConnections(), IDLE_CLOSED_EVERY_MS);
    server.server.once('close', () => clearInterval(timer));
    done();
  });
  addBodyParsers(server);

  // The router serves no OPTIONS of its own; the hook above answers them.
  server.options('*', (_request, reply) => void reply.code(204).send());
  const limits = app.get(RequestLimits, { strict: false });
  server.addHook('onRequest', (request, reply, done) => {
    forgetTypeOfNothing(request);
    const decide = (): void => done(headFault(request) ?? patterns.refusal(request));
    // Requests without a route count against their address before their response, and so do the documents.
    if (request.is404 || request.routeOptions.config.document) limits.takeAddress(request, reply).then(decide, done);
    else decide();
  });
  // An expectation other than 100-continue may be ignored (RFC 9110); Node would send 417 without a body.
  server.server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) =>
    server.server.emit('request', request, response),
  );
  app.get(LoadShedding, { strict: false }).guard(server.server);
  adapter.guardConnections(server.server);
  server.setErrorHandler((error, request, reply) => sendProblem(error, request, reply));
  server.setNotFoundHandler((request, reply) => sendProblem(patterns.missing(request), request, reply));
}

/** Only for such routes: others need no check of deprecation on every request. */
function announceDeprecation(route: RouteOptions, notice: DeprecationNotice): void {
  const headers = deprecationHeaders(notice);
  route.onRequest = [
    ...[route.onRequest ?? []].flat(),
    (_request: FastifyRequest, reply: FastifyReply, done: () => void) => {
      reply.headers(headers);
      done();
    },
  ];
}
