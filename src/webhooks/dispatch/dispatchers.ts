import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import type { Logger } from 'pino';
import { Config } from '../../platform/config/config';
import { DispatcherDatabase } from '../../platform/database/roles/dispatcher-database';
import { TenantDatabase } from '../../platform/database/tenant-database';
import { LOGGER } from '../../platform/observability/logger.module';
import { DeliveryMetrics } from '../deliveries/delivery-metrics';
import { OwnedShards } from '../../platform/shards/owned-shards';
import { shardOf } from '../../platform/shards/tenant-shard';
import { DELIVERY_QUEUE } from '../notifications/delivery-job';
import { DeliveryQueue } from './delivery-queue';
import { Dispatcher } from './dispatcher';
import { DividedQueue } from './divided-queue';
import { findWaitingEndpoints, type WaitingEndpoint } from './waiting.queries';
import { WaitingReader } from './waiting-reader';

const MAX_ENDPOINTS = 50_000;

/**
 * The dispatcher of this process, as long as it owns shards. One instance decides for all of them: it adds the
 * deliveries of several shards to the queue at once, and no permit waits in a shard without work.
 */
@Injectable()
export class Dispatchers implements OnApplicationShutdown {
  /** The queue of turns. */
  readonly queue: DividedQueue;
  private readonly reader: WaitingReader;
  private previousQueue?: DeliveryQueue;
  private closing?: Promise<void>;
  private dispatcher?: Dispatcher;
  private permits = 0;

  constructor(
    private readonly config: Config,
    private readonly shards: OwnedShards,
    private readonly discovery: DispatcherDatabase,
    database: TenantDatabase,
    metrics: DeliveryMetrics,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    this.queue = new DividedQueue(config);
    this.reader = new WaitingReader(database, metrics, logger);
  }

  async onApplicationShutdown(): Promise<void> {
    this.stop();
    await Promise.all([this.closing, this.queue.close()]);
  }

  /** The dispatcher that decides now; undefined while this process owns no shard. */
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
      isOwned: (tenantId) => this.shards.owns(tenantId),
      isConfirmed: () => this.shards.isConfirmed,
      capacity: this.permits,
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

  /** Takes over the tenants of these shards. */
  takeOver(gained: readonly number[]): void {
    const isGained = (tenantId: string): boolean =>
      gained.includes(shardOf(tenantId, this.shards.count)) && this.shards.owns(tenantId);
    void this.dispatcher?.takeOver(isGained);
  }

  /** Sets the permits of this process. */
  resize(permits: number): void {
    this.permits = permits;
    this.dispatcher?.resize(permits);
  }

  private findWaiting(): Promise<WaitingEndpoint[]> {
    return this.discovery.query<WaitingEndpoint>(
      findWaitingEndpoints(this.shards, MAX_ENDPOINTS, this.discovery.isDistributed),
    );
  }
}
