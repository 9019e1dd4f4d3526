import { randomUUID } from 'node:crypto';
import type { FastifyRequest } from 'fastify';

const REQUEST_ID = /^[A-Za-z0-9._-]{1,128}$/;
const OWN_ID = Symbol('own request id');

/** The caller's `X-Request-Id` if it is valid, otherwise a new one. */
export function requestIdOf({ headers }: { headers: NodeJS.Dict<string | string[]> }): string {
  const given = headers['x-request-id'];
  return typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID();
}

/**
 * The ids of a request in a line of the log. If the caller chose the request's id, which other requests may also have,
 * `log_id` is one of our own: the same in all lines of one request.
 */
export function logIds(request: FastifyRequest & { [OWN_ID]?: string }): Record<string, string | number> {
  const { id, trace, headers } = request;
  const ids: Record<string, string | number> = { request_id: id };
  if (headers['x-request-id'] === id) ids.log_id = request[OWN_ID] ??= randomUUID();
  if (trace) ids.trace_id = trace.traceId;
  return ids;
}
