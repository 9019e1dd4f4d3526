import { readFileSync } from 'node:fs';
import { Cluster, type ClusterOptions, type Command, Redis, type RedisOptions } from 'ioredis';
import { corkForThisTurn } from '../net/stream-cork';
import { useFastEncoding } from './redis-encoding';
import { parseRedisUrl, type RedisAddress } from './redis-url';

useFastEncoding();

/**
 * A client of one server or of a cluster: both take the same commands, where all keys of one command are in one slot.
 */
export type RedisClient = Redis | Cluster;

/**
 * Commands of one turn of the event loop leave in one write: a busy worker sends many small ones, and each write wakes
 * the server. `enableAutoPipelining` does the same at several times the cost.
 */
class CorkedRedis extends Redis {
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
function reconnectOnReplica(error: Error): 2 | false {
  // Scripts carry the error code in the middle of their message.
  return error.message.includes('READONLY') ? 2 : false;
}

function tlsOf({ tls, caFile }: RedisAddress): { ca?: Buffer } | undefined {
  return tls ? { ca: caFile === undefined ? undefined : readFileSync(caFile) } : undefined;
}

/**
 * A client of the first server that `REDIS_URL` lists, of a cluster or of sentinels. The errors of a whole cluster or
 * of all sentinels hide the reason of a failed connection.
 */
export function connectFirstNode(url: string, options: RedisOptions): Redis {
  const address = parseRedisUrl(url);
  const isSentinel = address.kind === 'sentinel';
  const tls = tlsOf(address);
  return new Redis({
    ...options,
    ...address.nodes[0],
    username: isSentinel ? undefined : address.username,
    password: isSentinel ? address.sentinelPassword : address.password,
    ...(tls ? { tls } : {}),
  });
}

/** See `connectRedis`. */
export function newRedisClient(url: string, options: RedisOptions): RedisClient {
  const address = parseRedisUrl(url);
  const { kind, nodes, master, db, username, password, sentinelPassword } = address;
  const tls = tlsOf(address);
  const login: RedisOptions = { username, password, ...(tls ? { tls } : {}), reconnectOnError: reconnectOnReplica };
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
  if (kind === 'single') return new CorkedRedis({ ...options, ...login, ...node, db });
  const redis = new CorkedRedis({
    ...options,
    ...login,
    db,
    host: undefined,
    port: undefined,
    sentinels: nodes,
    name: master,
    sentinelPassword,
    enableTLSForSentinelMode: address.tls,
    ...(tls ? { sentinelTLS: tls } : {}),
    failoverDetector: true,
  });
  // A client after `quit` listens to the sentinels until it is disconnected as well.
  redis.once('end', () => redis.disconnect());
  return redis;
}
