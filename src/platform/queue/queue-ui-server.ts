/** The server of the queue's UI: bull-board on a separate Fastify. This file is loaded only if the UI is on. */
import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import { FastifyAdapter } from '@bull-board/fastify';
import type { Queue } from 'bullmq';
import { type FastifyInstance, fastify } from 'fastify';
import type { Logger } from 'pino';
import { BasicAuth } from '../http/server/basic-auth';
import { limitServer, SERVER_OPTIONS } from '../net/server-limits';

/**
 * The page may run its own files and call this server. Its external fonts are blocked; inline styles are allowed, since
 * it sets them.
 */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "base-uri 'self'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join(';');
const HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy': POLICY,
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
};
/** Operators are few; a browser opens half a dozen connections. */
const MAX_CONNECTIONS = 64;
const REQUEST_TIMEOUT_MS = 10_000;
const READING = ['GET', 'HEAD'];

/** A queue and its description for the operator. */
export interface ShownQueue {
  queue: Queue;
  description: string;
  /** Before its name on the page. */
  prefix: string;
}

/** The server, not listening yet. It shows the queues and changes nothing in them. */
export async function createQueueUi(
  queues: readonly ShownQueue[],
  auth: BasicAuth,
  logger: Logger,
): Promise<FastifyInstance> {
  const server = fastify({
    // At a stop, only an operator's browser can be waiting for a response.
    forceCloseConnections: true,
    requestTimeout: REQUEST_TIMEOUT_MS,
    http: { ...SERVER_OPTIONS },
    bodyLimit: 1024,
    routerOptions: { ignoreTrailingSlash: true },
  });
  limitServer(server.server, REQUEST_TIMEOUT_MS);
  server.server.maxConnections = MAX_CONNECTIONS;
  server.addHook('onRequest', async (request, reply) => {
    reply.headers(HEADERS);
    const refusal = auth.refusal(request.headers.authorization, request.ip);
    if (refusal) {
      if (request.headers.authorization !== undefined) {
        logger.warn({ status: refusal.status, address: request.ip }, 'the queue UI refused a credential');
      }
      return reply.code(refusal.status).headers(refusal.headers).send({ error: 'Unauthorized' });
    }
    // A job that is retried or removed here would bypass the row of its feature, which is the truth.
    if (!READING.includes(request.method)) {
      return reply.code(405).header('allow', READING.join(', ')).send({ error: 'The queue UI changes nothing' });
    }
  });
  server.addHook('onSend', async (_request, reply, payload) => {
    // The plugin of static files sets its own caching headers.
    reply.header('cache-control', HEADERS['cache-control']);
    if (reply.statusCode < 500) return payload;
    logger.warn({ answer: String(payload).slice(0, 500) }, 'the queue UI could not respond');
    reply.header('content-type', 'application/json; charset=utf-8').removeHeader('content-length');
    return '{"error":"The queue could not be read; the worker’s log has the reason"}';
  });
  const serverAdapter = new FastifyAdapter();
  createBullBoard({
    queues: queues.map(
      ({ queue, description, prefix }) =>
        new BullMQAdapter(queue, { readOnlyMode: true, allowRetries: false, description, prefix }),
    ),
    // Its types may come from another patch release of the API, and then differ in name only.
    serverAdapter: serverAdapter as never,
    options: { uiConfig: { boardTitle: 'Queues', hideRedisDetails: false } },
  });
  serverAdapter.setBasePath('/');
  await server.register(serverAdapter.registerPlugin());
  await server.ready();
  return server;
}
