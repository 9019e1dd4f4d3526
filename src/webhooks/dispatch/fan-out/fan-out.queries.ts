/** Statements that make deliveries of events. */
import { type InsertedRows, insertRows, insertValues } from '../../../platform/database/sql/insert-values';
import type { Statement } from '../../../platform/database/sql/statement';
import type { OutboxEvent } from '../../../platform/outbox/relay';
import type { SubscriberRow } from '../dispatch.queries';

/** An endpoint with the columns that decide about an event. */
export interface Subscriber extends SubscriberRow {
  event_types: string[];
  consent: 'given' | 'pending';
}

/** A delivery of an event to an endpoint: to be sent, not wanted, or kept while the endpoint is disabled. */
export interface NewDelivery {
  id: string;
  endpointId: string;
  event: OutboxEvent;
  status: 'pending' | 'filtered' | 'disabled';
}

/** The endpoints of a tenant, the oldest first. */
export function listSubscribers(tenantId: string): Statement {
  return {
    name: 'webhook_subscribers',
    text: `select id, enabled, rate_limit, ordering, event_types, consent from webhook_endpoints
            where tenant_id = $1 order by id`,
    values: [tenantId],
  };
}

/** Writes deliveries; existing ones stay as they are. One alone costs less without arrays, several with them. */
export function insertDeliveries(tenantId: string, deliveries: readonly NewDelivery[], now: Date): Statement[] {
  if (deliveries.length === 0) return [];
  const insert: InsertedRows = {
    name: 'deliveries_insert',
    table: 'deliveries',
    shared: { tenant_id: ['uuid', tenantId], attempt_count: ['integer', 0], tries: ['integer', 0] },
    columns: {
      id: 'uuid',
      endpoint_id: 'uuid',
      event_id: 'uuid',
      event_type: 'text',
      aggregate_id: 'uuid',
      sequence: 'integer',
      status: 'text',
      next_attempt_at: 'timestamptz',
      created_at: 'timestamptz',
      completed_at: 'timestamptz',
    },
    rows: deliveries.map(({ id, endpointId, event, status }) => [
      id,
      endpointId,
      event.event_id,
      event.event_type,
      event.aggregate_id,
      event.sequence,
      status,
      status === 'pending' ? now : null,
      event.created_at,
      status === 'pending' ? null : now,
    ]),
    suffix: 'on conflict (tenant_id, id) do nothing',
  };
  return deliveries.length === 1 ? insertValues(insert) : [insertRows(insert)];
}

/** Records how many endpoints filtered an event if not each of them has a row. */
export function recordFiltered(tenantId: string, eventId: string, count: number): Statement {
  return {
    name: 'event_note_filtered',
    text: 'update events set filtered_count = $3 where tenant_id = $1 and id = $2',
    values: [tenantId, eventId, count],
  };
}
