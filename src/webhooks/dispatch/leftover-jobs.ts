import type { DeliveryJob } from '../notifications/delivery-job';
import type { DeliveryQueue } from './delivery-queue';

/** Jobs that a new leader asks for: more than workers hold at once. */
const MOST_JOBS = 10_000;
/** How many of them are looked up at once. */
const SUSPECTS_AT_ONCE = 200;

/**
 * Jobs that were in the queue when this process became the leader: of workers that live, and of one that died with its
 * jobs. They are not admitted again. BullMQ ignores a job whose id it has, so that they would hold permits and wait for
 * nothing.
 */
export class LeftoverJobs {
  /** By the delivery's id, those that were looked up longest ago first. */
  private readonly jobs = new Map<string, Omit<DeliveryJob, 'tenantId'>>();

  constructor(private readonly queue: DeliveryQueue) {}

  get size(): number {
    return this.jobs.size;
  }

  has(deliveryId: string): boolean {
    return this.jobs.has(deliveryId);
  }

  /** Reads what the queue has. @throws when it does not answer in time */
  async learn(): Promise<void> {
    for (const job of await this.queue.jobs(MOST_JOBS)) this.jobs.set(job.deliveryId, job);
  }

  /** An attempt has ended, and with it its job. */
  ended(deliveryId: string): void {
    this.jobs.delete(deliveryId);
  }

  /** Forgets those that the queue has no more. @returns whether there were any */
  async audit(): Promise<boolean> {
    const suspects = [...this.jobs.values()].slice(0, SUSPECTS_AT_ONCE);
    if (suspects.length === 0) return false;
    const missing = new Set((await this.queue.missing(suspects)).map((job) => job.deliveryId));
    for (const job of suspects) {
      // Set again, it is the last to be looked up.
      this.jobs.delete(job.deliveryId);
      if (!missing.has(job.deliveryId)) this.jobs.set(job.deliveryId, job);
    }
    return missing.size > 0;
  }

  clear(): void {
    this.jobs.clear();
  }
}
