import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { AddressInfo } from 'node:net';
import type { Logger } from 'pino';
import type { Config } from './platform/config/config';

/** Listens; gives the address in use. */
export async function listen(app: NestFastifyApplication, config: Config): Promise<string> {
  await app.listen(config.PORT, config.HOST);
  const { address, port, family } = app.getHttpServer().address() as AddressInfo;
  const host = address === '0.0.0.0' || address === '::' ? 'localhost' : family === 'IPv6' ? `[${address}]` : address;
  return `http://${host}:${port}`;
}

/** Listens, and resolves when the process was told to stop and has finished what was in flight. */
export async function serveUntilStopped(app: NestFastifyApplication, config: Config, logger: Logger): Promise<void> {
  const stopped = stopSignal();
  logger.info({ url: await listen(app, config) }, 'listening');
  logger.info({ signal: await stopped }, 'stopping');
  await stopWithin(() => app.close(), config.SHUTDOWN_TIMEOUT);
  logger.info('stopped');
  logger.flush();
}

/** Resolves with the first SIGTERM or SIGINT; a second one ends the process at once. */
export function stopSignal(): Promise<string> {
  return new Promise((resolve) => {
    let asked = false;
    const onSignal = (signal: string): void => {
      if (asked) process.exit(130);
      asked = true;
      resolve(signal);
    };
    process.on('SIGTERM', onSignal);
    process.on('SIGINT', onSignal);
  });
}

/** Runs `stop`, but no longer than this; what hangs is left to end with the process. */
export async function stopWithin(stop: () => Promise<unknown>, milliseconds: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, milliseconds);
  });
  await Promise.race([stop(), deadline]);
  clearTimeout(timer);
}
