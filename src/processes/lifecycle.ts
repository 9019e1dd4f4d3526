/** The common lifecycle of the processes: listen, receive a signal, stop in time, explain a failed start. */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { INestApplicationContext } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Logger } from 'pino';
import { type Config, ConfigError } from '../platform/config/config';
import { WrongKeys } from '../platform/crypto/wrong-keys';
import { translateDatabaseError } from '../platform/database/sql/errors';
import { AppError } from '../platform/errors';
import { createHealthServer } from '../platform/health/health-server';
import { Readiness } from '../platform/health/readiness';

type Address = Pick<Config, 'HOST' | 'PORT'>;

/** Listens; returns the address in use. @throws ConfigError when the address cannot be used */
export async function listen(app: NestFastifyApplication, config: Address): Promise<string> {
  try {
    await app.listen(config.PORT, config.HOST);
  } catch (error) {
    throw addressFault(error, config);
  }
  const { address, port, family } = app.getHttpServer().address() as AddressInfo;
  const host = address === '0.0.0.0' || address === '::' ? 'localhost' : family === 'IPv6' ? `[${address}]` : address;
  return `http://${host}:${port}`;
}

/** Checks whether `listen` would get its address, before any slow work. @throws ConfigError */
export async function assertAddressFree(config: Address): Promise<void> {
  const probe = createServer();
  try {
    probe.listen(config.PORT, config.HOST);
    await once(probe, 'listening');
  } catch (error) {
    throw addressFault(error, config);
  } finally {
    probe.close();
  }
}

function addressFault(error: unknown, { HOST, PORT }: Address): unknown {
  switch ((error as NodeJS.ErrnoException).code) {
    case 'EADDRINUSE':
      return new ConfigError([`PORT ${PORT} is in use on ${HOST}; stop what uses it, or choose another`]);
    case 'EACCES':
      return new ConfigError([`PORT ${PORT} is not open to this user; choose one above 1023`]);
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return new ConfigError([`HOST ${HOST} is no address of this machine`]);
    default:
      return error;
  }
}

/**
 * Listens, and resolves when the process was stopped and has finished its requests. At SIGTERM, which orchestrators
 * send, readiness fails a while before the socket closes; a Ctrl-C has no such delay.
 */
export async function serveUntilStopped(app: NestFastifyApplication, config: Config, logger: Logger): Promise<void> {
  const stop = stopSignal();
  try {
    logger.info({ url: await listen(app, config) }, 'listening');
    const signal = await stop.received;
    logger.info({ signal }, 'stopping');
    app.get(Readiness, { strict: false }).stopServing();
    if (signal === 'SIGTERM') await delay(config.SHUTDOWN_DELAY);
  } finally {
    await closeWithin(app, config, logger);
  }
}

/**
 * Lets a worker work until the process is stopped, and resolves when its sends are done. It serves its health on the
 * address of an API process. If that is in use by one (both on one machine), the worker works without health routes and
 * logs this. @throws ConfigError when the address is invalid
 */
export async function workUntilStopped(
  app: INestApplicationContext,
  readiness: Readiness,
  config: Config,
  logger: Logger,
): Promise<void> {
  const stop = stopSignal();
  const health = createHealthServer(readiness);
  try {
    health.listen(config.PORT, config.HOST);
    await once(health, 'listening').catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EADDRINUSE') throw addressFault(error, config);
      logger.warn(`PORT ${config.PORT} is in use: this worker’s health routes are unavailable; give it another PORT`);
    });
    logger.info({ port: (health.address() as AddressInfo | null)?.port }, 'working');
    logger.info({ signal: await stop.received }, 'stopping');
    readiness.stopServing();
  } finally {
    await closeWithin(app, config, logger);
    health.close();
    health.closeAllConnections();
  }
}

async function closeWithin(app: INestApplicationContext, config: Config, logger: Logger): Promise<void> {
  if (await stopWithin(() => app.close(), config.SHUTDOWN_TIMEOUT)) logger.info('stopped');
  else logger.warn('stopped at the deadline, with requests still in flight');
}

/** A wish that the process should stop. */
export interface StopSignal {
  readonly asked: boolean;
  /** Resolves with the first signal's name. */
  readonly received: Promise<string>;
}

/** One Ctrl-C arrives twice if npm forwards the signal of the terminal: only a later one counts as second. */
const SECOND_SIGNAL_AFTER_MS = 1_000;

/** Receives SIGTERM, SIGINT and SIGHUP; a second one ends the process immediately. */
export function stopSignal(): StopSignal {
  let askedAt: number | undefined;
  const received = new Promise<string>((resolve) => {
    const onSignal = (signal: string): void => {
      if (askedAt !== undefined && performance.now() - askedAt > SECOND_SIGNAL_AFTER_MS) process.exit(130);
      askedAt ??= performance.now();
      resolve(signal);
    };
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, onSignal);
  });
  return {
    received,
    get asked() {
      return askedAt !== undefined;
    },
  };
}

/** Runs `stop` for at most this time; hanging work ends with the process. Returns whether it ended by itself. */
export async function stopWithin(stop: () => Promise<unknown>, milliseconds: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<false>((resolve) => {
    timer = setTimeout(resolve, milliseconds, false as const);
  });
  const ended = await Promise.race([stop().then(() => true), deadline]);
  clearTimeout(timer);
  return ended;
}

/**
 * Runs a process's work to its end: exit code 0 (or the one that the work has set), 1 with the reason on stderr, 2 for
 * an invalid command line.
 */
export function run(work: Promise<void>): void {
  work.then(
    () => process.exit(),
    (error: unknown) => {
      process.stderr.write(`${explain(error)}\n`);
      process.exit(error instanceof UsageError ? 2 : 1);
    },
  );
}

/** A requirement of the process is missing; the message alone is sufficient for the operator. */
export class Inoperable extends Error {}

/** A command line that makes no sense. */
export class UsageError extends Inoperable {}

/** Errors whose message alone is for the operator. */
const OPERATORS_TO_MEND = [ConfigError, WrongKeys, Inoperable] as const;

/**
 * The reason for the end of a process, for its operator: one line for a fault that the operator can fix, a stack for a
 * bug.
 */
export function explain(thrown: unknown): string {
  if (OPERATORS_TO_MEND.some((kind) => thrown instanceof kind)) return (thrown as Error).message;
  const error = translateDatabaseError(thrown);
  if (error instanceof AppError) return error.internal ?? error.publicMessage;
  const { severity, code } = error as { severity?: unknown; code?: unknown };
  // Refusals of PostgreSQL for the operator: a password, a database, a privilege.
  if (severity === 'FATAL' || code === '42501') return `database: ${(error as Error).message} (${String(code)})`;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
