import { setTimeout as delay } from 'node:timers/promises';
import { type Job, Worker } from 'bullmq';
import type { Logger } from 'pino';
import type { Config } from '../../platform/config/config';
import { LOCK_MS, MOST_CONNECTIONS, prefixOfPart, withTimeout, workerOptions } from '../../platform/queue/queue';
import { parseTurn, type Turn, type TurnData } from '../notifications/delivery-job';
import type { AdaptiveConcurrency, Consumption } from './adaptive-concurrency';
import { JobLease } from './job-lease';

const START_AGAIN_MS = 500;

/** Takes the turns of one queue, several at once. */
export class TurnConsumer {
  private worker?: Worker<TurnData>;
  private stopped = false;
  private readonly running = new Set<Promise<void>>();

  /** @param send sends the deliveries of a turn, and calls back at the end of each */
  constructor(
    private readonly config: Config,
    private readonly queue: string,
    private readonly concurrency: AdaptiveConcurrency,
    private readonly send: (turn: Turn, lease: JobLease, ended: () => void) => Promise<void>,
    private readonly logger: Logger,
    private readonly part = 0,
    private readonly connections: number = MOST_CONNECTIONS.worker,
  ) {}

  /**
   * Starts after BullMQ's connections are open. If its first query fails, BullMQ keeps the failure permanently and
   * polls for jobs without a pause: such a worker is replaced by a new one.
   */
  async start(): Promise<void> {
    while (!this.stopped) {
      const worker = new Worker<TurnData>(
        this.queue,
        (job, token) => this.track(this.process(job, leaseOf(job, token), consumption)),
        {
          ...workerOptions(this.config, 1, prefixOfPart(this.part), this.connections),
          autorun: false,
        },
      );
      const consumption = this.concurrency.add(worker);
      worker.on('error', (error) => this.reportQueue(error));
      this.worker = worker;
      try {
        await worker.waitUntilReady();
        if (this.stopped) return;
        worker.run().catch((error: Error) => this.reportQueue(error));
        return;
      } catch (error) {
        this.reportQueue(error as Error);
        consumption.remove();
        await withTimeout(worker.close()).catch(() => undefined);
        await delay(START_AGAIN_MS);
      }
    }
  }

  /** Takes no more turns, and waits for the end of those that it has. */
  async close(): Promise<void> {
    this.stopped = true;
    const closed = this.worker?.close();
    // Running sends are awaited here, and not through BullMQ: during and right after an outage of Redis, BullMQ waits
    // endlessly for a connection that it has already closed.
    while (this.running.size > 0) await Promise.allSettled(this.running);
    if (closed) await withTimeout(closed).catch(() => this.logger.warn('the queue did not close in time'));
  }

  /** A job that another worker has taken over, or that the queue has lost, is no outage of the queue. */
  private reportQueue(error: Error): void {
    const isOfJob = /\bjob [\w-]/i.test(error.message);
    this.logger.warn({ reason: error.message }, isOfJob ? 'the lock of a job was lost' : 'the queue is unavailable');
  }

  private track(work: Promise<void>): Promise<void> {
    const noted = work.finally(() => this.running.delete(noted));
    this.running.add(noted);
    return noted;
  }

  private async process(job: Job<TurnData>, lease: JobLease, consumption: Consumption): Promise<void> {
    const turn = parseTurn(job.id ?? '', job.data);
    let left = turn?.deliveries.length ?? 0;
    consumption.beginJob(left);
    try {
      if (turn) {
        await this.send(turn, lease, () => {
          left--;
          consumption.endDelivery();
        });
      } else {
        // BullMQ found the job's id in a list and its data nowhere: the queue was emptied, or lost a part, meanwhile.
        this.logger.warn({ job: job.id }, 'a job without data: the queue was emptied meanwhile');
      }
    } finally {
      consumption.endJob(left);
    }
  }
}

function leaseOf(job: Job<TurnData>, token = ''): JobLease {
  const extend = async () => (await withTimeout(job.extendLock(token, LOCK_MS))) > 0;
  return new JobLease(job.processedOn ?? new Date().getTime(), LOCK_MS, extend);
}
