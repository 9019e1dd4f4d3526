/**
 * The HTTP server under Nest: Fastify with everything that holds for each request before a controller sees it (request
 * id, JSON, sizes, media types, CORS, security headers) and after it (the log line, problems for what no route made).
 */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import cors from '@fastify/cors';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import {
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  LogController,
  type RouteOptions,
} from 'fastify';
import type { Logger } from 'pino';
import type { Config } from '../../config/config';
import { AppError, MalformedRequest, ValidationFailed } from '../../errors';
import { Readiness } from '../../health/readiness';
import { deprecationHeaders, type DeprecationNotice } from '../responses/deprecation';
import { InvalidText, MalformedJson, parseJsonBody } from '../requests/json-body';
import { PROBLEM_CONTENT_TYPE } from '../problem';
import { sendProblem } from '../responses/problem.filter';
import { closeWithoutReadingBody } from './discard-body';
import { LoadShedding } from '../limits/load-shedding';
import { trustedProxies } from '../../net/client-network';
import { requestIdOf } from '../requests/request-id';
import type { RequestLog } from './request-log';
import { SECURITY_HEADERS } from '../responses/security-headers';

const MIB = 1024 * 1024;
const IDLE_CLOSED_EVERY_MS = 50;
/** Headers of answers that a browser's script may read. */
const EXPOSED_HEADERS = [
  'Deprecation',
  'ETag',
  'Idempotency-Replayed',
  'Link',
  'Location',
  'RateLimit',
  'RateLimit-Policy',
  'Retry-After',
  'Sunset',
  'WWW-Authenticate',
  'X-Request-Id',
  'Content-Disposition',
];
export const API_PREFIX = '/api/v1';
/** More than Node takes in a request's head, so that no id in a path is too long to be told from one of ours. */
const MAX_PARAM_LENGTH = 65_536;

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Largest body of this route in bytes; 1 MiB where it is left out. */
    bodyLimit?: number;
    /** Members that one object of this route's body may have; see `json-body.ts`. */
    maxMembers?: number;
    /** Media types that the route answers with, beside problems; JSON where it is left out. */
    produces?: string[];
  }
}

/** A route's method and path, and in how many places the path takes anything. */
interface RoutePattern {
  method: string;
  path: RegExp;
  parameters: number;
}

const JSON_ONLY = ['application/json'];

/** Fastify's own lines are off, ours is in a hook; but an answer that broke off must not end in silence. */
class QuietLogController extends LogController {
  override streamError(error: Error & { code?: string }, request: FastifyRequest): void {
    if (error.code === 'ERR_STREAM_PREMATURE_CLOSE')
      request.log.info({ request_id: request.id }, 'the caller left before the end of the answer');
    else request.log.error({ request_id: request.id, err: error.cause ?? error }, 'the answer broke off');
  }
}

/** Fastify's adapter, whose errors and missing routes are answered by us and not by Nest's defaults. */
class ApiAdapter extends FastifyAdapter {
  override setErrorHandler(): ReturnType<FastifyAdapter['setErrorHandler']> {
    return this.getInstance();
  }
  override setNotFoundHandler(): ReturnType<FastifyAdapter['setNotFoundHandler']> {
    return this.getInstance();
  }
}

/** The adapter that Nest is created with. */
export function createAdapter(config: Config, logger: Logger, records: RequestLog): FastifyAdapter {
  return new ApiAdapter({
    loggerInstance: logger,
    logController: new QuietLogController({ disableRequestLogging: true }),
    // A logger for each request costs a get a twentieth; the lines that are written name it themselves.
    childLoggerFactory: (parent: Logger) => parent,
    bodyLimit: MIB,
    trustProxy: trustedProxies(config.TRUST_PROXY),
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: MAX_PARAM_LENGTH },
    // Node's own answer to a request without Host has no body: ours is in the hook.
    http: { requireHostHeader: false },
    requestTimeout: 30_000,
    keepAliveTimeout: 72_000,
    forceCloseConnections: 'idle',
    // What still arrives on a connection that is being closed is served; it has the whole time of the shutdown.
    return503OnClosing: false,
    requestIdHeader: false,
    genReqId: requestIdOf,
    frameworkErrors: (error: Error, request: FastifyRequest, reply: FastifyReply) => {
      records.begin(request, reply);
      void reply.headers(SECURITY_HEADERS);
      sendProblem(new MalformedRequest('The address could not be read.', { internal: error.message }), request, reply);
    },
    clientErrorHandler,
  } as never);
}

