import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { Queue } from 'bullmq';
import type { Config } from '../../platform/config/config';
import { CONFIG } from '../../platform/config/config.module';
import {
  DELIVERY_QUEUE,
  deliveryJobId,
  type DeliveryJob,
  producerOptions,
  withTimeout,
} from '../../platform/queue/queue';

/** Adding in bulk costs PostgreSQL temporary tables: for fewer jobs than this, one by one costs less. */
const BULK_FROM = 16;
/** Busy endpoints are given their next jobs only this often, milliseconds: fewer and larger adds. */
const REFILL_INTERVAL_MS = { redis: 10, postgres: 40 };

/** States that a delivery's job can be in: it is never delayed, and gone when it has ended. */
const COUNTED_STATES = ['waiting', 'active', 'failed'] as const;

/** The queue of deliveries, with a bound on how long it is waited for. */
@Injectable()
export class DeliveryQueue implements OnApplicationShutdown {
  private readonly queue: Queue<DeliveryJob>;
  private readonly bulkFrom: number;
  private readonly refillInterval: number;

  constructor(@Inject(CONFIG) config: Config) {
    this.bulkFrom = config.REDIS_URL ? 1 : BULK_FROM;
    this.refillInterval = REFILL_INTERVAL_MS[config.REDIS_URL ? 'redis' : 'postgres'];
    this.queue = new Queue<DeliveryJob>(DELIVERY_QUEUE, producerOptions(config));
    this.queue.on('error', () => undefined); // adds fail by themselves, and are reported there
  }

  async onApplicationShutdown(): Promise<void> {
    await withTimeout(this.queue.close()).catch(() => undefined);
  }

  /** Adds jobs; one that is there already stays as it is. @throws when the queue does not take them in time */
  async add(jobs: readonly DeliveryJob[]): Promise<void> {
    const entries = jobs.map((job) => ({ name: 'deliver', data: job, opts: { jobId: deliveryJobId(job) } }));
    await withTimeout(
      entries.length < this.bulkFrom
        ? Promise.all(entries.map(({ name, data, opts }) => this.queue.add(name, data, opts)))
        : this.queue.addBulk(entries),
    );
  }

  /** After an add of so many jobs, how long to collect those that others are before; milliseconds. */
  pauseAfter(jobs: number): number {
    return jobs < this.bulkFrom ? 0 : this.refillInterval;
  }

  /** How many jobs there are, by state. @throws when the queue does not answer in time */
  counts(): Promise<Record<string, number>> {
    return withTimeout(this.queue.getJobCounts(...COUNTED_STATES));
  }

  /** Which of these jobs the queue does not have (any more). */
  async missing(jobs: readonly DeliveryJob[]): Promise<DeliveryJob[]> {
    const states = await withTimeout(Promise.all(jobs.map((job) => this.queue.getJobState(deliveryJobId(job)))));
    return jobs.filter((_, index) => states[index] === 'unknown');
  }
}
