import type { DueDelivery, Turn } from '../notifications/delivery-job';
import type { Admitted } from './admission';
import type { DeliveryQueue } from './delivery-queue';
import type { EndpointQueue, Leftovers } from './endpoint-queue';

/** The interval of the checks of one job, and the number of jobs in one check. */
const CHECK_AFTER_MS = 2_000;
const CHECKED_AT_ONCE = 200;
/** Jobs that a new leader reads: more than workers hold at once. */
const MAX_JOBS = 10_000;

type AuditedQueue = Pick<DeliveryQueue, 'missing' | 'turns'>;

interface Job {
  id: string;
  tenantId: string;
  queue: AuditedQueue;
  /** When the queue was last known to have it; Infinity until it is added. */
  seenAt: number;
  /** The deliveries without an outcome yet. Those of the previous leader have no endpoint and hold no permit. */
  unfinished: Map<string, { attempt: number; endpoint?: EndpointQueue }>;
}

/** The deliveries whose job is gone. */
export interface Lost {
  deliveries: { deliveryId: string; attempt: number; endpoint: EndpointQueue }[];
  /** Whether some of the previous leader's jobs are among them. */
  leftovers: boolean;
}

/**
 * The jobs that the queue should have: those that this dispatcher has added, and those that the previous leader has
 * left. A queue that was flushed or replaced has lost jobs. Leftover deliveries are not admitted again before their
 * jobs have ended: two jobs of one attempt may send it twice.
 */
export class QueueAudit implements Leftovers {
  /** By the job's id, the least recently checked ones first. */
  private readonly jobs = new Map<string, Job>();
  private readonly byDelivery = new Map<string, Job>();
  private leftoverCount = 0;

  /** @param previous the queue of the release before, if its jobs may still be there */
  constructor(
    private readonly queue: AuditedQueue,
    private readonly previous?: AuditedQueue,
  ) {}

  /** The number of deliveries that the previous leader has left in the queue. */
  get leftovers(): number {
    return this.leftoverCount;
  }

  isLeftover(deliveryId: string): boolean {
    const open = this.byDelivery.get(deliveryId)?.unfinished.get(deliveryId);
    return open !== undefined && open.endpoint === undefined;
  }

  /**
   * Reads the jobs that the previous owner of these tenants has left. @throws when the queue does not respond in time
   */
  async readLeftovers(now: number, isGained: (tenantId: string) => boolean): Promise<void> {
    for (const queue of this.previous ? [this.queue, this.previous] : [this.queue]) {
      for (const { id, tenantId, deliveries } of await queue.turns(MAX_JOBS)) {
        if (!isGained(tenantId) || this.jobs.has(id)) continue;
        this.track({ id, tenantId, queue, seenAt: now, unfinished: new Map() }, deliveries);
        this.leftoverCount += deliveries.length;
      }
    }
  }

  /** Drops the jobs of tenants that another process dispatches: it reads them from the queue. */
  release(isOwned: (tenantId: string) => boolean): void {
    for (const job of [...this.jobs.values()]) {
      if (isOwned(job.tenantId)) continue;
      for (const [deliveryId, { attempt }] of [...job.unfinished]) this.complete(deliveryId, attempt);
      this.jobs.delete(job.id);
    }
  }

  /** Takes turns that are about to be added. */
  trackAdding(turns: readonly Turn<Admitted>[]): void {
    for (const { id, tenantId, deliveries } of turns) {
      this.track({ id, tenantId, queue: this.queue, seenAt: Infinity, unfinished: new Map() }, deliveries);
    }
  }

  /** The queue has taken these turns. */
  markAdded(turns: readonly Turn[], now: number): void {
    for (const { id } of turns) {
      const job = this.jobs.get(id);
      if (job) job.seenAt = now;
    }
  }

  private track(job: Job, deliveries: readonly (DueDelivery & { endpoint?: EndpointQueue })[]): void {
    for (const { deliveryId, attempt, endpoint } of deliveries) {
      job.unfinished.set(deliveryId, { attempt, endpoint });
      this.byDelivery.set(deliveryId, job);
    }
    this.jobs.set(job.id, job);
  }

  /** An attempt has ended; undefined means any. */
  complete(deliveryId: string, attempt?: number): void {
    const job = this.byDelivery.get(deliveryId);
    const open = job?.unfinished.get(deliveryId);
    if (!job || !open || (attempt !== undefined && attempt !== open.attempt)) return;
    if (!open.endpoint) this.leftoverCount--;
    this.byDelivery.delete(deliveryId);
    job.unfinished.delete(deliveryId);
    if (job.unfinished.size === 0) this.jobs.delete(job.id);
  }

  /** Compares old jobs with the queue, and drops the missing ones. @throws when the queue does not respond in time */
  async check(now: number): Promise<Lost> {
    const unchecked = [...this.jobs.values()].filter((job) => job.seenAt <= now - CHECK_AFTER_MS);
    const lost: Lost = { deliveries: [], leftovers: false };
    for (const [queue, jobs] of groupByQueue(unchecked.slice(0, CHECKED_AT_ONCE))) {
      const missing = new Set(await queue.missing(jobs));
      for (const job of jobs) {
        job.seenAt = now;
        // A repeated set moves it to the end.
        if (this.jobs.delete(job.id)) this.jobs.set(job.id, job);
        if (missing.has(job.id)) this.drop(job, lost);
      }
    }
    return lost;
  }

  private drop(job: Job, lost: Lost): void {
    for (const [deliveryId, { attempt, endpoint }] of [...job.unfinished]) {
      if (endpoint) lost.deliveries.push({ deliveryId, attempt, endpoint });
      else lost.leftovers = true;
      this.complete(deliveryId, attempt);
    }
  }
}

function groupByQueue(jobs: readonly Job[]): Map<AuditedQueue, Job[]> {
  const groups = new Map<AuditedQueue, Job[]>();
  for (const job of jobs) groups.set(job.queue, [...(groups.get(job.queue) ?? []), job]);
  return groups;
}
