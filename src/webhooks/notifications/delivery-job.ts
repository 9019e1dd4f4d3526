/** The queue between the dispatcher, which adds jobs, and the workers, which send the deliveries in them. */
import type { JobsOptions } from 'bullmq';
import type { DescribedQueue } from '../../platform/queue/queue';
import { newId } from '../../platform/ids/ids';

/** The name of the deliveries being sent, in metrics and spans; the queue of BullMQ has another name. */
export const DELIVERY_QUEUE = 'webhook-deliveries';

/** BullMQ's queue. Its jobs carry turns, which a worker of release 0.1.0 cannot read: it has another name. */
export const TURN_QUEUE = 'webhook-turns';

/** The most deliveries of a turn. */
export const DELIVERIES_A_TURN = 32;

/** The queue for the operator's UI. */
export const DESCRIBED_DELIVERY_QUEUE: DescribedQueue = {
  name: TURN_QUEUE,
  description: 'Deliveries that are sent now. Waiting deliveries and outcomes are in PostgreSQL.',
};

/** A delivery that may be sent now. */
export interface DueDelivery {
  deliveryId: string;
  /** The number this attempt will have; a delivery that has another number by then is no longer due. */
  attempt: number;
}

/** The deliveries of one tenant that are admitted together: one job. */
export interface Turn<D extends DueDelivery = DueDelivery> {
  /** The job's id. BullMQ ignores a second job of one id while the first exists, so an add may be repeated. */
  id: string;
  tenantId: string;
  deliveries: readonly D[];
}

/** A job's data in release 0.1.0, one delivery a job. */
interface PreviousData {
  tenantId: string;
  deliveryId: string;
  attempt: number;
}

/** A job's data: ids only, since PostgreSQL holds the truth and a queue may be lost. */
export interface TurnData {
  tenantId: string;
  /** Each delivery's id and attempt. */
  deliveries: [string, number][];
}

/** A turn under a new id, which ends with the number of its deliveries. */
export function newTurn<D extends DueDelivery>(tenantId: string, deliveries: readonly D[]): Turn<D> {
  return { id: `${newId()}-${deliveries.length}`, tenantId, deliveries };
}

/** The number of deliveries in a job, by its id alone; 1 for a job that {@link newTurn} did not name. */
export function deliveriesOf(jobId: string): number {
  const count = Number(/-(\d{1,2})$/.exec(jobId)?.[1]);
  return count >= 1 && count <= DELIVERIES_A_TURN ? count : 1;
}

/** The data of a turn's job. */
export function formatTurn({ tenantId, deliveries }: Turn): TurnData {
  return { tenantId, deliveries: deliveries.map(({ deliveryId, attempt }) => [deliveryId, attempt]) };
}

/** Reads what {@link formatTurn} or release 0.1.0 wrote; undefined if the job has lost its data. */
export function parseTurn(id: string, data: Partial<TurnData & PreviousData> | undefined): Turn | undefined {
  const { tenantId, deliveries, deliveryId, attempt = 0 } = data ?? {};
  if (typeof tenantId !== 'string') return undefined;
  if (typeof deliveryId === 'string') return { id, tenantId, deliveries: [{ deliveryId, attempt }] };
  if (!Array.isArray(deliveries)) return undefined;
  return { id, tenantId, deliveries: deliveries.map(([of, number]) => ({ deliveryId: of, attempt: number })) };
}

/** A job leaves no trace: the deliveries' rows have their outcomes. */
export const DELIVERY_JOB_OPTIONS: JobsOptions = { removeOnComplete: true, removeOnFail: true, attempts: 1 };
