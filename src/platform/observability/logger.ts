import type { LoggerService } from '@nestjs/common';
import pino, { type DestinationStream, type Logger } from 'pino';
import type { Config } from '../config/config';

/** Bytes of lines that are written together; each write wakes a thread, which costs more than many lines do. */
const WRITE_LENGTH = 64 * 1024;

/** Names whose values never reach the log, at any depth. */
const SECRETS = [
  'password',
  'token',
  'access_token',
  'refresh_token',
  'api_key',
  'secret',
  'signature',
  'authorization',
  'cookie',
];

/**
 * The process's logger: one JSON object a line on stdout, readable text on a terminal. Requests are logged without
 * headers, bodies or query strings. Other log calls have secrets redacted by name, as a second protection.
 */
export function createLogger(config: Pick<Config, 'LOG_LEVEL'>, destination?: DestinationStream): Logger {
  const options = {
    level: config.LOG_LEVEL,
    base: undefined,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: { paths: SECRETS.flatMap((name) => [name, `*.${name}`]), censor: '[redacted]' },
    serializers: { err: errorSummary, req: () => undefined, res: () => undefined },
  };
  if (destination) return pino(options, destination);
  if (process.stdout.isTTY) {
    // eslint-disable-next-line @typescript-eslint/no-require-imports -- for terminals only: a service never loads it
    const pretty = require('pino-pretty') as typeof import('pino-pretty');
    return pino(options, pretty({ translateTime: 'HH:MM:ss', ignore: 'req_id', singleLine: true, sync: true }));
  }
  return pino(options, openStdout());
}

/** Stdout. It is given bytes: of text, it would measure all that it has kept again at each line. */
function openStdout(): DestinationStream {
  const stdout = pino.destination({
    dest: 1,
    sync: false,
    contentMode: 'buffer',
    minLength: WRITE_LENGTH,
    maxWrite: 2 * WRITE_LENGTH,
    periodicFlush: 250,
  });
  const write = stdout.write.bind(stdout) as unknown as (bytes: Buffer) => boolean;
  stdout.write = (line: string) => write(Buffer.from(line));
  return stdout;
}

/** An error without the details that its driver attaches: a query's parameters are a tenant's data. */
function errorSummary(error: unknown): object {
  if (!(error instanceof Error)) return { message: String(error) };
  const { code } = error as { code?: unknown };
  return {
    type: error.name,
    message: error.message,
    ...(typeof code === 'string' ? { code } : {}),
    stack: error.stack,
    ...(error.cause instanceof Error ? { cause: errorSummary(error.cause) } : {}),
  };
}

/** Sends Nest's own lines to our logger; its lines about modules and routes are debug. */
export class NestLogger implements LoggerService {
  constructor(private readonly logger: Logger) {}

  log(message: unknown, context?: unknown): void {
    this.logger.debug({ context }, String(message));
  }
  warn(message: unknown, context?: unknown): void {
    this.logger.warn({ context }, String(message));
  }
  error(message: unknown, stack?: unknown, context?: unknown): void {
    // Nest throws its log message here, and the process ends with a line about it.
    if (context === 'ExceptionHandler') return this.debug(message, context);
    this.logger.error({ context, stack }, String(message));
  }
  debug(message: unknown, context?: unknown): void {
    this.logger.debug({ context }, String(message));
  }
  verbose(message: unknown, context?: unknown): void {
    this.logger.trace({ context }, String(message));
  }
  fatal(message: unknown, context?: unknown): void {
    this.logger.fatal({ context }, String(message));
  }
}
