import { Inject, Injectable, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import type { Logger } from 'pino';
import { Config, required } from '../../platform/config/config';
import { LeaderTasks } from '../../platform/leader-election/leader-tasks';
import { ShardOwner } from '../../platform/leader-election/shard-owner';
import { LOGGER } from '../../platform/observability/logger.module';
import { OUTBOX_CHANNEL } from '../../platform/outbox/outbox';
import { Relay } from '../../platform/outbox/relay';
import { parseTenants } from '../../platform/outbox/tenants-payload';
import { OwnedShards } from '../../platform/shards/owned-shards';
import { PartsBackfill } from '../endpoints/parts-backfill';
import { AttemptEnds, OUTCOME_CHANNEL, parseEnds, tenantOfEnds } from '../notifications/attempt-ended';
import { type DispatchRequest, REQUEST_CHANNEL } from '../notifications/dispatch-request';
import { Dispatchers } from './dispatchers';
import { ShardCount } from './shards/shard-count';
import { WORKERS_LOCK } from './shards/shard-count.queries';

/** The cost of a lost notification. */
const POLL_MS = 500;
/** Its owner also does the work that belongs to no tenant: the tasks at an interval, and the backfill. */
const TASKS_SHARD = 0;

/**
 * Leads for the shards of this worker: it empties the outbox for their tenants and decides what is sent next. When a
 * worker dies, the others take over its shards and read everything again.
 */
@Injectable()
export class WebhooksLeader implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly owner: ShardOwner;
  private timer?: NodeJS.Timeout;
  private isLeading = false;

  constructor(
    config: Config,
    @Inject(LOGGER) private readonly logger: Logger,
    private readonly shards: OwnedShards,
    count: ShardCount,
    private readonly relay: Relay,
    private readonly dispatchers: Dispatchers,
    private readonly ends: AttemptEnds,
    private readonly tasks: LeaderTasks,
    private readonly backfill: PartsBackfill,
  ) {
    this.owner = new ShardOwner({
      connectionString: config.DIRECT_DATABASE_URL ?? required(config, 'DATABASE_URL'),
      variable: config.DIRECT_DATABASE_URL ? 'DIRECT_DATABASE_URL' : 'DATABASE_URL',
      lock: WORKERS_LOCK,
      shards: shards.count,
      capacity: config.WEBHOOK_CONCURRENCY,
      channels: [OUTBOX_CHANNEL, OUTCOME_CHANNEL, REQUEST_CHANNEL],
      onJoined: () => count.assertRecorded(),
      demand: () => dispatchers.current?.demand ?? 0,
      inUse: () => dispatchers.current?.inUse ?? 0,
      onGained: (gained) => this.onGained(gained),
      onReleased: (released) => this.onReleased(released),
      onLost: (lost) => void this.onReleased(lost),
      onPermits: (permits) => dispatchers.resize(permits),
      onConfirmed: (at) => shards.confirm(at),
      onWorkerLost: () => dispatchers.current?.disregardInFlight(),
      onNotification: (channel, payload) => this.onNotification(channel, payload),
      onError: (error) => logger.warn({ reason: error.message }, 'the leader’s connection was lost'),
    });
  }

  onApplicationBootstrap(): void {
    this.owner.start();
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.owner.stop();
    await this.relay.stop();
  }

  private onGained(shards: readonly number[]): void {
    this.shards.add(shards);
    if (!this.isLeading) this.startLeading();
    this.dispatchers.takeOver(shards);
    if (shards.includes(TASKS_SHARD)) {
      this.backfill.start();
      this.tasks.start();
    }
    this.logger.info({ shards: this.shards.all() }, 'took over shards');
    this.relay.requestAll();
  }

  /** Resolves when no batch of these shards is relayed and no job of them is added any more. */
  private async onReleased(shards: readonly number[]): Promise<void> {
    this.shards.remove(shards);
    if (shards.includes(TASKS_SHARD)) {
      this.tasks.stop();
      this.backfill.stop();
    }
    // Both begin at once: after the loss of a session another worker may decide for these tenants already.
    await Promise.all([this.relay.release(), this.dispatchers.current?.release()]);
    this.logger.info({ shards: this.shards.all() }, 'gave up shards');
    if (this.shards.size === 0) this.stopLeading();
  }

  private startLeading(): void {
    this.logger.info('leading: this worker relays and dispatches');
    this.isLeading = true;
    this.relay.start();
    this.dispatchers.start();
    this.ends.listen((ends) => this.dispatchers.current?.completeAttempts(ends));
    this.timer = setInterval(() => this.relay.requestAll(), POLL_MS);
  }

  private stopLeading(): void {
    if (!this.isLeading) return;
    this.isLeading = false;
    clearInterval(this.timer);
    this.ends.listen(undefined);
    this.dispatchers.stop();
    void this.relay.stop();
    this.logger.info('not leading any more');
  }

  /** Each worker hears all notifications, and ignores those for tenants of other workers. */
  private onNotification(channel: string, payload: string): void {
    if (channel === OUTBOX_CHANNEL) {
      const tenantIds = parseTenants(payload);
      if (tenantIds) this.relay.request(tenantIds);
      else this.relay.requestAll();
    } else if (channel === OUTCOME_CHANNEL) {
      if (this.shards.owns(tenantOfEnds(payload))) this.dispatchers.current?.completeAttempts(parseEnds(payload));
    } else {
      const request = JSON.parse(payload) as DispatchRequest;
      if (this.shards.owns(request.tenantId)) this.dispatchers.current?.handleRequest(request);
    }
  }
}
