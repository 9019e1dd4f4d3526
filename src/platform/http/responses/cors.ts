/**
 * Cross-origin requests (the Fetch standard, 3.2): the pages that may call the service from a browser, and the parts of
 * a response that their scripts may read. Requests without an `Origin` are most requests; they only pay for the `Vary`
 * of caches.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';

const METHODS = 'GET, HEAD, POST, PATCH, PUT, DELETE';
/** Seconds for which a browser may remember a preflight. */
const MAX_AGE = '600';
/** Headers of responses that a browser's script may read. */
const EXPOSED_HEADERS = [
  'Deprecation',
  'ETag',
  'Idempotency-Replayed',
  'Link',
  'Location',
  'RateLimit',
  'RateLimit-Policy',
  'Retry-After',
  'Sunset',
  'WWW-Authenticate',
  'X-Request-Id',
  'Content-Disposition',
].join(', ');
/** Headers that a browser's script may send, those of its tracing included. */
const ALLOWED_HEADERS = [
  'Authorization',
  'Content-Type',
  'Idempotency-Key',
  'If-Match',
  'If-None-Match',
  'X-Request-Id',
  'X-Requested-With',
  'baggage',
  'traceparent',
  'tracestate',
].join(', ');

/** Headers that let a page of this origin read a response; an origin that is not allowed gets none of them. */
export function corsHeaders(origin: string): Record<string, string> {
  return {
    'access-control-allow-origin': origin,
    'access-control-allow-credentials': 'true',
    'access-control-expose-headers': EXPOSED_HEADERS,
  };
}

/**
 * Sets the CORS headers of a response. Any OPTIONS is a preflight, and answered here.
 * @returns whether it was answered
 */
export function handlePreflight(origins: readonly string[], request: FastifyRequest, reply: FastifyReply): boolean {
  const { origin } = request.headers;
  void reply.header('vary', 'Origin');
  if (origin !== undefined && origins.includes(origin)) void reply.headers(corsHeaders(origin));
  if (request.method !== 'OPTIONS') return false;
  void reply
    .code(204)
    .headers({
      'access-control-allow-methods': METHODS,
      'access-control-allow-headers': ALLOWED_HEADERS,
      'access-control-max-age': MAX_AGE,
    })
    .send();
  return true;
}
