import { Inject, Injectable } from '@nestjs/common';
import type { Logger } from 'pino';
import { Config } from '../../platform/config/config';
import { databaseClock } from '../../platform/database/database-clock';
import { TenantDatabase } from '../../platform/database/tenant-database';
import { LOGGER } from '../../platform/observability/logger.module';
import { Batcher } from './batcher';
import { type AttemptEnd, AttemptEnds } from '../notifications/attempt-ended';
import { DeliveryMetrics } from '../deliveries/delivery-metrics';
import { EndpointDisabling } from '../endpoints/endpoint-disabling';
import type { JobLease } from './job-lease';
import { nextDelay } from './retry-schedule';
import type { SendOutcome } from '../http-client/http-exchange';
import { succeeded } from '../http-client/webhook-client';
import { markFailing, markWorking, type Outcome, recordOutcomes, type SendingRow } from './sending.queries';

/** A busy tenant's outcomes are written at this interval, milliseconds, or as soon as there are enough. */
const WRITES = { limit: 100, interval: 20, enough: 32 };
const FAILING_TOO_LONG_MS = 5 * 24 * 60 * 60 * 1000;
const GONE = 410;
/** Pauses between attempts to write an outcome before the job is released. */
const WRITE_ATTEMPTS_MS = [100, 300, 1_000, 2_000, 4_000];

/** An outcome, with its effect on the endpoint's state. */
interface Recorded {
  outcome: Outcome;
  working: boolean | undefined;
  lease: JobLease;
}

/**
 * Decides the effect of an attempt on its delivery and endpoint, and writes both, many attempts at a time. Ends are
 * announced after the commit and not in it, since PostgreSQL serializes the commits of notifying transactions.
 */
@Injectable()
export class Outcomes {
  private readonly writes: Batcher<Recorded, boolean>;

  constructor(
    private readonly config: Config,
    private readonly database: TenantDatabase,
    private readonly disabling: EndpointDisabling,
    private readonly ends: AttemptEnds,
    private readonly metrics: DeliveryMetrics,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    this.writes = new Batcher((tenantId, items) => this.write(tenantId, items), WRITES);
  }

  /**
   * Writes the outcome of an attempt; resolves when it is committed. If another worker has the job by now, that one
   * sends and records: a success that is recorded at the same time would not stop its request.
   */
  async record(tenantId: string, row: SendingRow, sent: SendOutcome, lease: JobLease): Promise<void> {
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
    // An attempt without a request says nothing about the receiver.
    const isReceiverToBlame = sent.error !== 'not signed';
    const isUnchanged = ok === (row.failing_since === null) || (!ok && !isReceiverToBlame);
    if (!(await this.writes.submit(tenantId, { outcome, working: isUnchanged ? undefined : ok, lease }))) {
      this.logger.info({ delivery_id: row.id }, 'another worker has the job of a delivery, and records its outcome');
      return;
    }
    this.metrics.count(outcome.status);
    if (ok || !isReceiverToBlame) return;
    const failingSince = row.failing_since ?? endedAt;
    if (sent.status === GONE) await this.disabling.disableGone(tenantId, row.endpoint_id);
    else if (endedAt.getTime() - failingSince.getTime() >= FAILING_TOO_LONG_MS) {
      await this.disabling.disableFailing(tenantId, row.endpoint_id, failingSince);
    }
  }

  /** Announces that an attempt sent nothing, since it was not due. */
  announceSkipped(tenantId: string, row: SendingRow, attempt: number): void {
    this.ends.announce([{ tenantId, endpointId: row.endpoint_id, deliveryId: row.id, attempt }]);
  }

  private nextAttempt(row: SendingRow, sent: SendOutcome): Date | null {
    const delay = nextDelay({
      attempt: row.schedule_attempts + 1,
      schedule: this.config.WEBHOOK_RETRY_SCHEDULE,
      retryAfter: sent.retryAfter,
    });
    return delay === undefined ? null : new Date(databaseClock.now() + delay);
  }

  /** @returns for each outcome whether it was written */
  private async write(tenantId: string, items: readonly Recorded[]): Promise<boolean[]> {
    for (let attempt = 0; ; attempt++) {
      const lost = await lostOf(items);
      const kept = lost.size === 0 ? items : items.filter((item) => !lost.has(item));
      if (kept.length === 0) return items.map(() => false);
      const outcomes = kept.map((item) => item.outcome);
      const failing = endpointsOf(kept, false);
      const working = endpointsOf(kept, true);
      try {
        await this.database.transaction({ tenantId }, async (tx) => {
          tx.defer(recordOutcomes(tenantId, outcomes));
          if (failing.length > 0) tx.defer(markFailing(tenantId, failing, (outcomes[0] as Outcome).startedAt));
          if (working.length > 0) tx.defer(markWorking(tenantId, working));
          tx.afterCommit(() => this.ends.announce(outcomes.map((outcome) => toEnd(tenantId, outcome))));
        });
        return items.map((item) => !lost.has(item));
      } catch (error) {
        const pause = WRITE_ATTEMPTS_MS[attempt];
        if (pause === undefined) throw error;
        const ids = outcomes.map((outcome) => outcome.deliveryId);
        this.logger.warn(
          { reason: (error as Error).message, delivery_ids: ids },
          'outcomes could not be written; trying again',
        );
        await new Promise((resolve) => setTimeout(resolve, pause));
      }
    }
  }
}

/** The outcomes of jobs that another worker may have. */
async function lostOf(items: readonly Recorded[]): Promise<ReadonlySet<Recorded>> {
  const doubtful = items.filter(({ lease }) => !lease.isHeld());
  const areLost = await Promise.all(doubtful.map(({ lease }) => lease.isLost()));
  return new Set(doubtful.filter((_, index) => areLost[index]));
}

function endpointsOf(items: readonly Recorded[], working: boolean): string[] {
  return [...new Set(items.filter((item) => item.working === working).map((item) => item.outcome.endpointId))];
}

function toEnd(tenantId: string, outcome: Outcome): AttemptEnd {
  const { endpointId, deliveryId, number: attempt, status, nextAttemptAt, durationMs } = outcome;
  const ok = status === 'succeeded';
  return { tenantId, endpointId, deliveryId, attempt, ok, durationMs, nextAttemptAt: nextAttemptAt?.getTime() };
}
