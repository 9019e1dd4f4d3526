/**
 * Before a process serves, it waits for the process `migrate`: at a first install and at each release with a migration,
 * both start at the same moment. If it ended instead, its orchestrator would restart it with growing delays. While it
 * waits it serves its health routes (alive, not ready, with the reason), and 503 for every other request.
 */
import { once } from 'node:events';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { type Config, required } from '../platform/config/config';
import { findNotMigrated, findRefusedLogin, type NotMigrated } from '../platform/database/start-check';
import { Unavailable } from '../platform/errors';
import { PROBLEM_CONTENT_TYPE, toProblem } from '../platform/http/problem';
import { namingDatabase } from './name-database';
import { requestIdOf } from '../platform/http/requests/request-id';
import { createHealthServer } from '../platform/health/health-server';
import type { Metrics } from '../platform/observability/metrics';
import { pendingText, type ReadinessReport } from '../platform/health/readiness';

const POLL_MS = 1_000;
/** The log repeats the reason this often. */
const REMIND_MS = 60_000;
const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

/** The open resources of a waiting process. */
export interface Waiting {
  /** Whether the process was stopped meanwhile: then it has no more work. */
  stopped: boolean;
  /** Frees the port. It serves until then, so that no probe finds the port closed while the service is created. */
  close(): Promise<void>;
}

/**
 * Waits until no migration is pending, and every login of the process exists. Returns immediately if nothing is
 * missing, or with `MIGRATIONS_WAIT` off: the process then ends by its own check of the schema.
 * @throws Inoperable naming the variable and the server when the database cannot be reached at the first check
 */
export async function waitForMigrations(config: Config, logger: Logger, metrics: Metrics): Promise<Waiting> {
  const url = required(config, 'DATABASE_URL');
  const logins = [config.SIGN_IN_DATABASE_URL, config.QUEUE_DATABASE_URL].filter((one) => one !== undefined);
  const check = async (): Promise<NotMigrated | undefined> => {
    let found = await findNotMigrated(url);
    for (const login of logins) found ??= await findRefusedLogin(login);
    return found;
  };
  let blocker = config.MIGRATIONS_WAIT ? await namingDatabase('DATABASE_URL', url, check) : undefined;
  if (!blocker) return { stopped: false, close: () => Promise.resolve() };
  let report = reportOf(blocker);
  const server = createHealthServer({ report: () => Promise.resolve(report) }, refuse);
  const stop = new AbortController();
  const onSignal = (): void => stop.abort();
  for (const signal of SIGNALS) process.once(signal, onSignal);
  await listen(server, config, logger);
  const remind = reminder(logger);
  try {
    while (blocker && !stop.signal.aborted) {
      metrics.pendingMigrations.set(blocker.pending.length);
      remind(report);
      await delay(POLL_MS, undefined, { signal: stop.signal }).catch(() => undefined);
      try {
        blocker = await check();
        if (blocker) report = reportOf(blocker);
      } catch (error) {
        // A database that restarts while it is migrated is no reason to end.
        logger.warn({ err: error }, 'database not reached while waiting for migrations');
        report = { ...report, checks: { ...report.checks, database: 'unavailable' } };
      }
    }
  } finally {
    for (const signal of SIGNALS) process.off(signal, onSignal);
  }
  if (!stop.signal.aborted) metrics.pendingMigrations.set(0);
  logger.info(stop.signal.aborted ? 'stopped while waiting for migrations' : 'the database is migrated');
  return { stopped: stop.signal.aborted, close: () => closeServer(server) };
}

/** @throws the error of `listen` if the address is unusable for another reason than being in use */
async function listen(server: Server, config: Config, logger: Logger): Promise<void> {
  server.listen(config.PORT, config.HOST);
  try {
    await once(server, 'listening');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    logger.warn(`PORT ${config.PORT} is in use: health routes are unavailable while the process waits for migrations`);
  }
}

async function closeServer(server: Server): Promise<void> {
  if (!server.listening) return;
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}

function reportOf({ pending, refused, login }: NotMigrated): ReadinessReport {
  const database =
    refused === undefined ? 'ok' : `refuses the login ${login === undefined ? '' : `${login} `}(${refused})`;
  return { status: 'unavailable', checks: { database, migrations: pendingText(pending) } };
}

/** Logs why the process waits: immediately, whenever the reason changes, and again from time to time. */
function reminder(logger: Logger): (report: ReadinessReport) => void {
  let said = '';
  let at = 0;
  return ({ checks }) => {
    const reason = JSON.stringify(checks);
    if (reason === said && performance.now() - at < REMIND_MS) return;
    said = reason;
    at = performance.now();
    logger.warn({ checks }, 'waiting for migrations: run the role migrate');
  };
}

function refuse(request: IncomingMessage, response: ServerResponse): void {
  const error = new Unavailable('waiting for migrations');
  const id = requestIdOf(request);
  const path = request.url?.split('?', 1)[0] ?? '/';
  response.writeHead(error.status, { 'content-type': PROBLEM_CONTENT_TYPE, 'retry-after': '1', 'x-request-id': id });
  response.end(request.method === 'HEAD' ? undefined : JSON.stringify(toProblem(error, path, id)));
}
