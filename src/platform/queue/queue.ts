/**
 * Queues of BullMQ on Redis or PostgreSQL. Features name their queues and define the data of the jobs; the platform has
 * the connections and the timeouts.
 */
import { createIORedisClient, RedisConnection, setDefaultBackendFactory } from 'bullmq';
import type { ConnectionOptions, JobsOptions, QueueOptions, WorkerOptions } from 'bullmq';
import type { Config } from '../config/config';
import { required } from '../config/config';
import { QUEUE_SCHEMA } from '../database/migrate/queue-login';
import { createServicePool } from '../database/sql/service-pool';
import { withDeadline } from '../deadline';
import { connectRedis } from '../redis/redis';
import { parseRedisUrl } from '../redis/redis-url';
import { KEY_PREFIX } from './key-prefix';
import { createBackend } from './postgres-backend';

/**
 * Parts of a queue on a cluster, each with a slot of its own. A part costs every worker a connection and a check each
 * second, so that there are about as many as a cluster has masters.
 */
const PARTS_ON_A_CLUSTER = 8;

/** The parts into which a busy queue is divided: several only where that spreads it over servers. */
export function queueParts(config: Config): number {
  return config.REDIS_URL && parseRedisUrl(config.REDIS_URL).kind === 'cluster' ? PARTS_ON_A_CLUSTER : 1;
}

/** The prefix of the keys of one part; the first part has that of queues with one part. */
export function prefixOfPart(part: number): string {
  return part === 0 ? KEY_PREFIX : `{bull-${part}}`;
}

/** How long a job stays locked after the last renewal, milliseconds. */
export const LOCK_MS = 4_000;

/** The longest duration of an add before the queue counts as unavailable. */
const QUEUE_TIMEOUT_MS = 3_000;

/**
 * Chooses the backend of BullMQ, once for the process and before any queue is made: Redis with `REDIS_URL`, otherwise
 * PostgreSQL.
 */
export function chooseQueueBackend(config: Config): void {
  const url = config.REDIS_URL;
  setDefaultBackendFactory(url ? undefined : (createBackend as never));
  RedisConnection.clientFactory = url ? (options) => createIORedisClient(connectRedis(url, options)) : undefined;
}

/**
 * The most connections to PostgreSQL of a queue and of a worker, which needs one to wait for notifications; and of
 * those that serve a queue of an earlier release, which is nearly always empty. docs/operations.md sums them up.
 */
export const MOST_CONNECTIONS = { producer: 3, worker: 5, formerProducer: 1, formerWorker: 2 } as const;

/**
 * The connection of queues (which only add) and of workers (which block), in BullMQ's terms; for Redis, its factory
 * creates it.
 */
function queueConnection(config: Config, use: 'producer' | 'worker', max: number): ConnectionOptions {
  if (config.REDIS_URL) {
    return {
      maxRetriesPerRequest: use === 'producer' ? 1 : null,
      retryStrategy: (attempt: number) => Math.min(50 * 2 ** Math.min(attempt, 6), 2_000),
    };
  }
  return createServicePool({
    connectionString: config.QUEUE_DATABASE_URL ?? config.DIRECT_DATABASE_URL ?? required(config, 'DATABASE_URL'),
    max,
    // PostgreSQL has every job's cause in a row of its feature; waiting for the disk would protect nothing.
    options: `-c synchronous_commit=off -c search_path=${QUEUE_SCHEMA}`,
  }) as never;
}

/** A queue of a feature, as the operator's UI shows it. */
export interface DescribedQueue {
  name: string;
  description: string;
}

/** Options of a queue that only adds jobs. */
export function producerOptions(
  config: Config,
  defaultJobOptions?: JobsOptions,
  prefix = KEY_PREFIX,
  connections: number = MOST_CONNECTIONS.producer,
): QueueOptions {
  return {
    connection: queueConnection(config, 'producer', connections),
    prefix,
    defaultJobOptions,
  };
}

/**
 * Options of a worker: the job of a killed worker returns within five seconds. The lock is renewed every two seconds,
 * for all jobs of a worker at once; a job of a worker that is blocked for longer may run twice.
 */
export function workerOptions(
  config: Config,
  concurrency: number,
  prefix = KEY_PREFIX,
  connections: number = MOST_CONNECTIONS.worker,
): WorkerOptions {
  return {
    connection: queueConnection(config, 'worker', connections),
    prefix,
    concurrency,
    lockDuration: LOCK_MS,
    stalledInterval: 1_000,
    maxStalledCount: 1_000,
    drainDelay: 5,
    // A job whose completion fails for want of a connection occupies its worker until the next attempt.
    runRetryDelay: 1_000,
  };
}

/** Waits for an operation of the queue, within a bound. @throws when it takes longer */
export function withTimeout<T>(work: Promise<T>): Promise<T> {
  return withDeadline(work, QUEUE_TIMEOUT_MS, () => new Error('the queue did not respond in time'));
}
