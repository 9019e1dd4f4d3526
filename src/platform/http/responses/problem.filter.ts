import { type ArgumentsHost, Catch, type ExceptionFilter } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Refusals } from '../../audit/refusals';
import { AppError, ClientGone, isServerFault } from '../../errors';
import type { Caller } from '../requests/caller';
import { instanceOf } from '../requests/request-target';
import { logIds } from '../requests/request-id';
import { typesTaken } from '../requests/media-types';
import { deprecationHeaders } from './deprecation';
import type { OutageLog } from './outage-log';
import { toAppError, toProblem, PROBLEM_CONTENT_TYPE } from '../problem';

/** Headers that describe the response that a problem takes the place of. */
const OF_A_SUCCESS = ['etag', 'link', 'content-disposition', 'content-length', 'last-modified', 'accept-ranges'];

declare module 'fastify' {
  interface FastifyInstance {
    /** The outages of this server; see {@link sendProblem}. */
    outages: OutageLog;
  }
}

/** Turns every thrown value into `application/problem+json`: the only place that does. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  constructor(private readonly refusals: Refusals) {}

  catch(error: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    const request = http.getRequest<FastifyRequest>();
    if (error instanceof AppError && error.code === 'forbidden' && request.caller) this.count(request, request.caller);
    sendProblem(error, request, http.getResponse<FastifyReply>());
  }

  /** A refusal is in the audit log of the caller's tenant, by the route's template. */
  private count({ method, routeOptions }: FastifyRequest, { tenantId, actor, session, origin }: Caller): void {
    const target = { type: 'route', id: `${method} ${routeOptions.url ?? ''}` };
    this.refusals.count({
      caller: { tenantId, actor, session, network: origin?.network },
      entry: { action: 'request.denied', target, outcome: 'denied' },
    });
  }
}

/** Sends the problem for an error, and logs its internal text. */
export function sendProblem(thrown: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const error = toAppError(thrown);
  const status = error.status;
  const { log } = request;
  const ids = logIds(request);
  // The request's own line reports that its client left.
  if (error instanceof ClientGone) return void reply.raw.destroy();
  if (status === 503) request.server.outages.note(log, ids, error);
  else if (isServerFault(status)) {
    log.error({ ...ids, err: error.cause ?? error, internal: error.internal }, 'request failed');
  } else if (error.internal) {
    log.info({ ...ids, problem: error.code, internal: error.internal }, 'request refused');
  }
  if (reply.sent || reply.raw.headersSent) {
    // A response that has ended needs nothing more: the refusal of its unread body came first.
    if (!reply.raw.writableEnded) reply.raw.destroy();
    return;
  }
  const problem = toProblem(error, request.server.publicPath + instanceOf(request.url), request.id);
  for (const name of OF_A_SUCCESS) reply.removeHeader(name);
  const { deprecation } = request.routeOptions.config;
  if (deprecation) reply.headers(deprecationHeaders(deprecation));
  if (error.code === 'unsupported_media_type') reply.headers(typesTaken(request.method));
  if (error.headers) reply.headers(error.headers);
  void reply
    .status(status)
    .headers({ 'content-type': PROBLEM_CONTENT_TYPE, 'cache-control': 'no-store', 'x-request-id': request.id })
    .send(JSON.stringify(problem));
}
