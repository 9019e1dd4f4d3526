import type { RedisOptions } from 'ioredis';
import type { RedisClient } from './redis-client';

export type { RedisClient } from './redis-client';

/**
 * A client for `REDIS_URL`, which connects and reconnects automatically. With sentinels it follows the master. The
 * driver is loaded at the first call: an installation without Redis runs without it.
 */
export function connectRedis(url: string, options: RedisOptions): RedisClient {
  // eslint-disable-next-line @typescript-eslint/no-require-imports -- see above
  const { newRedisClient }: typeof import('./redis-client') = require('./redis-client');
  return newRedisClient(url, options);
}
