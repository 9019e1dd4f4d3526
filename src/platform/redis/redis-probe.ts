import { once } from 'node:events';
import type { RedisOptions } from 'ioredis';
import type { Logger } from 'pino';
import { withDeadline } from '../deadline';
import { connectionFault } from '../net/connection-fault';
import { connectRedis, type RedisClient } from './redis';
import { connectFirstNode } from './redis-client';
import { parseRedisUrl } from './redis-url';

const TIMEOUT_MS = 5_000;
/** One attempt to connect. */
const ONCE: RedisOptions = { retryStrategy: () => null };

/**
 * Looks once whether Redis can be reached and accepts the login, and logs the variable, the server and the reason where
 * it cannot. The process continues and retries. Never throws.
 */
export async function warnOfUnreachableRedis(url: string, logger: Logger): Promise<void> {
  const { kind, nodes } = parseRedisUrl(url);
  const error = await errorOf(connectRedis(url, ONCE));
  if (error === undefined) return;
  const cause = kind === 'single' ? undefined : await errorOf(connectFirstNode(url, ONCE));
  const servers = nodes.map(({ host, port }) => `${host}:${port}`);
  const reason = connectionFault(cause ?? error, 'cacert');
  logger.warn(
    `REDIS_URL: cannot reach ${servers.join(', ')} (${reason}): each process counts limits for itself, and the queue waits`,
  );
}

/** The first error of a client that connects, or undefined once it is ready. */
async function errorOf(redis: RedisClient): Promise<unknown> {
  try {
    // `once` rejects with the first error.
    await withDeadline(once(redis, 'ready'), TIMEOUT_MS, () => new Error('no answer'));
    return undefined;
  } catch (error) {
    return error;
  } finally {
    redis.on('error', () => undefined);
    redis.disconnect();
  }
}
