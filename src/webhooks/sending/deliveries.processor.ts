import { setTimeout as delay } from 'node:timers/promises';
import { Inject, Injectable, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import { type Job, Worker } from 'bullmq';
import type { Logger } from 'pino';
import { Config } from '../../platform/config/config';
import { LOGGER } from '../../platform/observability/logger.module';
import { withTimeout, workerOptions } from '../../platform/queue/queue';
import { DELIVERY_QUEUE, type DeliveryJob, parseDeliveryJobId } from '../notifications/delivery-job';
import { DeliverySender } from './delivery-sender';
import { AdaptiveConcurrency } from './adaptive-concurrency';

const START_AGAIN_MS = 500;

/** Takes deliveries from the queue, many at once, and waits for them all when the process stops. */
@Injectable()
export class DeliveriesProcessor implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private worker?: Worker<DeliveryJob>;
  private intake?: AdaptiveConcurrency;
  private stopped = false;
  private readonly underWay = new Set<Promise<void>>();

  constructor(
    private readonly config: Config,
    @Inject(LOGGER) private readonly logger: Logger,
    private readonly deliveries: DeliverySender,
  ) {}

  onApplicationBootstrap(): void {
    void this.start();
  }

  /**
   * Starts after BullMQ's connections are open. If its first query fails, BullMQ keeps the failure permanently and
   * polls for jobs without a pause: such a worker is replaced by a new one.
   */
  private async start(): Promise<void> {
    while (!this.stopped) {
      const worker = new Worker<DeliveryJob>(DELIVERY_QUEUE, (job) => this.note(this.process(job)), {
        ...workerOptions(this.config, this.config.WEBHOOK_CONCURRENCY),
        autorun: false,
      });
      worker.on('error', (error) => this.reportQueue(error));
      this.worker = worker;
      try {
        await worker.waitUntilReady();
        if (this.stopped) return;
        const outFor = (milliseconds: number): number => this.deliveries.outFor(milliseconds);
        this.intake = new AdaptiveConcurrency(worker, this.config.WEBHOOK_CONCURRENCY, outFor);
        worker.run().catch((error: Error) => this.reportQueue(error));
        return;
      } catch (error) {
        this.reportQueue(error as Error);
        await withTimeout(worker.close()).catch(() => undefined);
        await delay(START_AGAIN_MS);
      }
    }
  }

  /** A job whose lock was lost is taken by another worker; it is no error of the queue. */
  private reportQueue(error: Error): void {
    const isLock = /lock/i.test(error.message) && /job/i.test(error.message);
    this.logger.warn({ reason: error.message }, isLock ? 'the lock of a job was lost' : 'the queue is away');
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.stopped = true;
    this.intake?.stop();
    const closed = this.worker?.close();
    // Running sends are awaited here, and not through BullMQ: during and right after an outage of Redis, BullMQ waits
    // endlessly for a connection that it has already closed.
    while (this.underWay.size > 0) await Promise.allSettled(this.underWay);
    if (closed) await withTimeout(closed).catch(() => this.logger.warn('the queue did not let go in time'));
    await this.deliveries.close();
  }

  private note(work: Promise<void>): Promise<void> {
    const noted = work.finally(() => {
      this.underWay.delete(noted);
      this.intake?.ended();
    });
    this.underWay.add(noted);
    this.intake?.began();
    return noted;
  }

  private async process(job: Job<DeliveryJob>): Promise<void> {
    const { tenantId, deliveryId } = job.data ?? {};
    if (typeof tenantId !== 'string' || typeof deliveryId !== 'string') {
      // BullMQ found the job's id in a list and its data nowhere: the queue was emptied, or lost a part, meanwhile.
      const { deliveryId: named } = parseDeliveryJobId(job.id ?? '');
      this.logger.warn({ delivery_id: named, job: job.id }, 'a job without data: the queue was emptied meanwhile');
      return;
    }
    try {
      await this.deliveries.deliver(job.data);
    } catch (error) {
      // The delivery stays due: the dispatcher finds that its job is missing and reads it again.
      this.logger.error({ err: error, delivery_id: job.data.deliveryId }, 'a delivery could not be processed');
      throw error;
    }
  }
}
