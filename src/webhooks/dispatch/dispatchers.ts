import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import type { Logger } from 'pino';
import { Config } from '../../platform/config/config';
import { DispatcherDatabase } from '../../platform/database/roles/dispatcher-database';
import { TenantDatabase } from '../../platform/database/tenant-database';
import { LOGGER } from '../../platform/observability/logger.module';
import { DeliveryMetrics } from '../deliveries/delivery-metrics';
import { DELIVERY_QUEUE } from '../notifications/delivery-job';
import { DeliveryQueue } from './delivery-queue';
import { Dispatcher } from './dispatcher';
import { findWaitingEndpoints, type WaitingEndpoint } from './waiting.queries';
import { WaitingReader } from './waiting-reader';

const MAX_ENDPOINTS = 50_000;

/** The dispatcher of this process, as long as it is the leader. */
@Injectable()
export class Dispatchers implements OnApplicationShutdown {
  /** The queue of turns. */
  readonly queue: DeliveryQueue;
  private readonly reader: WaitingReader;
  private previousQueue?: DeliveryQueue;
  private closing?: Promise<void>;
  private dispatcher?: Dispatcher;
  private capacity: number;

  constructor(
    private readonly config: Config,
    private readonly discovery: DispatcherDatabase,
    database: TenantDatabase,
    metrics: DeliveryMetrics,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    this.queue = new DeliveryQueue(config);
    this.reader = new WaitingReader(database, metrics, logger);
    this.capacity = config.WEBHOOK_CONCURRENCY;
  }

  async onApplicationShutdown(): Promise<void> {
    this.stop();
    await Promise.all([this.closing, this.queue.close()]);
  }

  /** The dispatcher that decides now; undefined if another process leads. */
  get current(): Dispatcher | undefined {
    return this.dispatcher;
  }

  /** Begins to decide, with empty state. */
  start(): void {
    this.stop();
    this.previousQueue = new DeliveryQueue(this.config, DELIVERY_QUEUE);
    this.dispatcher = new Dispatcher({
      queue: this.queue,
      previousQueue: this.previousQueue,
      reader: this.reader,
      findWaiting: () => this.findWaiting(),
      capacity: this.capacity,
      logger: this.logger,
    });
    this.dispatcher.start();
  }

  /** Stops and drops all state. */
  stop(): void {
    this.dispatcher?.stop();
    this.dispatcher = undefined;
    if (this.previousQueue) this.closing = this.previousQueue.close();
    this.previousQueue = undefined;
  }

  /** Sets the capacity of all workers together. It shrinks by the loss of a worker. */
  resize(capacity: number): void {
    if (capacity < this.capacity) this.dispatcher?.doubtInFlight();
    this.capacity = capacity;
    this.dispatcher?.resize(capacity);
  }

  private findWaiting(): Promise<WaitingEndpoint[]> {
    return this.discovery.query<WaitingEndpoint>(findWaitingEndpoints(MAX_ENDPOINTS, this.discovery.isDistributed));
  }
}
