import type { FastifyReply, FastifyRequest } from 'fastify';

/** So much of a refused request's body is read and thrown away, to keep its connection. */
const MAX_IGNORED = 64 * 1024;

/** Before an answer that comes ahead of the body: what is long, or of unknown length, is not waited for. */
export function closeWithoutReadingBody(request: FastifyRequest, reply: FastifyReply): void {
  const { 'content-length': length, 'transfer-encoding': encoding } = request.headers;
  if (encoding !== undefined || Number(length ?? 0) > MAX_IGNORED) reply.header('connection', 'close');
}
