import { Inject, Injectable, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import type { Logger } from 'pino';
import { Config, required } from '../../platform/config/config';
import { Leadership } from '../../platform/leader-election/leadership';
import { LeaderTasks } from '../../platform/leader-election/leader-tasks';
import { LOGGER } from '../../platform/observability/logger.module';
import { OUTBOX_CHANNEL } from '../../platform/outbox/outbox';
import { Relay } from '../../platform/outbox/relay';
import { PartsBackfill } from '../endpoints/parts-backfill';
import { Dispatchers } from './dispatchers';
import { AttemptEnds, OUTCOME_CHANNEL, parseEnds } from '../notifications/attempt-ended';
import { type DispatchRequest, REQUEST_CHANNEL } from '../notifications/dispatch-request';

/** Any 64-bit number, the same in every release: the session with this advisory lock is the leader's. */
const LEADER_LOCK = 7_263_540_120;
/** The cost of a lost notification. */
const POLL_MS = 500;

/**
 * The elected leader of the workers: it empties the outbox, decides what is sent next, and deletes expired rows. Other
 * workers only send. When the leader dies, another takes over and reads everything again.
 */
@Injectable()
export class WebhooksLeader implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly leadership: Leadership;
  private timer?: NodeJS.Timeout;

  constructor(
    config: Config,
    @Inject(LOGGER) logger: Logger,
    private readonly relay: Relay,
    private readonly dispatchers: Dispatchers,
    private readonly ends: AttemptEnds,
    private readonly tasks: LeaderTasks,
    private readonly backfill: PartsBackfill,
  ) {
    this.leadership = new Leadership({
      connectionString: config.DIRECT_DATABASE_URL ?? required(config, 'DATABASE_URL'),
      variable: config.DIRECT_DATABASE_URL ? 'DIRECT_DATABASE_URL' : 'DATABASE_URL',
      lock: LEADER_LOCK,
      share: config.WEBHOOK_CONCURRENCY,
      channels: [OUTBOX_CHANNEL, OUTCOME_CHANNEL, REQUEST_CHANNEL],
      onGained: () => {
        logger.info('leading: this worker relays and dispatches');
        this.lead();
      },
      onLost: () => {
        logger.info('not leading any more');
        this.rest();
      },
      onWhole: (concurrency) => this.dispatchers.resize(concurrency),
      onNotification: (channel, payload) => this.onNotification(channel, payload),
      onError: (error) => logger.warn({ reason: error.message }, 'the leader’s connection was lost'),
    });
  }

  onApplicationBootstrap(): void {
    this.leadership.start();
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.leadership.stop();
    await this.relay.stop();
  }

  private lead(): void {
    this.relay.start();
    this.dispatchers.start();
    this.ends.listen((ends) => this.dispatchers.current?.ended(ends));
    this.relay.wake();
    this.backfill.start();
    this.tasks.start();
    this.timer = setInterval(() => this.relay.wake(), POLL_MS);
  }

  private rest(): void {
    clearInterval(this.timer);
    this.tasks.stop();
    this.ends.listen(undefined);
    this.backfill.stop();
    this.dispatchers.stop();
    void this.relay.stop();
  }

  private onNotification(channel: string, payload: string): void {
    if (channel === OUTBOX_CHANNEL) this.relay.wake();
    else if (channel === OUTCOME_CHANNEL) this.dispatchers.current?.ended(parseEnds(payload));
    else this.dispatchers.current?.requested(JSON.parse(payload) as DispatchRequest);
  }
}
