import type { FastifyRequest } from 'fastify';

/** Bytes of an unread body that are read and dropped to keep its connection. */
const MAX_IGNORED = 64 * 1024;

/** Whether a response that is sent now precedes a long body, or one of unknown length: it is not read. */
export function leavesUnread({ raw, headers }: FastifyRequest): boolean {
  if (raw.complete) return false;
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > MAX_IGNORED;
}
