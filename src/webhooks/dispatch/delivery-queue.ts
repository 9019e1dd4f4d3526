import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { Queue } from 'bullmq';
import { Config } from '../../platform/config/config';
import { producerOptions, withTimeout } from '../../platform/queue/queue';
import {
  DELIVERY_JOB_OPTIONS,
  DELIVERY_QUEUE,
  deliveryJobId,
  type DeliveryJob,
  parseDeliveryJobId,
} from '../notifications/delivery-job';

/** A bulk add costs PostgreSQL temporary tables: fewer jobs than this are cheaper one by one. */
const BULK_FROM = 16;
/** Minimum interval between adds for busy endpoints, milliseconds: fewer and larger adds. */
const REFILL_INTERVAL_MS = { redis: 10, postgres: 40 };

/** States of a delivery's job: it is never delayed, and it is removed when it has ended. */
const COUNTED_STATES = ['waiting', 'active', 'failed'] as const;

/** The queue of deliveries, with a bound on the wait for it. */
@Injectable()
export class DeliveryQueue implements OnApplicationShutdown {
  private queue: Queue<DeliveryJob>;
  private readonly bulkFrom: number;
  private readonly refillInterval: number;

  constructor(private readonly config: Config) {
    this.bulkFrom = config.REDIS_URL ? 1 : BULK_FROM;
    this.refillInterval = REFILL_INTERVAL_MS[config.REDIS_URL ? 'redis' : 'postgres'];
    this.queue = this.open();
  }

  private open(): Queue<DeliveryJob> {
    const queue = new Queue<DeliveryJob>(DELIVERY_QUEUE, producerOptions(this.config, DELIVERY_JOB_OPTIONS));
    queue.on('error', () => undefined); // a failed add reports the error itself
    return queue;
  }

  /** BullMQ on PostgreSQL keeps the failure of its first query permanently: replace such a queue. */
  private async ask<T>(question: (queue: Queue<DeliveryJob>) => Promise<T>): Promise<T> {
    const { queue } = this;
    try {
      return await withTimeout(question(queue));
    } catch (error) {
      const isBroken = !this.config.REDIS_URL && (await withTimeout(queue.waitUntilReady()).catch(() => 'broken'));
      if (isBroken === 'broken' && this.queue === queue) {
        this.queue = this.open();
        void queue.close().catch(() => undefined);
      }
      throw error;
    }
  }

  async onApplicationShutdown(): Promise<void> {
    await withTimeout(this.queue.close()).catch(() => undefined);
  }

  /** Adds jobs; an existing job stays as it is. @throws when the queue does not accept them in time */
  async add(jobs: readonly DeliveryJob[]): Promise<void> {
    const entries = jobs.map((job) => ({ name: 'deliver', data: job, opts: { jobId: deliveryJobId(job) } }));
    await this.ask<unknown>((queue) =>
      entries.length < this.bulkFrom
        ? Promise.all(entries.map(({ name, data, opts }) => queue.add(name, data, opts)))
        : queue.addBulk(entries),
    );
  }

  /** The time to collect further jobs after an add of so many; milliseconds. */
  pauseAfter(jobs: number): number {
    return jobs < this.bulkFrom ? 0 : this.refillInterval;
  }

  /** The number of jobs by state. @throws when the queue does not reply in time */
  counts(): Promise<Record<string, number>> {
    return this.ask((queue) => queue.getJobCounts(...COUNTED_STATES));
  }

  /** The waiting and active jobs, up to a maximum. @throws when the queue does not reply in time */
  async jobs(limit: number): Promise<Omit<DeliveryJob, 'tenantId'>[]> {
    return (await this.ask((queue) => queue.getRanges(['active', 'waiting'], 0, limit - 1))).map(parseDeliveryJobId);
  }

  /** The jobs among these that the queue no longer has. */
  async missing<J extends Omit<DeliveryJob, 'tenantId'>>(jobs: readonly J[]): Promise<J[]> {
    const states = await this.ask((queue) => Promise.all(jobs.map((job) => queue.getJobState(deliveryJobId(job)))));
    return jobs.filter((_, index) => states[index] === 'unknown');
  }
}
