import { type Job, Queue } from 'bullmq';
import type { Config } from '../../platform/config/config';
import { MOST_CONNECTIONS, prefixOfPart, producerOptions, withTimeout } from '../../platform/queue/queue';
import {
  deliveriesOf,
  DELIVERY_JOB_OPTIONS,
  DELIVERY_QUEUE,
  formatTurn,
  parseTurn,
  type Turn,
  TURN_QUEUE,
  type TurnData,
} from '../notifications/delivery-job';

/** A bulk add costs PostgreSQL temporary tables: fewer jobs than this are cheaper one by one. */
const BULK_FROM = { redis: 1, postgres: 16 };
/** A job costs PostgreSQL more: a longer wait to fill it pays off. Milliseconds. */
const COLLECT_MS = { redis: 10, postgres: 20 };

/** States of a delivery's job: it is never delayed, and it is removed when it has ended. */
const COUNTED_STATES = ['waiting', 'active', 'failed'] as const;
const QUEUED_STATES = ['waiting', 'active'] as const;

/** The properties of a job that select its part of a divided queue. */
export type JobOfTenant = Pick<Turn, 'id' | 'tenantId'>;

/** A queue of turns, with a bound on the wait for it. */
export class DeliveryQueue {
  private queue: Queue<TurnData>;
  private readonly backend: 'redis' | 'postgres';

  constructor(
    private readonly config: Config,
    private readonly name = TURN_QUEUE,
    private readonly part = 0,
  ) {
    this.backend = config.REDIS_URL ? 'redis' : 'postgres';
    this.queue = this.open();
  }

  private open(): Queue<TurnData> {
    const connections = this.name === DELIVERY_QUEUE ? MOST_CONNECTIONS.formerProducer : MOST_CONNECTIONS.producer;
    const options = producerOptions(this.config, DELIVERY_JOB_OPTIONS, prefixOfPart(this.part), connections);
    const queue = new Queue<TurnData>(this.name, options);
    queue.on('error', () => undefined); // a failed add reports the error itself
    return queue;
  }

  /** BullMQ on PostgreSQL keeps the failure of its first query permanently: replace such a queue. */
  private async run<T>(operation: (queue: Queue<TurnData>) => Promise<T>): Promise<T> {
    const { queue } = this;
    try {
      return await withTimeout(operation(queue));
    } catch (error) {
      const isBroken = !this.config.REDIS_URL && (await withTimeout(queue.waitUntilReady()).catch(() => 'broken'));
      if (isBroken === 'broken' && this.queue === queue) {
        this.queue = this.open();
        void queue.close().catch(() => undefined);
      }
      throw error;
    }
  }

  /** Closes the connection; never rejects. */
  async close(): Promise<void> {
    await withTimeout(this.queue.close()).catch(() => undefined);
  }

  /** How long deliveries of a busy tenant are collected for its next job, milliseconds. */
  get collectMs(): number {
    return COLLECT_MS[this.backend];
  }

  /** Adds a job for each turn; an existing job stays as it is. @throws when the queue does not accept them in time */
  async add(turns: readonly Turn[]): Promise<void> {
    const jobs = turns.map((turn) => ({ name: 'deliver', data: formatTurn(turn), opts: { jobId: turn.id } }));
    await this.run<unknown>((queue) =>
      jobs.length < BULK_FROM[this.backend]
        ? Promise.all(jobs.map(({ name, data, opts }) => queue.add(name, data, opts)))
        : queue.addBulk(jobs),
    );
  }

  /** The number of jobs by state. @throws when the queue does not reply in time */
  counts(): Promise<Record<string, number>> {
    return this.run((queue) => queue.getJobCounts(...COUNTED_STATES));
  }

  /** The number of deliveries in waiting and active jobs. @throws when the queue does not reply in time */
  async deliveries(): Promise<number> {
    const ids = await this.run((queue) => queue.getRanges([...QUEUED_STATES], 0, -1));
    return ids.reduce((sum, id) => sum + deliveriesOf(id), 0);
  }

  /**
   * The waiting and active turns, up to a maximum of each. BullMQ on PostgreSQL reads one state after the other: both
   * are read twice, so that a job that a worker takes or loses meanwhile is not missed.
   * @throws when the queue does not reply in time
   */
  async turns(limit: number): Promise<Turn[]> {
    const jobs = await this.run(async (queue) => {
      const read = (): Promise<Job<TurnData>[]> => queue.getJobs([...QUEUED_STATES], 0, limit - 1);
      return [...(await read()), ...(await read())];
    });
    const turns = jobs.flatMap((job) => parseTurn(job.id as string, job.data) ?? []);
    return [...new Map(turns.map((turn) => [turn.id, turn])).values()];
  }

  /** The ids of those jobs that the queue no longer has. @throws when it does not reply in time */
  async missing(jobs: readonly JobOfTenant[]): Promise<string[]> {
    const states = await this.run((queue) => Promise.all(jobs.map(({ id }) => queue.getJobState(id))));
    return jobs.filter((_, index) => states[index] === 'unknown').map(({ id }) => id);
  }
}
