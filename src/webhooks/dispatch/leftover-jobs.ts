import type { DeliveryJob } from '../notifications/delivery-job';
import type { DeliveryQueue } from './delivery-queue';

/** Jobs that a new leader reads: more than workers hold at once. */
const MOST_JOBS = 10_000;
/** How many of them are checked at once. */
const SUSPECTS_AT_ONCE = 200;

/**
 * Jobs that were in the queue when this process became the leader, of live workers and of a dead one. They are not
 * admitted again: BullMQ ignores a job with a known id, so that they would hold permits and wait for nothing.
 */
export class LeftoverJobs {
  /** By the delivery's id, the least recently checked ones first. */
  private readonly jobs = new Map<string, Omit<DeliveryJob, 'tenantId'>>();

  constructor(private readonly queue: DeliveryQueue) {}

  get size(): number {
    return this.jobs.size;
  }

  has(deliveryId: string): boolean {
    return this.jobs.has(deliveryId);
  }

  /** Reads the jobs of the queue. @throws when it does not respond in time */
  async learn(): Promise<void> {
    for (const job of await this.queue.jobs(MOST_JOBS)) this.jobs.set(job.deliveryId, job);
  }

  /** An attempt has ended, and with it its job. */
  ended(deliveryId: string): void {
    this.jobs.delete(deliveryId);
  }

  /** Drops jobs that the queue no longer has. @returns whether there were any */
  async audit(): Promise<boolean> {
    const suspects = [...this.jobs.values()].slice(0, SUSPECTS_AT_ONCE);
    if (suspects.length === 0) return false;
    const missing = new Set((await this.queue.missing(suspects)).map((job) => job.deliveryId));
    for (const job of suspects) {
      // A repeated set moves it to the end.
      this.jobs.delete(job.deliveryId);
      if (!missing.has(job.deliveryId)) this.jobs.set(job.deliveryId, job);
    }
    return missing.size > 0;
  }

  clear(): void {
    this.jobs.clear();
  }
}
