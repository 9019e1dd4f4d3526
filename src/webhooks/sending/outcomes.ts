import { Inject, Injectable } from '@nestjs/common';
import type { Logger } from 'pino';
import type { Config } from '../../platform/config/config';
import { CONFIG } from '../../platform/config/config.module';
import { TenantDatabase } from '../../platform/database/tenant-database';
import { LOGGER } from '../../platform/observability/logger.module';
import { Wakeups } from '../../platform/outbox/wakeups';
import { Batcher } from './batcher';
import { type AttemptEnd, Dispatcher } from '../dispatch/dispatcher';
import { DeliveryMetrics } from '../deliveries/delivery-metrics';
import { EndpointDisabling } from '../endpoints/endpoint-disabling';
import { nextDelay } from './retry-schedule';
import type { SendOutcome } from '../http-client/http-exchange';
import { succeeded } from '../http-client/webhook-client';
import { markFailing, markWorking, type Outcome, recordOutcomes, type SendingRow } from './sending.queries';

/** The channel on which the dispatcher hears of ended attempts. */
export const OUTCOME_CHANNEL = 'webhook_outcomes';

/** A busy tenant's outcomes are written this often, milliseconds, or as soon as there are enough of them. */
const WRITES = { limit: 100, interval: 20, enough: 32 };
/** Ends in one message, which NOTIFY limits to 8,000 bytes. */
const ENDS_AT_ONCE = 40;
const FAILING_TOO_LONG_MS = 5 * 24 * 60 * 60 * 1000;
const GONE = 410;
/** How long a worker tries to write an outcome before it lets the job come back. */
const WRITE_ATTEMPTS_MS = [100, 300, 1_000, 2_000, 4_000];

/** An outcome, with what it says of its endpoint. */
interface Recorded {
  outcome: Outcome;
  working: boolean | undefined;
}

/**
 * Decides what an attempt means for its delivery and endpoint, and writes both, many attempts at a time. The dispatcher is
 * told behind the commit, not in it (PostgreSQL lets notifying transactions commit one at a time): at once where it is in
 * this process, by NOTIFY where it is in another. A message that is lost with its process costs the audit's interval.
 */
@Injectable()
export class Outcomes {
  private readonly writes: Batcher<Recorded, void>;

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    private readonly database: TenantDatabase,
    private readonly disabling: EndpointDisabling,
    private readonly dispatcher: Dispatcher,
    private readonly wakeups: Wakeups,
    private readonly metrics: DeliveryMetrics,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    this.writes = new Batcher((tenantId, items) => this.write(tenantId, items), WRITES);
  }

  /** Writes what became of an attempt; resolves when it is committed. */
  async record(tenantId: string, row: SendingRow, sent: SendOutcome): Promise<void> {
    const endedAt = new Date(sent.startedAt.getTime() + Math.max(0, Math.round(sent.durationMs)));
    this.metrics.attempted(sent);
    const ok = succeeded(sent);
    const nextAttemptAt = ok || sent.status === GONE ? null : this.nextAttempt(row, sent);
    const outcome: Outcome = {
      deliveryId: row.id,
      endpointId: row.endpoint_id,
      number: row.attempt_count + 1,
      status: ok ? 'succeeded' : nextAttemptAt ? 'retrying' : 'failed',
      nextAttemptAt,
      startedAt: sent.startedAt,
      endedAt,
      durationMs: Math.round(sent.durationMs),
      responseStatus: sent.status ?? null,
      responseBody: sent.body ?? null,
      error: sent.error ?? (ok ? null : `answered ${sent.status}`),
    };
    await this.writes.submit(tenantId, { outcome, working: ok === (row.failing_since === null) ? undefined : ok });
    this.metrics.count(outcome.status);
    if (ok) return;
    const failingSince = row.failing_since ?? endedAt;
    if (sent.status === GONE) await this.disabling.disableGone(tenantId, row.endpoint_id);
    else if (endedAt.getTime() - failingSince.getTime() >= FAILING_TOO_LONG_MS) {
      await this.disabling.disableFailing(tenantId, row.endpoint_id, failingSince);
    }
  }

  /** Tells the dispatcher that a job came to nothing: its delivery was not due. */
  skipped(tenantId: string, endpointId: string, deliveryId: string): void {
    this.tell([{ tenantId, endpointId, deliveryId }]);
  }

  private nextAttempt(row: SendingRow, sent: SendOutcome): Date | null {
    const delay = nextDelay({
      attempt: row.tries + 1,
      schedule: this.config.WEBHOOK_RETRY_SCHEDULE,
      retryAfter: sent.retryAfter,
    });
    return delay === undefined ? null : new Date(new Date().getTime() + delay);
  }

  /** Tells the dispatcher of ends of one tenant. */
  private tell(ends: readonly AttemptEnd[]): void {
    if (this.dispatcher.isRunning) {
      this.dispatcher.ended(ends);
      return;
    }
    for (let at = 0; at < ends.length; at += ENDS_AT_ONCE) {
      this.wakeups.tell(OUTCOME_CHANNEL, formatEnds(ends.slice(at, at + ENDS_AT_ONCE)));
    }
  }

  private async write(tenantId: string, items: Recorded[]): Promise<void[]> {
    const outcomes = items.map((item) => item.outcome);
    const failing = endpointsOf(items, false);
    const working = endpointsOf(items, true);
    for (let attempt = 0; ; attempt++) {
      try {
        await this.database.transaction({ tenantId }, async (tx) => {
          tx.defer(recordOutcomes(tenantId, outcomes));
          if (failing.length > 0) tx.defer(markFailing(tenantId, failing, (outcomes[0] as Outcome).startedAt));
          if (working.length > 0) tx.defer(markWorking(tenantId, working));
          tx.afterCommit(() => this.tell(outcomes.map((outcome) => toEnd(tenantId, outcome))));
        });
        return items.map(() => undefined);
      } catch (error) {
        const pause = WRITE_ATTEMPTS_MS[attempt];
        if (pause === undefined) throw error;
        this.logger.warn({ reason: (error as Error).message }, 'outcomes could not be written; trying again');
        await new Promise((resolve) => setTimeout(resolve, pause));
      }
    }
  }
}

function endpointsOf(items: readonly Recorded[], working: boolean): string[] {
  return [...new Set(items.filter((item) => item.working === working).map((item) => item.outcome.endpointId))];
}

function toEnd(tenantId: string, { endpointId, deliveryId, status, nextAttemptAt, durationMs }: Outcome): AttemptEnd {
  const ok = status === 'succeeded';
  return { tenantId, endpointId, deliveryId, ok, durationMs, nextAttemptAt: nextAttemptAt?.getTime() };
}

/** The message: the tenant, then endpoint, delivery, 1 or 0 or null for nothing sent, when it is due again, and how long it took. */
function formatEnds(ends: readonly AttemptEnd[]): string {
  return JSON.stringify([
    ends[0]?.tenantId,
    ...ends.map((end) => [
      end.endpointId,
      end.deliveryId,
      end.ok === undefined ? null : Number(end.ok),
      end.nextAttemptAt ?? 0,
      end.durationMs ?? 0,
    ]),
  ]);
}

/** Reads what {@link Outcomes} told. */
export function parseEnds(message: string): AttemptEnd[] {
  const [tenantId, ...ends] = JSON.parse(message) as [string, ...[string, string, number | null, number, number][]];
  return ends.map(([endpointId, deliveryId, ok, due, durationMs]) => ({
    tenantId,
    endpointId,
    deliveryId,
    ok: ok === null ? undefined : ok === 1,
    nextAttemptAt: due || undefined,
    durationMs,
  }));
}
