import { Injectable } from '@nestjs/common';
import { Counter, Histogram } from 'prom-client';
import { Metrics } from '../../platform/observability/metrics';
import type { SendOutcome } from '../http-client/http-exchange';

const OUTCOMES = ['succeeded', 'retrying', 'failed', 'disabled', 'filtered', 'cancelled'] as const;
const RESULTS = ['2xx', '3xx', '4xx', '5xx', 'timeout', 'refused', 'error'] as const;
const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60, 120];

/** The state of a delivery after an attempt. */
export type DeliveryOutcome = (typeof OUTCOMES)[number];

/** Counters of this worker. All series exist from the start, so that a first failure is an increase from 0. */
@Injectable()
export class DeliveryMetrics {
  private readonly deliveries: Counter<'outcome'>;
  private readonly attempts: Record<(typeof RESULTS)[number], (seconds: number) => void>;

  constructor({ registry }: Metrics) {
    this.deliveries = new Counter({
      name: 'webhook_deliveries_total',
      help: 'Deliveries by outcome; retrying counts each failed attempt that is followed by another.',
      labelNames: ['outcome'],
      registers: [registry],
    });
    for (const outcome of OUTCOMES) this.deliveries.inc({ outcome }, 0);
    const duration = new Histogram({
      name: 'webhook_attempt_duration_seconds',
      help: 'From the beginning of an attempt to the end of its answer, or to what prevented one.',
      labelNames: ['result'],
      buckets: BUCKETS,
      registers: [registry],
    });
    for (const result of RESULTS) duration.zero({ result });
    this.attempts = Object.fromEntries(
      RESULTS.map((result) => [result, duration.labels(result).observe]),
    ) as typeof this.attempts;
  }

  /** Counts committed outcomes. */
  count(outcome: DeliveryOutcome, deliveries = 1): void {
    this.deliveries.inc({ outcome }, deliveries);
  }

  /** Counts an ended attempt. */
  attempted(sent: Pick<SendOutcome, 'status' | 'error' | 'durationMs'>): void {
    this.attempts[resultOf(sent)](sent.durationMs / 1000);
  }
}

/** The label of an attempt: the class of a complete response's status, else the cause of the failure. */
function resultOf({ status, error }: Pick<SendOutcome, 'status' | 'error'>): (typeof RESULTS)[number] {
  if (error === 'timed out') return 'timeout';
  if (error === 'connection refused') return 'refused';
  if (error !== undefined || status === undefined) return 'error';
  return RESULTS.find((result) => result.startsWith(String(Math.floor(status / 100)))) ?? 'error';
}