/** Everything on the server that is not a route. */
export async function prepareServer(app: NestFastifyApplication, config: Config, records: RequestLog): Promise<void> {
  const server = app.getHttpAdapter().getInstance() as unknown as FastifyInstance;
  const patterns: RoutePattern[] = [];

  server.addHook('onRoute', (route: RouteOptions) => {
    if (route.config?.bodyLimit) route.bodyLimit = route.config.bodyLimit;
    if (route.config?.deprecation) announceDeprecation(route, route.config.deprecation);
    for (const method of [route.method].flat()) patterns.push(toPattern(method, route.url));
  });
  const readiness = app.get(Readiness, { strict: false });
  server.addHook('onRequest', (request, reply, done) => {
    records.begin(request, reply);
    reply.header('x-request-id', request.id).headers(SECURITY_HEADERS);
    if (readiness.isStopping) reply.header('connection', 'close');
    records.within(request, done);
  });
  // What is in flight when the door is shut keeps its connection, and a kept one would hold up the end.
  server.addHook('preClose', (done) => {
    const timer = setInterval(() => server.server.closeIdleConnections(), IDLE_CLOSED_EVERY_MS);
    server.server.once('close', () => clearInterval(timer));
    done();
  });
  server.removeAllContentTypeParsers();
  server.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    try {
      done(null, readBody(request, body as Buffer));
    } catch (error) {
      done(error as Error);
    }
  });

  await server.register(cors, {
    origin: config.ALLOWED_ORIGINS,
    credentials: true,
    // Any OPTIONS gets the preflight's answer, and not a refusal in plain text.
    strictPreflight: false,
    methods: ['GET', 'HEAD', 'POST', 'PATCH', 'PUT', 'DELETE'],
    allowedHeaders: ['Authorization', 'Content-Type', 'Idempotency-Key', 'If-Match', 'If-None-Match', 'X-Request-Id'],
    exposedHeaders: EXPOSED_HEADERS,
    maxAge: 600,
  });
  // After the plugins, so that its refusals have their headers.
  server.addHook('onRequest', (request, reply, done) => {
    const fault = headFault(request) ?? (request.is404 ? noRoute(request, patterns) : undefined);
    if (fault) closeWithoutReadingBody(request, reply);
    done(fault);
  });
  // An expectation other than 100-continue may be ignored (RFC 9110); Node would answer 417 without a body.
  server.server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) =>
    server.server.emit('request', request, response),
  );
  app.get(LoadShedding, { strict: false }).guard(server.server);
  server.setErrorHandler((error, request, reply) => sendProblem(error, request, reply));
  server.setNotFoundHandler((request, reply) => sendProblem(noRoute(request, patterns), request, reply));
}

/** Of such routes alone: the others need not ask on every request whether they are deprecated. */
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

function readBody(request: FastifyRequest, body: Buffer): unknown {
  const encoding = request.headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') {
    throw new AppError('unsupported_media_type', 'A compressed request body is not taken; send it as it is.');
  }
  const charset = /;\s*charset\s*=\s*"?([^\s";]*)/i.exec(request.headers['content-type'] ?? '')?.[1];
  if (charset !== undefined && !/^utf-?8$/i.test(charset)) {
    throw new AppError('unsupported_media_type', 'A JSON request body is UTF-8; no other charset is taken.');
  }
  if (body.length === 0) return undefined;
  try {
    return parseJsonBody(body, request.routeOptions.config.maxMembers);
  } catch (error) {
    if (error instanceof MalformedJson) throw new MalformedRequest(`${error.message}.`);
    if (error instanceof InvalidText) throw new ValidationFailed(error.faults);
    throw error;
  }
}

