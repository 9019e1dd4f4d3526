import { Inject, Injectable } from '@nestjs/common';
import type { Logger } from 'pino';
import { Gauge } from 'prom-client';
import { DispatcherDatabase } from '../../platform/database/roles/dispatcher-database';
import { timeOfId } from '../../platform/ids/ids';
import { LOGGER } from '../../platform/observability/logger.module';
import { Metrics } from '../../platform/observability/metrics';
import { Snapshot } from '../../platform/observability/snapshot';
import { OutboxBacklog } from '../../platform/outbox/outbox-backlog';
import { OwnedShards } from '../../platform/shards/owned-shards';
import { DELIVERY_QUEUE } from '../notifications/delivery-job';
import type { BreakerState } from './circuit-breaker';
import { Dispatchers } from './dispatchers';
import { countDue, type DueRow } from './waiting.queries';

const KEEP_MS = 5_000;
const DEADLINE_MS = 2_500;
/** Beyond this many deliveries or queues of endpoints a backlog is only known to be at least that. */
const MAX_COUNTED = 10_000;

const NO_BREAKERS: Record<BreakerState, number> = { closed: 0, half_open: 0, open: 0 };

interface Backlog {
  outboxLag: number;
  due: number;
  oldestDue: number;
}

/**
 * Gauges of the backlog. Every worker reads them for all tenants, since they matter most for shards without an owner.
 * All workers report the same values, so use `max`; a failed reading is left out. Each worker reports its own breakers
 * and shards, so use the sum.
 */
@Injectable()
export class BacklogMetrics {
  private readonly backlog: Snapshot<Backlog>;
  private readonly jobs: Snapshot<Record<string, number>>;
  private readonly queued: Snapshot<number>;

  constructor(
    { registry }: Metrics,
    private readonly outbox: OutboxBacklog,
    private readonly database: DispatcherDatabase,
    dispatchers: Dispatchers,
    shards: OwnedShards,
    @Inject(LOGGER) logger: Logger,
  ) {
    const options = (what: string) => ({
      keepMs: KEEP_MS,
      deadlineMs: DEADLINE_MS,
      onError: (error: Error) => logger.warn({ reason: error.message }, `${what} could not be measured`),
    });
    this.backlog = new Snapshot(() => this.read(), options('the backlog'));
    this.jobs = new Snapshot(() => dispatchers.queue.counts(), options('the queue'));
    this.queued = new Snapshot(() => dispatchers.queue.deliveries(), options('the queue'));
    const registers = [registry];
    const gauge = (name: string, help: string, read: () => Promise<number | undefined>): Gauge =>
      new Gauge({
        name,
        help,
        registers,
        async collect() {
          const value = await read();
          if (value === undefined) this.remove();
          else this.set(value);
        },
      });
    gauge(
      'outbox_lag_seconds',
      'Age of the oldest event before fan-out; 0 without one.',
      async () => (await this.backlog.get())?.outboxLag,
    );
    gauge('webhook_due_deliveries', 'Deliveries that are due and not in the queue; counted up to 10,000.', () =>
      this.dueAndNotQueued(),
    );
    gauge(
      'webhook_oldest_due_seconds',
      'Time since the oldest due delivery became due; 0 without one.',
      async () => (await this.backlog.get())?.oldestDue,
    );
    const { jobs } = this;
    new Gauge({
      name: 'queue_jobs',
      help: 'Jobs in the queue.',
      labelNames: ['queue', 'state'],
      registers,
      async collect() {
        this.reset();
        const counts = (await jobs.get()) ?? {};
        for (const [state, count] of Object.entries(counts)) this.set({ queue: DELIVERY_QUEUE, state }, count);
      },
    });
    new Gauge({
      name: 'webhook_breakers',
      help: "Endpoints in the worker's memory, by the state of their circuit breaker.",
      labelNames: ['state'],
      registers,
      collect() {
        const states = dispatchers.current?.breakerStates() ?? NO_BREAKERS;
        for (const [state, count] of Object.entries(states)) this.set({ state }, count);
      },
    });
    new Gauge({
      name: 'webhook_leader',
      help: '1 in a worker that owns shards: it relays and dispatches for their tenants. 0 in all others.',
      registers,
      collect() {
        this.set(dispatchers.current ? 1 : 0);
      },
    });
    new Gauge({ name: 'webhook_shards', help: 'The number of all shards.', registers }).set(shards.count);
    new Gauge({
      name: 'webhook_shards_owned',
      help: 'Shards that this worker owns; their sum over all workers is the number of shards.',
      registers,
      collect() {
        this.set(shards.size);
      },
    });
  }

  private async read(): Promise<Backlog> {
    const now = new Date();
    const [oldest, [due]] = await Promise.all([
      this.outbox.oldestEvent(),
      this.database.measure<DueRow>(countDue(now, MAX_COUNTED, this.database.isDistributed)),
    ]);
    return {
      outboxLag: secondsSince(oldest === undefined ? undefined : timeOfId(oldest), now),
      due: due?.count ?? 0,
      oldestDue: secondsSince(due?.since ?? undefined, now),
    };
  }

  /** Deliveries in the queue count as due until they are sent. */
  private async dueAndNotQueued(): Promise<number | undefined> {
    const [backlog, queued = 0] = await Promise.all([this.backlog.get(), this.queued.get()]);
    return backlog && Math.max(0, backlog.due - queued);
  }
}

function secondsSince(time: Date | undefined, now: Date): number {
  return time === undefined ? 0 : Math.max(0, now.getTime() - time.getTime()) / 1000;
}
