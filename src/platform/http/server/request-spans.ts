import type { FastifyReply, FastifyRequest } from 'fastify';
import { isServerFault } from '../../errors';
import type { TraceContext } from '../../observability/trace-context';
import type { TraceSpan, Tracing } from '../../observability/tracing';
import { callerAddress } from '../../net/client-network';

/** Attributes of OpenTelemetry's semantic conventions; their package is loaded only where traces are sent. */
const METHOD = 'http.request.method';
const ROUTE = 'http.route';
const STATUS = 'http.response.status_code';

/**
 * The span of a request, with the client's span as parent; undefined for health checks, which come every few seconds.
 */
export function beginRequestSpan(
  tracing: Tracing,
  request: FastifyRequest,
  parent: TraceContext | undefined,
): TraceSpan | undefined {
  const { url } = request;
  if (url.startsWith('/health')) return undefined;
  return tracing.start(request.method, {
    kind: 'server',
    parent,
    attributes: {
      [METHOD]: request.method,
      'url.scheme': request.protocol,
      'url.path': url.split('?', 1)[0] as string,
      'server.address': request.hostname,
      'client.address': callerAddress(request),
      'user_agent.original': request.headers['user-agent'] ?? '',
      'app.request_id': request.id,
    },
  });
}

/** Ends it with the result of the request. */
export function endRequestSpan(
  span: TraceSpan,
  { method, caller }: FastifyRequest,
  route: string,
  { raw }: FastifyReply,
): void {
  span.rename(`${method} ${route}`);
  span.set(ROUTE, route);
  span.set(STATUS, raw.statusCode);
  if (caller) span.set('app.tenant_id', caller.tenantId);
  if (!raw.writableFinished) span.end('caller left');
  else if (isServerFault(raw.statusCode)) span.end(String(raw.statusCode));
  else span.end();
}
