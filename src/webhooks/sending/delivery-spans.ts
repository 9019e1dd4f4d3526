import { formatTraceparent, parseTraceparent } from '../../platform/observability/trace-context';
import type { Tracing } from '../../platform/observability/tracing';
import { DELIVERY_QUEUE } from '../notifications/delivery-job';
import type { SendOutcome } from '../http-client/http-exchange';
import { succeeded } from '../http-client/webhook-client';
import type { SendingRow } from './sending.queries';

/** The spans of one attempt: its part of the job, and in it the request to the receiver. */
export interface DeliverySpans {
  /** The trace context for the receiver. */
  readonly traceparent: string;
  /** Ends the span of the request. */
  sent(outcome: SendOutcome): void;
  end(errorType?: string): void;
}

/**
 * Begins them in the trace of the event, if it has one. Only host and port of the receiver's URL are recorded: paths
 * and queries of webhooks often contain a key.
 * @param attempt with the time when its job was taken from the queue, milliseconds of Unix time
 */
export function beginDeliverySpans(
  tracing: Tracing,
  attempt: { tenantId: string; attempt: number; takenAt: number },
  row: SendingRow,
): DeliverySpans | undefined {
  const parent = parseTraceparent(row.traceparent);
  const process =
    parent &&
    tracing.start(`process ${DELIVERY_QUEUE}`, {
      kind: 'consumer',
      parent,
      startTime: attempt.takenAt,
      attributes: {
        'messaging.system': 'bullmq',
        'messaging.destination.name': DELIVERY_QUEUE,
        'messaging.operation.type': 'process',
        'app.tenant_id': attempt.tenantId,
        'app.delivery_id': row.id,
        'app.event_type': row.event_type,
      },
    });
  const { hostname, port, protocol } = new URL(row.url as string);
  const request =
    process &&
    tracing.start('POST', {
      kind: 'client',
      parent: process.context,
      attributes: {
        'http.request.method': 'POST',
        'url.scheme': protocol.slice(0, -1),
        'server.address': hostname,
        'server.port': Number(port || (protocol === 'https:' ? 443 : 80)),
        'http.request.resend_count': attempt.attempt - 1,
      },
    });
  if (!process || !request) return undefined;
  return {
    traceparent: formatTraceparent(request.context),
    sent(outcome) {
      if (outcome.status !== undefined) request.set('http.response.status_code', outcome.status);
      request.end(succeeded(outcome) ? undefined : (outcome.error ?? String(outcome.status)));
    },
    end: (errorType) => process.end(errorType),
  };
}
