/**
 * Nest's adapter for Fastify, with the settings of the server and with our own responses to errors and missing routes.
 */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { type FastifyReply, type FastifyRequest, type FastifyHttpOptions, LogController } from 'fastify';
import type { Logger } from 'pino';
import type { Config } from '../../config/config';
import { MalformedRequest } from '../../errors';
import { type AnonymousConnectionOptions, boundAnonymousConnections } from '../../net/anonymous-connections';
import { limitServer, SERVER_OPTIONS } from '../../net/server-limits';
import { sendProblem } from '../responses/problem.filter';
import { Result } from '../responses/results';
import { sendResult } from '../responses/send-result';
import { requestIdOf } from '../requests/request-id';
import type { RequestLog } from './request-log';
import { SECURITY_HEADERS } from '../responses/security-headers';
import { trustedProxies } from '../../net/client-network';
import { Exchanges } from './exchanges';
import { canonicalTarget } from '../requests/request-target';

const MIB = 1024 * 1024;
/** More than Node's limit of a request's head, so that no id in a path is truncated. */
const MAX_PARAM_LENGTH = 65_536;
/** A body of 8 MiB has this long to arrive. */
const REQUEST_TIMEOUT_MS = 30_000;

/** Fastify's own lines are off, and a hook writes the log line; but an aborted response must also leave a line. */
class QuietLogController extends LogController {
  override streamError(error: Error & { code?: string }, request: FastifyRequest): void {
    if (error.code === 'ERR_STREAM_PREMATURE_CLOSE')
      request.log.info({ request_id: request.id }, 'client disconnected before the response ended');
    else request.log.error({ request_id: request.id, err: error.cause ?? error }, 'the response was interrupted');
  }
}

/** Fastify's adapter with our own responses to errors and missing routes, in place of Nest's defaults. */
export class ApiAdapter extends FastifyAdapter {
  readonly exchanges: Exchanges;
  private readonly connections: AnonymousConnectionOptions;

  constructor(config: Config, logger: Logger, records: RequestLog) {
    const trusted = trustedProxies(config.TRUST_PROXY);
    const exchanges = new Exchanges((problem) => records.malformed(problem));
    const options: FastifyHttpOptions<Server> = {
      loggerInstance: logger,
      logController: new QuietLogController({ disableRequestLogging: true }),
      // A logger for each request costs a get a twentieth; the lines that are written name it themselves.
      childLoggerFactory: (parent) => parent,
      bodyLimit: MIB,
      trustProxy: trusted,
      routerOptions: { ignoreTrailingSlash: true, maxParamLength: MAX_PARAM_LENGTH },
      // Node's own response to a request without Host has no body: the hook sends the response.
      http: { requireHostHeader: false, ...SERVER_OPTIONS },
      requestTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: 72_000,
      forceCloseConnections: 'idle',
      // Requests that still arrive on a closing connection are served; they have the whole time of the shutdown.
      return503OnClosing: false,
      requestIdHeader: false,
      genReqId: requestIdOf,
      frameworkErrors: (error: Error, request: FastifyRequest, reply: FastifyReply) => {
        records.begin(request, reply);
        void reply.headers(SECURITY_HEADERS);
        const refusal = new MalformedRequest('The address could not be read.', { internal: error.message });
        sendProblem(refusal, request, reply);
      },
      clientErrorHandler: (error: NodeJS.ErrnoException, socket: Socket) => exchanges.refuse(error, socket),
    };
    super(options);
    this.exchanges = exchanges;
    this.connections = {
      isProxy: (address) => (typeof trusted === 'boolean' ? trusted : trusted(address, 0)),
      logger,
    };
  }

  override setErrorHandler(): ReturnType<FastifyAdapter['setErrorHandler']> {
    return this.getInstance();
  }

  override setNotFoundHandler(): ReturnType<FastifyAdapter['setNotFoundHandler']> {
    return this.getInstance();
  }

  /**
   * Sends the result of a controller's method: results in the form of `send-result.ts`, any other value as Nest does.
   * Nest awaits the returned value, and a reply is a thenable: so there is none.
   */
  override reply(reply: FastifyReply, body: unknown, status?: number): never {
    if (body instanceof Result) sendResult(reply, body);
    else super.reply(reply, body, status);
    return undefined as never;
  }

  /** Installs handlers that run before Fastify sees a connection or a request. */
  guardConnections(server: Server): void {
    limitServer(server, REQUEST_TIMEOUT_MS);
    boundAnonymousConnections(server, this.connections);
    // A client that ends its side after its request still reads the response. Undocumented, and so tested.
    Object.assign(server, { httpAllowHalfOpen: true });
    server.prependListener('request', (request) => {
      request.url = canonicalTarget(request.method ?? '', request.url ?? '/');
    });
    this.exchanges.watch(server);
  }
}
