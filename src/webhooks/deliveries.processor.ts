import { Inject, Injectable, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import { type Job, Worker } from 'bullmq';
import type { Logger } from 'pino';
import type { Config } from '../platform/config/config';
import { CONFIG } from '../platform/config/config.module';
import { LOGGER } from '../platform/observability/logger.module';
import { DELIVERY_QUEUE, type DeliveryJob, workerOptions } from '../platform/queue/queue';
import { DeliverySender } from './delivery-sender';

/** Takes deliveries from the queue, many at once, and waits for them all when the process stops. */
@Injectable()
export class DeliveriesProcessor implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private worker?: Worker<DeliveryJob>;

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOGGER) private readonly logger: Logger,
    private readonly deliveries: DeliverySender,
  ) {}

  onApplicationBootstrap(): void {
    this.worker = new Worker<DeliveryJob>(DELIVERY_QUEUE, (job) => this.process(job), workerOptions(this.config));
    this.worker.on('error', (error) => this.logger.warn({ reason: error.message }, 'the queue is away'));
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.worker?.close();
    await this.deliveries.close();
  }

  private async process(job: Job<DeliveryJob>): Promise<void> {
    try {
      await this.deliveries.deliver(job.data);
    } catch (error) {
      // The delivery stays as it was, and due: the dispatcher finds its job gone and looks it up again.
      this.logger.error({ err: error, delivery_id: job.data.deliveryId }, 'a delivery could not be processed');
      throw error;
    }
  }
}
