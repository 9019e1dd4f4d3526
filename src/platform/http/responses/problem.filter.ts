import { type ArgumentsHost, Catch, type ExceptionFilter } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { toAppError, toProblem, PROBLEM_CONTENT_TYPE } from '../problem';

/** Turns every thrown value into `application/problem+json`: the only place that does. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  catch(error: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    sendProblem(error, http.getRequest<FastifyRequest>(), http.getResponse<FastifyReply>());
  }
}

/** Sends the problem for an error, and logs its internal text. */
export function sendProblem(thrown: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const error = toAppError(thrown);
  const status = error.status;
  const { log, id, trace } = request;
  const ids = { request_id: id, ...(trace ? { trace_id: trace.traceId } : {}) };
  if (status >= 500) {
    log.error({ ...ids, err: error.cause ?? error, internal: error.internal }, 'request failed');
  } else if (error.internal) {
    log.info({ ...ids, problem: error.code, internal: error.internal }, 'request refused');
  }
  if (reply.sent || reply.raw.headersSent) {
    reply.raw.destroy();
    return;
  }
  const problem = toProblem(error, pathOf(request.url), request.id);
  reply.removeHeader('etag').removeHeader('content-disposition');
  if (error.headers) reply.headers(error.headers);
  void reply
    .status(status)
    .headers({ 'content-type': PROBLEM_CONTENT_TYPE, 'x-request-id': request.id })
    .send(JSON.stringify(problem));
}

function pathOf(url: string): string {
  const query = url.indexOf('?');
  return query === -1 ? url : url.slice(0, query);
}
