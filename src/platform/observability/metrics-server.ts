/** The server for Prometheus, on a port that is never the public one. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Logger } from 'pino';
import { type Config, ConfigError } from '../config/config';
import { limitServer, SERVER_OPTIONS } from '../net/server-limits';
import type { Metrics } from './metrics';

/** The default port of a process's metrics. */
const DEFAULT_METRICS_PORT = 9464;
/** A scraper has one connection, or a few. */
const MAX_CONNECTIONS = 32;

/** The metrics, being served. */
export interface MetricsServer {
  port: number;
  /** Closes at once: a scrape must not delay a shutdown. */
  close(): void;
}

/**
 * Serves `GET /metrics`. A default port that is in use (two processes on one machine) disables the metrics and not the
 * service; a configured port that is in use is an error.
 * @param byDefault whether to serve if `METRICS_PORT` is not set
 * @returns undefined without a server
 * @throws ConfigError when the configured address cannot be used
 */
export async function serveMetrics(
  metrics: Metrics,
  config: Config,
  logger: Logger,
  byDefault: boolean,
): Promise<MetricsServer | undefined> {
  const configured = config.METRICS_PORT;
  const port = configured ?? (byDefault ? DEFAULT_METRICS_PORT : 'off');
  if (port === 'off') return undefined;
  const host = config.METRICS_HOST ?? config.HOST;
  const server = createServer(SERVER_OPTIONS, (request, response) => void respond(metrics, request, response, logger));
  server.maxConnections = MAX_CONNECTIONS;
  limitServer(server, 10_000);
  server.listen(port, host);
  try {
    await once(server, 'listening');
  } catch (error) {
    const fault = `METRICS_PORT ${port} cannot be used on ${host} (${(error as NodeJS.ErrnoException).code})`;
    if (configured !== undefined) throw new ConfigError([`${fault}; choose another, or off`]);
    logger.warn(`${fault}: there are no metrics; choose another, or off`);
    return undefined;
  }
  server.on('error', (error) => logger.warn({ reason: error.message }, 'the metrics server'));
  metrics.collectProcess();
  const bound = (server.address() as AddressInfo).port;
  logger.info({ port: bound, host }, 'metrics');
  return {
    port: bound,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function respond(
  metrics: Metrics,
  request: IncomingMessage,
  response: ServerResponse,
  logger: Logger,
): Promise<void> {
  request.resume();
  if (request.url?.split('?', 1)[0] !== '/metrics') {
    response.writeHead(404, { 'content-type': 'text/plain' }).end('See /metrics.\n');
    return;
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.writeHead(405, { 'content-type': 'text/plain', allow: 'GET, HEAD' }).end();
    return;
  }
  try {
    const text = await metrics.registry.metrics();
    response.writeHead(200, { 'content-type': metrics.registry.contentType }).end(text);
  } catch (error) {
    logger.warn({ err: error }, 'the metrics could not be collected');
    response.writeHead(500, { 'content-type': 'text/plain' }).end('The metrics could not be collected.\n');
  }
}
