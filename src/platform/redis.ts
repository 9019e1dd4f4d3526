import { Cluster, type ClusterOptions, Redis, type RedisOptions } from 'ioredis';
import { parseRedisUrl } from './redis-url';

/** A client of one server, or of a cluster: both take the same commands, where all keys of one are in one slot. */
export type RedisClient = Redis | Cluster;

/**
 * A client for `REDIS_URL`, which connects by itself and again. Behind sentinels it follows the master: it hears of a
 * fail-over from them, and leaves a server that has become a replica.
 */
export function connectRedis(url: string, options: RedisOptions): RedisClient {
  const { kind, nodes, master, db, username, password, sentinelPassword, tls } = parseRedisUrl(url);
  const login: RedisOptions = { username, password, ...(tls ? { tls: {} } : {}) };
  if (kind === 'cluster') {
    const cluster: ClusterOptions = {
      redisOptions: { ...options, ...login },
      enableAutoPipelining: options.enableAutoPipelining,
      enableOfflineQueue: options.enableOfflineQueue ?? true,
      // Who does not wait for a server that is away does not wait for the one that takes over, either.
      ...(options.maxRetriesPerRequest === null ? {} : { maxRedirections: 3, retryDelayOnFailover: 30 }),
      clusterRetryStrategy: options.retryStrategy as ClusterOptions['clusterRetryStrategy'],
      // A certificate is for the name that a node announces, not for the address behind it.
      ...(tls ? { dnsLookup: (address, callback) => callback(null, address) } : {}),
    };
    return new Cluster(nodes, cluster);
  }
  const [node] = nodes;
  if (kind === 'single') return new Redis({ ...options, ...login, ...node, db });
  const redis = new Redis({
    ...options,
    ...login,
    db,
    host: undefined,
    port: undefined,
    sentinels: nodes,
    name: master,
    sentinelPassword,
    enableTLSForSentinelMode: tls,
    ...(tls ? { sentinelTLS: {} } : {}),
    failoverDetector: true,
    // The command was refused: it is sent again to the new master.
    reconnectOnError: (error) => (error.message.startsWith('READONLY') ? 2 : false),
  });
  // One that was told to quit goes on listening to the sentinels until it is disconnected as well.
  redis.once('end', () => redis.disconnect());
  return redis;
}
