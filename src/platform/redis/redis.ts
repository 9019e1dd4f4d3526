import { Cluster, type ClusterOptions, type Command, Redis, type RedisOptions } from 'ioredis';
import { corkForThisTurn } from '../net/stream-cork';
import { encodeQuickly } from './redis-encoding';
import { parseRedisUrl } from './redis-url';

encodeQuickly();

/** A client of one server, or of a cluster: both take the same commands, where all keys of one are in one slot. */
export type RedisClient = Redis | Cluster;

/**
 * What is asked in one turn of the event loop goes out in one write: a busy worker's commands are many and small, and each
 * write wakes the server. `enableAutoPipelining` does the same at several times the cost: it makes a pipeline for each turn.
 */
class JoiningRedis extends Redis {
  override sendCommand(command: Command, stream?: Parameters<Redis['sendCommand']>[1]): unknown {
    const socket = this.stream as Redis['stream'] | undefined;
    if (socket) corkForThisTurn(socket);
    return super.sendCommand(command, stream);
  }
}

/**
 * A server that has become a replica keeps its connections. They are closed at the first refusal, and the command is sent again
 * over a new connection, which leads to the master: by the address, the sentinels or the cluster's map.
 */
function leaveReplica(error: Error): 2 | false {
  // Scripts name it in the middle of their message.
  return error.message.includes('READONLY') ? 2 : false;
}

/**
 * A client for `REDIS_URL`, which connects by itself and again. Behind sentinels it follows the master: it hears of a
 * fail-over from them.
 */
export function connectRedis(url: string, options: RedisOptions): RedisClient {
  const { kind, nodes, master, db, username, password, sentinelPassword, tls } = parseRedisUrl(url);
  const login: RedisOptions = { username, password, ...(tls ? { tls: {} } : {}), reconnectOnError: leaveReplica };
  if (kind === 'cluster') {
    const cluster: ClusterOptions = {
      redisOptions: { ...options, ...login },
      enableAutoPipelining: true,
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
  if (kind === 'single') return new JoiningRedis({ ...options, ...login, ...node, db });
  const redis = new JoiningRedis({
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
  });
  // One that was told to quit goes on listening to the sentinels until it is disconnected as well.
  redis.once('end', () => redis.disconnect());
  return redis;
}
