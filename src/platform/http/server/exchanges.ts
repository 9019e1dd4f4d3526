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

/** The state of a connection. */
interface ConnectionState {
  latest?: Exchange;
  /** The responses that have not ended, in order. */
  open: ServerResponse[];
  /** Whether bytes could not be read: every later read is an error again. */
  isBroken: boolean;
}

export class Exchanges {
  private readonly connections = new WeakMap<Socket, ConnectionState>();

  constructor(private readonly onMalformed: OnMalformed) {}

  /** Observes the connections of a server before any other code sees a request. */
  watch(server: Server): void {
    server.on('connection', (socket: Socket) => {
      noteEnd(socket);
      socket.once('close', () => closeWaiting(this.stateOf(socket)));
      const destroySoon = socket.destroySoon.bind(socket);
      socket.destroySoon = () => (this.isSending(socket) ? closeInStages(socket) : destroySoon());
    });
    server.prependListener('request', (request: IncomingMessage, response: ServerResponse) => {
      const state = this.stateOf(request.socket);
      state.latest = { request, response };
      state.open = [...state.open.filter(isOpen), response];
    });
    // This server makes no tunnels; Node would close the connection without a response.
    server.on('connect', (request: IncomingMessage, socket: Socket) => {
      socket.on('error', () => socket.destroy());
      this.stateOf(socket).latest = { request, response: new ServerResponse(request) };
      this.respondDirectly(socket, new AppError('method_not_allowed', 'CONNECT is not possible here.'), 'CONNECT');
    });
  }

  /** The framework has taken over the request: refusals of its body use its hooks and its log. */
  handled(request: FastifyRequest, reply: FastifyReply): void {
    const exchange = this.stateOf(request.raw.socket).latest;
    if (exchange?.request === request.raw) exchange.handled = { request, reply };
  }

  /** Whether no later request has come on the connection: its response would be lost if the connection closed now. */
  isLatest(request: IncomingMessage): boolean {
    return (this.stateOf(request.socket).latest?.request ?? request) === request;
  }

  /**
   * Responds to bytes that Node could not parse, or ends the connection after a running response. The server's
   * `clientError`.
   */
  refuse(error: NodeJS.ErrnoException, socket: Socket): void {
    if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
    const state = this.stateOf(socket);
    if (state.isBroken) return;
    state.isBroken = true;
    const [code, detail] = REFUSALS[error.code ?? ''] ?? ['malformed_request', 'The request could not be read.'];
    const refusal = new AppError(code, detail, { internal: error.message });
    const exchange = state.latest;
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

  /** The client still sends: the rest of a refused body, or unreadable bytes. */
  private isSending(socket: Socket): boolean {
    const { latest, isBroken } = this.stateOf(socket);
    return isBroken || (latest !== undefined && !latest.request.complete);
  }

  private stateOf(socket: Socket): ConnectionState {
    let state = this.connections.get(socket);
    if (!state) this.connections.set(socket, (state = { open: [], isBroken: false }));
    return state;
  }

  private respondDirectly(socket: Socket, error: AppError, reason: string): void {
    const state = this.stateOf(socket);
    const exchange = state.latest;
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
    state.isBroken = true;
    socket.destroySoon();
  }
}

/**
 * Node emits `close` only for the response that it is sending when the connection closes. Without it, the slots, the
 * memory and the line of the log of the responses behind it would never be released.
 */
function closeWaiting(state: ConnectionState): void {
  const behind = state.open.filter((response) => isOpen(response) && response.socket === null);
  state.open = [];
  for (const response of behind) response.emit('close');
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
