import { once } from 'node:events';
import type { Logger } from 'pino';
import { withDeadline } from '../deadline';
import { connectionFault } from '../net/connection-fault';
import { connectRedis } from './redis';
import { parseRedisUrl } from './redis-url';

const TIMEOUT_MS = 5_000;

/**
 * Looks once whether Redis can be reached and accepts the login, and logs the variable, the server and the reason where
 * it cannot. The process goes on, and Redis is tried again. Never throws.
 */
export async function warnOfUnreachableRedis(url: string, logger: Logger): Promise<void> {
  const servers = parseRedisUrl(url).nodes.map(({ host, port }) => `${host}:${port}`);
  const redis = connectRedis(url, { retryStrategy: () => null });
  try {
    // `once` rejects with the first error.
    await withDeadline(once(redis, 'ready'), TIMEOUT_MS, () => new Error('no answer'));
  } catch (error) {
    const reason = connectionFault(error, 'cacert');
    logger.warn(
      `REDIS_URL: cannot reach ${servers.join(', ')} (${reason}): each process counts limits for itself, and the queue waits`,
    );
  } finally {
    redis.on('error', () => undefined);
    redis.disconnect();
  }
}
