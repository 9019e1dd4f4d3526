import type { FastifyRequest } from 'fastify';

/** So much of an unread body is read and thrown away, to keep its connection. */
const MAX_IGNORED = 64 * 1024;

/** Whether a response that is sent now comes ahead of a body that is long, or of unknown length: it is not waited for. */
export function leavesUnread({ raw, headers }: FastifyRequest): boolean {
  if (raw.complete) return false;
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > MAX_IGNORED;
}
