import { Injectable } from '@nestjs/common';
import type { TenantTransaction } from '../platform/database/tenant-database';
import type { EventSink, RelayedEvent } from '../platform/outbox/relay';
import { deliveryId } from './delivery-id';
import { DeliveryMetrics } from './delivery-metrics';
import { Dispatcher, type Offer } from './dispatcher';
import { findSubscribers, insertDeliveries, type NewDelivery, type SubscriberRow } from './dispatch.queries';
import { isSubscribed } from './subscriptions';

const ROWS_A_STATEMENT = 2_000;

/**
 * Turns events into deliveries: a row for each endpoint of the tenant, also where it is not sent, so that the log says
 * why. What is to be sent is offered to the dispatcher once the rows are committed.
 */
@Injectable()
export class FanOut implements EventSink {
  constructor(
    private readonly dispatcher: Dispatcher,
    private readonly metrics: DeliveryMetrics,
  ) {}

  async accept(tx: TenantTransaction, events: readonly RelayedEvent[]): Promise<() => void> {
    const endpoints = await tx.query<SubscriberRow>(findSubscribers(tx.tenantId));
    const rows: NewDelivery[] = [];
    const offers: Offer[] = [];
    for (const event of events) {
      for (const endpoint of endpoints) {
        const status = statusOf(event, endpoint);
        if (status === undefined) continue;
        const row = toDelivery(event, endpoint, status);
        rows.push(row);
        if (status === 'pending') {
          offers.push({ tenantId: tx.tenantId, deliveryId: row.id, endpoint });
        }
      }
    }
    const now = new Date();
    for (let at = 0; at < rows.length; at += ROWS_A_STATEMENT) {
      tx.defer(insertDeliveries(tx.tenantId, rows.slice(at, at + ROWS_A_STATEMENT), now));
    }
    return () => {
      for (const { status } of rows) if (status !== 'pending') this.metrics.count(status);
      this.dispatcher.offer(offers);
    };
  }
}

/** What becomes of an event for an endpoint; undefined where it is for another one alone. */
function statusOf(event: RelayedEvent, endpoint: SubscriberRow): NewDelivery['status'] | undefined {
  if (event.endpoint_id !== null) return event.endpoint_id === endpoint.id ? 'pending' : undefined;
  if (!isSubscribed(endpoint.event_types, event.type)) return 'filtered';
  return endpoint.enabled ? 'pending' : 'disabled';
}

function toDelivery(event: RelayedEvent, endpoint: SubscriberRow, status: NewDelivery['status']): NewDelivery {
  return {
    id: deliveryId(event.id, endpoint.id),
    endpointId: endpoint.id,
    eventId: event.id,
    eventType: event.type,
    aggregateId: event.aggregate_id,
    sequence: event.sequence,
    status,
    createdAt: event.created_at,
  };
}
