import { Inject, Injectable, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import { type Job, Worker } from 'bullmq';
import type { Logger } from 'pino';
import type { Config } from '../../platform/config/config';
import { CONFIG } from '../../platform/config/config.module';
import { LOGGER } from '../../platform/observability/logger.module';
import { DELIVERY_QUEUE, type DeliveryJob, withTimeout, workerOptions } from '../../platform/queue/queue';
import { DeliverySender } from './delivery-sender';
import { AdaptiveConcurrency } from './adaptive-concurrency';

/** Takes deliveries from the queue, many at once, and waits for them all when the process stops. */
@Injectable()
export class DeliveriesProcessor implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private worker?: Worker<DeliveryJob>;
  private intake?: AdaptiveConcurrency;
  private readonly underWay = new Set<Promise<void>>();

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOGGER) private readonly logger: Logger,
    private readonly deliveries: DeliverySender,
  ) {}

  onApplicationBootstrap(): void {
    const worker = new Worker<DeliveryJob>(
      DELIVERY_QUEUE,
      (job) => this.note(this.process(job)),
      workerOptions(this.config),
    );
    const outFor = (milliseconds: number): number => this.deliveries.outFor(milliseconds);
    this.intake = new AdaptiveConcurrency(worker, this.config.WEBHOOK_CONCURRENCY, outFor);
    this.worker = worker;
    worker.on('error', (error) => this.logger.warn({ reason: error.message }, 'the queue is away'));
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.intake?.stop();
    const closed = this.worker?.close();
    // Running sends are awaited here, and not through BullMQ: where Redis is away or has just returned, BullMQ waits
    // for a connection that it has given up, without end.
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
    try {
      await this.deliveries.deliver(job.data);
    } catch (error) {
      // The delivery stays due: the dispatcher finds its job gone and reads it again.
      this.logger.error({ err: error, delivery_id: job.data.deliveryId }, 'a delivery could not be processed');
      throw error;
    }
  }
}
