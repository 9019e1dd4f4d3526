/**
 * The current exchange of each connection, so that every request gets exactly one final response. Node reports a
 * malformed request for its connection, and not for a request. The reaction depends on the position of the bytes: in
 * the body of a request without a response yet, behind requests with a running response, or at the start of a request
 * of their own.
 */
import { randomUUID } from 'node:crypto';
import { type IncomingMessage, type Server, ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { AppError, type ProblemCode } from '../../errors';
import { PROBLEM_CONTENT_TYPE, toProblem } from '../problem';
import { sendProblem } from '../responses/problem.filter';
import { requestIdOf } from '../requests/request-id';
import { SECURITY_HEADERS } from '../responses/security-headers';
import { noteEnd } from '../../net/client-connection';
import { closeInStages } from './connection-end';

/** The newest exchange of a connection: responses are sent in order, so when its response has ended, all have. */
interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
  /** Once the framework has it. */
  handled?: { request: FastifyRequest; reply: FastifyReply };
}

/** Receives the response to bytes that are not a request: it also belongs in the log. */
export type OnMalformed = (problem: { requestId: string; status: number; reason: string }) => void;

const REFUSALS: Record<string, [code: ProblemCode, detail: string]> = {
  HPE_HEADER_OVERFLOW: ['headers_too_large', 'The headers are larger than 16 KB.'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: ['payload_too_large', 'The chunk extensions are too large.'],
  HPE_INVALID_VERSION: ['http_version_not_supported', 'This version of HTTP is not supported; use HTTP/1.1.'],
  HPE_PAUSED_H2_UPGRADE: ['http_version_not_supported', 'This version of HTTP is not supported; use HTTP/1.1.'],
  ERR_HTTP_REQUEST_TIMEOUT: ['request_timeout', 'The request took too long to arrive.'],
};
/** The client has ended its side in the middle of a request. */
const ENDED_EARLY = 'HPE_INVALID_EOF_STATE';

export class Exchanges {
  private readonly latest = new WeakMap<Socket, Exchange>();
  /** The responses of a connection that have not ended, in order. */
  private readonly waiting = new WeakMap<Socket, ServerResponse[]>();
  private readonly broken = new WeakSet<Socket>();

  constructor(private readonly onMalformed: OnMalformed) {}

  /** Observes the connections of a server before any other code sees a request. */
  watch(server: Server): void {
    server.on('connection', (socket: Socket) => {
      noteEnd(socket);
      socket.once('close', () => this.closeWaiting(socket));
      const destroySoon = socket.destroySoon.bind(socket);
      socket.destroySoon = () => (this.isSending(socket) ? closeInStages(socket) : destroySoon());
    });
    server.prependListener('request', (request: IncomingMessage, response: ServerResponse) => {
      this.latest.set(request.socket, { request, response });
      this.waiting.set(request.socket, [...(this.waiting.get(request.socket) ?? []).filter(isOpen), response]);
    });
    // This server makes no tunnels; Node would close the connection without a response.
    server.on('connect', (request: IncomingMessage, socket: Socket) => {
      socket.on('error', () => socket.destroy());
      this.latest.set(socket, { request, response: new ServerResponse(request) });
      this.respondDirectly(socket, new AppError('method_not_allowed', 'CONNECT is not possible here.'), 'CONNECT');
    });
  }

  /** The framework has taken over the request: refusals of its body use its hooks and its log. */
  handled(request: FastifyRequest, reply: FastifyReply): void {
    const exchange = this.latest.get(request.raw.socket);
    if (exchange?.request === request.raw) exchange.handled = { request, reply };
  }

  /** Whether no later request has come on the connection: its response would be lost if the connection closed now. */
  isLatest(request: IncomingMessage): boolean {
    return (this.latest.get(request.socket)?.request ?? request) === request;
  }

  /**
   * Responds to bytes that Node could not parse, or ends the connection after a running response. The server's
   * `clientError`.
   */
  refuse(error: NodeJS.ErrnoException, socket: Socket): void {
    if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
    // Every later read of a connection that is broken is an error again.
    if (this.broken.has(socket)) return;
    this.broken.add(socket);
    const [code, detail] = REFUSALS[error.code ?? ''] ?? ['malformed_request', 'The request could not be read.'];
    const refusal = new AppError(code, detail, { internal: error.message });
    const exchange = this.latest.get(socket);
    if (!exchange || (exchange.request.complete && isEnded(exchange.response))) {
      this.respondDirectly(socket, refusal, error.code ?? '');
    } else if (exchange.request.complete || isEnded(exchange.response) || exchange.response.headersSent) {
      endAfter(exchange.response, socket);
    } else if (error.code === ENDED_EARLY || !exchange.handled) {
      this.respondDirectly(socket, refusal, error.code ?? '');
    } else {
      endAfter(exchange.response, socket);
      sendProblem(refusal, exchange.handled.request, exchange.handled.reply);
    }
  }

  /**
   * Node tells only the response whose turn it is that its connection has closed. What the responses behind it hold
   * (room, slots, a line of the log) would never be released.
   */
  private closeWaiting(socket: Socket): void {
    const behind = (this.waiting.get(socket) ?? []).filter((response) => isOpen(response) && response.socket === null);
    this.waiting.delete(socket);
    for (const response of behind) response.emit('close');
  }

  /** The client still sends: the rest of a refused body, or unreadable bytes. */
  private isSending(socket: Socket): boolean {
    const exchange = this.latest.get(socket);
    return this.broken.has(socket) || (exchange !== undefined && !exchange.request.complete);
  }

  private respondDirectly(socket: Socket, error: AppError, reason: string): void {
    const exchange = this.latest.get(socket);
    const requestId = exchange && !isEnded(exchange.response) ? requestIdOf(exchange.request) : randomUUID();
    const body = JSON.stringify(toProblem(error, '/', requestId));
    const headers = {
      date: new Date().toUTCString(),
      'content-type': PROBLEM_CONTENT_TYPE,
      'content-length': Buffer.byteLength(body),
      'cache-control': 'no-store',
      connection: 'close',
      'x-request-id': requestId,
      ...SECURITY_HEADERS,
      // A path without any method has an empty `Allow` (RFC 9110, 10.2.1).
      ...(error.code === 'method_not_allowed' ? { allow: '' } : {}),
    };
    const head = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.write(`HTTP/1.1 ${error.status} ${STATUS_CODES[error.status]}\r\n${head.join('')}\r\n${body}`);
    this.onMalformed({ requestId, status: error.status, reason });
    this.broken.add(socket);
    socket.destroySoon();
  }
}

/** Lets the connection end with the running response. */
function endAfter(response: ServerResponse, socket: Socket): void {
  if (!response.headersSent) response.shouldKeepAlive = false;
  if (isEnded(response)) socket.destroySoon();
  else response.once('close', () => socket.destroySoon());
}

function isEnded(response: ServerResponse): boolean {
  return response.writableFinished || response.destroyed;
}

/** Its `close` has not been emitted yet. */
function isOpen(response: ServerResponse): boolean {
  return !response.closed;
}
