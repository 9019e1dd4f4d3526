import type { FastifyReply, FastifyRequest } from 'fastify';

/** Bytes of a refused request's body that are read and dropped to keep its connection. */
const MAX_IGNORED = 64 * 1024;

/** Before a response that precedes the body: a long body, or one of unknown length, is not read. */
export function closeWithoutReadingBody(request: FastifyRequest, reply: FastifyReply): void {
  const { 'content-length': length, 'transfer-encoding': encoding } = request.headers;
  if (encoding !== undefined || Number(length ?? 0) > MAX_IGNORED) reply.header('connection', 'close');
}