/** 404, or 405 with `Allow` where the path has other methods. */
function noRoute(request: FastifyRequest, patterns: readonly RoutePattern[]): AppError {
  const path = (request.url.split('?', 1)[0] ?? '').replace(/(?<=.)\/$/, '');
  const matching = patterns.filter((route) => route.path.test(path));
  // A name in the path is meant before a parameter that could be anything.
  const fewest = Math.min(...matching.map((route) => route.parameters));
  const methods = new Set(matching.filter((route) => route.parameters === fewest).map((route) => route.method));
  methods.delete('OPTIONS');
  if (methods.size === 0) return new AppError('not_found', 'There is nothing at this address.');
  return new AppError('method_not_allowed', `${request.method} is not possible here.`, {
    headers: { Allow: [...methods].sort().join(', ') },
  });
}

function toPattern(method: string, url: string): RoutePattern {
  const escaped = url.replace(/\/$/, '').replace(/[.*+?^${}()|[\]\\]/g, (c) => (c === '*' ? '.*' : `\\${c}`));
  // The CORS plugin's catch-all for preflights is no route of ours.
  const path = url === '*' ? /(?!)/ : new RegExp(`^${escaped.replace(/:[A-Za-z_]+/g, '[^/]+')}$`);
  return { method, path, parameters: url.split(':').length - 1 };
}

/** What is wrong with the head of a request, whatever its route does. */
function headFault(request: FastifyRequest): AppError | undefined {
  if (request.headers.host === undefined && request.raw.httpVersion === '1.1') {
    return new MalformedRequest('The Host header is missing.');
  }
  if (request.is404 || !request.url.startsWith(API_PREFIX)) return undefined;
  const produces = request.routeOptions.config?.produces ?? JSON_ONLY;
  if (accepts(request.headers.accept, produces)) return undefined;
  return new AppError('not_acceptable', `This route answers with ${produces.join(' or ')}; see Accept.`);
}

/** Whether the caller takes one of these media types; problems are sent to everyone. */
function accepts(accept: string | undefined, produces: readonly string[]): boolean {
  if (accept === undefined || accept.trim() === '' || accept === '*/*' || accept === 'application/json') return true;
  const ranges = accept.split(',').map((text) => {
    const [type = '', ...parameters] = text.split(';').map((part) => part.trim().toLowerCase());
    return { type, refused: parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter)) };
  });
  // The most specific range that covers a type decides on it (RFC 9110).
  return produces.some((type) => {
    const covering = [type, `${type.split('/')[0]}/*`, '*/*'].map((name) =>
      ranges.find((range) => range.type === name),
    );
    return covering.find((range) => range !== undefined)?.refused === false;
  });
}

const CLIENT_ERRORS: Record<string, string> = {
  HPE_HEADER_OVERFLOW: 'The headers are too large.',
  ERR_HTTP_REQUEST_TIMEOUT: 'The request took too long to arrive.',
};

/** What Node refuses before there is a request: headers too large, garbage, a client that is too slow. */
function clientErrorHandler(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return;
  const requestId = randomUUID();
  const problem = JSON.stringify({
    type: 'malformed_request',
    title: 'Malformed Request',
    status: 400,
    detail: CLIENT_ERRORS[error.code ?? ''] ?? 'The request could not be read.',
    instance: '',
    request_id: requestId,
  });
  const headers = {
    'content-type': PROBLEM_CONTENT_TYPE,
    'content-length': Buffer.byteLength(problem),
    connection: 'close',
    'x-request-id': requestId,
    ...SECURITY_HEADERS,
  };
  if (socket.writable) {
    const head = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.write(`HTTP/1.1 400 Bad Request\r\n${head.join('')}\r\n${problem}`);
  }
  socket.destroySoon();
}
