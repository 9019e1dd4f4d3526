/** The queue between the dispatcher, which adds jobs, and the workers, which send them. */
import type { JobsOptions } from 'bullmq';
import type { DescribedQueue } from '../../platform/queue/queue';

/** Deliveries that a worker is to send now. */
export const DELIVERY_QUEUE = 'webhook-deliveries';

/** The queue for the operator's UI. */
export const DESCRIBED_DELIVERY_QUEUE: DescribedQueue = {
  name: DELIVERY_QUEUE,
  description: 'Deliveries that are sent now. Waiting deliveries and outcomes are in PostgreSQL.',
};

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
