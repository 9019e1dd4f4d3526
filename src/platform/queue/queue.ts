/** The queue: its name, what a job carries, how jobs are kept, and whether Redis or PostgreSQL is under BullMQ. */
import { createIORedisClient, createPostgresBackend, RedisConnection, setDefaultBackendFactory } from 'bullmq';
import type { ConnectionOptions, JobsOptions, QueueOptions, WorkerOptions } from 'bullmq';
import type { Config } from '../config/config';
import { required } from '../config/config';
import { QUEUE_SCHEMA } from '../database/migrate/service-login';
import { createServicePool } from '../database/sql/service-pool';
import { withDeadline } from '../deadline';
import { connectRedis } from '../redis/redis';

/** Deliveries that a worker is to send now. */
export const DELIVERY_QUEUE = 'webhook-deliveries';

/** A job's data: ids only, since PostgreSQL holds the truth and a queue may be lost. */
export interface DeliveryJob {
  tenantId: string;
  deliveryId: string;
  /** The number this attempt will have; a delivery that has another number by then is no longer due. */
  attempt: number;
}

/** BullMQ ignores a second job of one id while the first exists: an attempt is queued once. */
export function deliveryJobId(job: Omit<DeliveryJob, 'tenantId'>): string {
  return `${job.deliveryId}-${job.attempt}`;
}

/** The delivery and its attempt in the id of a job. */
export function parseDeliveryJobId(id: string): Omit<DeliveryJob, 'tenantId'> {
  const dash = id.lastIndexOf('-');
  return { deliveryId: id.slice(0, dash), attempt: Number(id.slice(dash + 1)) };
}

/** A job leaves no trace: the delivery's row has its outcome. */
export const DELIVERY_JOB_OPTIONS: JobsOptions = { removeOnComplete: true, removeOnFail: true, attempts: 1 };

/**
 * Prefix of every key in Redis. The braces decide on the slot: one script touches many keys, which a cluster must have
 * in one place.
 */
export const KEY_PREFIX = '{bull}';

/** The longest duration of an add before the queue counts as away. */
const QUEUE_PATIENCE_MS = 3_000;

/**
 * Chooses the backend of BullMQ, once for the process and before any queue is made: Redis where `REDIS_URL` is set,
 * else PostgreSQL.
 */
export function chooseQueueBackend(config: Config): void {
  const url = config.REDIS_URL;
  setDefaultBackendFactory(url ? undefined : (createPostgresBackend as never));
  RedisConnection.clientFactory = url ? (options) => createIORedisClient(connectRedis(url, options)) : undefined;
}

/**
 * The connection of queues (which only add) and of workers (which block), in BullMQ's terms; where Redis is, its
 * factory knows.
 */
export function queueConnection(config: Config, use: 'producer' | 'worker'): ConnectionOptions {
  if (config.REDIS_URL) {
    return {
      maxRetriesPerRequest: use === 'producer' ? 1 : null,
      retryStrategy: (attempt: number) => Math.min(50 * 2 ** Math.min(attempt, 6), 2_000),
    };
  }
  return createServicePool({
    connectionString: config.DIRECT_DATABASE_URL ?? required(config, 'DATABASE_URL'),
    // One of them waits for notifications.
    max: use === 'producer' ? 3 : 5,
    // A job that a crash takes from the queue is found again in the deliveries; waiting for the disk would protect
    // nothing.
    options: `-c synchronous_commit=off -c search_path=${QUEUE_SCHEMA}`,
  }) as never;
}

/** Options of the queue that the dispatcher adds to. */
export function producerOptions(config: Config): QueueOptions {
  return {
    connection: queueConnection(config, 'producer'),
    prefix: KEY_PREFIX,
    defaultJobOptions: DELIVERY_JOB_OPTIONS,
  };
}

/**
 * Options of a worker: a job whose worker was killed comes back within five seconds. The lock is renewed every two
 * seconds, for all jobs of a worker at once; a worker that stands still for longer than it is held may see its
 * deliveries sent by another one as well.
 */
export function workerOptions(config: Config): WorkerOptions {
  return {
    connection: queueConnection(config, 'worker'),
    prefix: KEY_PREFIX,
    concurrency: config.WEBHOOK_CONCURRENCY,
    lockDuration: 4_000,
    stalledInterval: 1_000,
    maxStalledCount: 1_000,
    drainDelay: 5,
  };
}

/** Waits for an operation of the queue, within a bound. @throws when it takes longer */
export function withTimeout<T>(work: Promise<T>): Promise<T> {
  return withDeadline(work, QUEUE_PATIENCE_MS, () => new Error('the queue did not answer in time'));
}
