import { Inject, Injectable, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import type { Logger } from 'pino';
import { Config } from '../../platform/config/config';
import { LOGGER } from '../../platform/observability/logger.module';
import { MOST_CONNECTIONS, queueParts } from '../../platform/queue/queue';
import { DELIVERY_QUEUE, TURN_QUEUE } from '../notifications/delivery-job';
import { AdaptiveConcurrency } from './adaptive-concurrency';
import { DeliverySender } from './delivery-sender';
import { TurnConsumer } from './turn-consumer';

/**
 * Takes turns from the queue and sends their deliveries; when the process stops, it waits for all of them. The queue of
 * release 0.1.0 is read, too: its leader may have left jobs that no worker of that release is there to take.
 */
@Injectable()
export class DeliveriesProcessor implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly concurrency: AdaptiveConcurrency;
  private readonly consumers: readonly TurnConsumer[];

  constructor(
    config: Config,
    @Inject(LOGGER) logger: Logger,
    private readonly sender: DeliverySender,
  ) {
    this.concurrency = new AdaptiveConcurrency(config.WEBHOOK_CONCURRENCY, (milliseconds) =>
      sender.inFlightFor(milliseconds),
    );
    const consume = (queue: string, part = 0, connections?: number): TurnConsumer =>
      new TurnConsumer(
        config,
        queue,
        this.concurrency,
        (...turn) => sender.deliver(...turn),
        logger,
        part,
        connections,
      );
    const parts = Array.from({ length: queueParts(config) }, (_, part) => consume(TURN_QUEUE, part));
    this.consumers = [...parts, consume(DELIVERY_QUEUE, 0, MOST_CONNECTIONS.formerWorker)];
  }

  onApplicationBootstrap(): void {
    for (const consumer of this.consumers) void consumer.start();
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.concurrency.stop();
    await Promise.all(this.consumers.map((consumer) => consumer.close()));
    await this.sender.close();
  }
}
