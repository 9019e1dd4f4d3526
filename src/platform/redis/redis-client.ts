import { readFileSync } from 'node:fs';
import { Cluster, type ClusterOptions, type Command, Redis, type RedisOptions } from 'ioredis';
import { corkForThisTurn } from '../net/stream-cork';
import { encodeQuickly } from './redis-encoding';
import { parseRedisUrl } from './redis-url';

encodeQuickly();

/**
 * A client of one server or of a cluster: both take the same commands, where all keys of one command are in one slot.
 */
export type RedisClient = Redis | Cluster;

/**
 * Commands of one turn of the event loop leave in one write: a busy worker sends many small ones, and each write wakes
 * the server. `enableAutoPipelining` does the same at several times the cost.
 */
class JoiningRedis extends Redis {
  override sendCommand(command: Command, stream?: Parameters<Redis['sendCommand']>[1]): unknown {
    const socket = this.stream as Redis['stream'] | undefined;
    if (socket) corkForThisTurn(socket);
    return super.sendCommand(command, stream);
  }
}

/**
 * A server that has become a replica keeps its connections. They are closed at the first refusal, and the command is
 * sent again over a new connection, which leads to the master: by the address, the sentinels or the cluster's map.
 */
function leaveReplica(error: Error): 2 | false {
  // Scripts carry the error code in the middle of their message.
  return error.message.includes('READONLY') ? 2 : false;
}

/** See `connectRedis`. */
export function newRedisClient(url: string, options: RedisOptions): RedisClient {
  const { kind, nodes, master, db, username, password, sentinelPassword, tls: isTls, caFile } = parseRedisUrl(url);
  const tls = isTls ? { ca: caFile === undefined ? undefined : readFileSync(caFile) } : undefined;
  const login: RedisOptions = { username, password, ...(tls ? { tls } : {}), reconnectOnError: leaveReplica };
  if (kind === 'cluster') {
    const cluster: ClusterOptions = {
      redisOptions: { ...options, ...login },
      enableAutoPipelining: true,
      enableOfflineQueue: options.enableOfflineQueue ?? true,
      // A client without an offline queue does not wait for the new master, either.
      ...(options.maxRetriesPerRequest === null ? {} : { maxRedirections: 3, retryDelayOnFailover: 30 }),
      clusterRetryStrategy: options.retryStrategy as ClusterOptions['clusterRetryStrategy'],
      // A certificate is for the announced name of a node, not for the address behind it.
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
    enableTLSForSentinelMode: isTls,
    ...(tls ? { sentinelTLS: tls } : {}),
    failoverDetector: true,
  });
  // A client after `quit` listens to the sentinels until it is disconnected as well.
  redis.once('end', () => redis.disconnect());
  return redis;
}
