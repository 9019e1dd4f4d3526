/**
 * The HTTP server under Nest: Fastify with everything that holds for each request before a controller sees it (request
 * id, JSON, sizes, media types, CORS, security headers) and after it (the log line, problems for what no route made).
 */
import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import cors from '@fastify/cors';
import helmet from '@fastify/helmet';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import {
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  LogController,
  type RouteOptions,
} from 'fastify';
import type { Logger } from 'pino';
import type { Config } from '../config/config';
import { AppError, MalformedRequest, ValidationFailed } from '../errors';
import { InvalidText, MalformedJson, parseJsonBody } from './json-body';
import { sendProblem } from './problem.filter';

const MIB = 1024 * 1024;
const REQUEST_ID = /^[A-Za-z0-9._-]{1,128}$/;
/** Headers of answers that a browser's script may read. */
const EXPOSED_HEADERS = [
  'ETag',
  'Idempotency-Replayed',
  'Link',
  'Location',
  'RateLimit',
  'RateLimit-Policy',
  'Retry-After',
  'WWW-Authenticate',
  'X-Request-Id',
  'Content-Disposition',
];
export const API_PREFIX = '/api/v1';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Largest body of this route in bytes; 1 MiB where it is left out. */
    bodyLimit?: number;
    /** Media types that the route answers with, beside problems; JSON where it is left out. */
    produces?: string[];
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
export function createAdapter(config: Config, logger: Logger): FastifyAdapter {
  return new ApiAdapter({
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'request_id' }),
    bodyLimit: MIB,
    trustProxy: trustProxy(config.TRUST_PROXY),
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 200 },
    requestTimeout: 30_000,
    keepAliveTimeout: 72_000,
    forceCloseConnections: 'idle',
    requestIdHeader: false,
    genReqId: (raw: { headers: NodeJS.Dict<string | string[]> }) => {
      const given = raw.headers['x-request-id'];
      return typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID();
    },
    frameworkErrors: (error: Error, request: FastifyRequest, reply: FastifyReply) => {
      void reply.header('x-request-id', request.id);
      sendProblem(new MalformedRequest('The address could not be read.', { internal: error.message }), request, reply);
    },
    clientErrorHandler,
  } as never);
}

/** Everything on the server that is not a route. */
export async function prepareServer(app: NestFastifyApplication, config: Config): Promise<void> {
  const server = app.getHttpAdapter().getInstance() as unknown as FastifyInstance;
  const patterns: { method: string; path: RegExp }[] = [];

  server.addHook('onRoute', (route: RouteOptions) => {
    if (route.config?.bodyLimit) route.bodyLimit = route.config.bodyLimit;
    for (const method of [route.method].flat()) patterns.push({ method, path: toPattern(route.url) });
  });
  server.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id);
    done(acceptable(request) ? undefined : notAcceptable());
  });
  server.addHook('onResponse', (request, reply, done) => {
    request.log.info(
      {
        method: request.method,
        route: request.routeOptions.url ?? '(none)',
        status: reply.statusCode,
        duration_ms: Math.round(reply.elapsedTime * 10) / 10,
        ...(request.caller
          ? { tenant_id: request.caller.tenantId, actor: `${request.caller.actor.type}:${request.caller.actor.id}` }
          : {}),
      },
      'request',
    );
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

  await server.register(helmet, {
    contentSecurityPolicy: { useDefaults: false, directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] } },
    crossOriginResourcePolicy: { policy: 'cross-origin' },
    strictTransportSecurity: { maxAge: 31_536_000, includeSubDomains: true },
    referrerPolicy: { policy: 'no-referrer' },
  });
  await server.register(cors, {
    origin: config.ALLOWED_ORIGINS,
    credentials: true,
    methods: ['GET', 'HEAD', 'POST', 'PATCH', 'PUT', 'DELETE'],
    allowedHeaders: ['Authorization', 'Content-Type', 'Idempotency-Key', 'If-Match', 'If-None-Match', 'X-Request-Id'],
    exposedHeaders: EXPOSED_HEADERS,
    maxAge: 600,
  });
  server.setErrorHandler((error, request, reply) => sendProblem(error, request, reply));
  server.setNotFoundHandler((request, reply) => sendProblem(noRoute(request, patterns), request, reply));
}

function readBody(request: FastifyRequest, body: Buffer): unknown {
  const encoding = request.headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') {
    throw new AppError('unsupported_media_type', 'A compressed request body is not taken; send it as it is.');
  }
  if (body.length === 0) return undefined;
  try {
    return parseJsonBody(body);
  } catch (error) {
    if (error instanceof MalformedJson) throw new MalformedRequest(error.message);
    if (error instanceof InvalidText) throw new ValidationFailed(error.faults);
    throw error;
  }
}

/** 404, or 405 with `Allow` where the path has other methods. */
function noRoute(request: FastifyRequest, patterns: { method: string; path: RegExp }[]): AppError {
  const path = (request.url.split('?', 1)[0] ?? '').replace(/(?<=.)\/$/, '');
  const methods = new Set(patterns.filter((route) => route.path.test(path)).map((route) => route.method));
  methods.delete('OPTIONS');
  if (methods.size === 0) return new AppError('not_found', 'There is nothing at this address.');
  return new AppError('method_not_allowed', `${request.method} is not possible here.`, {
    headers: { Allow: [...methods].sort().join(', ') },
  });
}

function toPattern(url: string): RegExp {
  const escaped = url.replace(/\/$/, '').replace(/[.*+?^${}()|[\]\\]/g, (c) => (c === '*' ? '.*' : `\\${c}`));
  // The CORS plugin's catch-all for preflights is no route of ours.
  return url === '*' ? /(?!)/ : new RegExp(`^${escaped.replace(/:[A-Za-z_]+/g, '[^/]+')}$`);
}

/** Whether the caller takes what the route gives; problems are sent to everyone. */
function acceptable(request: FastifyRequest): boolean {
  const accept = request.headers.accept;
  if (accept === undefined || accept.includes('*/*') || accept.includes('application/json')) return true;
  if (!request.url.startsWith(API_PREFIX)) return true;
  const produces = request.routeOptions.config?.produces ?? ['application/json'];
  return accept.split(',').some((range) => {
    const [type, ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    if (parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter))) return false;
    return produces.some((made) => made === type || type === `${made.split('/')[0]}/*`);
  });
}

function notAcceptable(): AppError {
  return new AppError('not_acceptable', 'This route answers with JSON; see Accept.');
}

function trustProxy(text: string): boolean | number | string[] {
  if (text === 'true' || text === 'false') return text === 'true';
  if (/^\d+$/.test(text)) return Number(text);
  return text.split(',').map((part) => part.trim());
}

/** What Node refuses before there is a request: headers too large, garbage, a client that is too slow. */
function clientErrorHandler(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return;
  const problem = JSON.stringify({
    type: 'malformed_request',
    title: 'Malformed Request',
    status: 400,
    detail: error.code === 'HPE_HEADER_OVERFLOW' ? 'The headers are too large.' : 'The request could not be read.',
    instance: '',
    request_id: randomUUID(),
  });
  if (socket.writable) {
    socket.write(
      `HTTP/1.1 400 Bad Request\r\nContent-Type: application/problem+json; charset=utf-8\r\n` +
        `Content-Length: ${Buffer.byteLength(problem)}\r\nConnection: close\r\n\r\n${problem}`,
    );
  }
  socket.destroySoon();
}
