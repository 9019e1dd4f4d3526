import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { limitServer, SERVER_OPTIONS } from '../net/server-limits';
import { EXCLUSIONS, type ReadinessSource } from './readiness';

/**
 * The health routes for a process without an API: `/health`, `/health/live`, `/health/ready`, with the API's responses.
 * Not listening yet.
 * @param otherwise handles every other path; without it they are not found
 */
export function createHealthServer(
  readiness: ReadinessSource,
  otherwise?: (request: IncomingMessage, response: ServerResponse) => void,
): Server {
  const server = createServer(SERVER_OPTIONS, (request, response) => {
    const respond = (status: number, body: object, headers: Record<string, string> = {}): void => {
      response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', ...headers });
      response.end(request.method === 'HEAD' ? undefined : JSON.stringify(body));
    };
    const [path, query] = (request.url ?? '').split('?', 2);
    const excluded = new URLSearchParams(query).get('exclude');
    const exclude = EXCLUSIONS.find((name) => name === excluded);
    if (otherwise && !/^\/health(\/live|\/ready)?$/.test(path ?? '')) {
      otherwise(request, response);
    } else if (request.method !== 'GET' && request.method !== 'HEAD') {
      respond(405, { status: 'method not allowed' }, { allow: 'GET, HEAD' });
    } else if (path === '/health' || path === '/health/live') {
      respond(200, { status: 'ok' });
    } else if (path === '/health/ready' && excluded !== null && exclude === undefined) {
      respond(422, { status: `exclude must be one of ${EXCLUSIONS.join(' or ')}` });
    } else if (path === '/health/ready') {
      void readiness.report(exclude).then(
        (report) => (report.status === 'ok' ? respond(200, report) : respond(503, report, { 'retry-after': '1' })),
        () => respond(503, { status: 'unavailable', checks: {} }, { 'retry-after': '1' }),
      );
    } else {
      respond(404, { status: 'not found' });
    }
  });
  // Probes are short and few.
  limitServer(server, 5_000);
  server.maxConnections = 64;
  return server;
}
