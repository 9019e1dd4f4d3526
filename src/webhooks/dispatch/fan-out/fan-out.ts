import { Injectable } from '@nestjs/common';
import { databaseClock } from '../../../platform/database/database-clock';
import type { TenantTransaction } from '../../../platform/database/tenant-database';
import type { OutboxBatch, OutboxConsumer, OutboxEvent } from '../../../platform/outbox/relay';
import { TenantUsage } from '../../../platform/usage/tenant-usage';
import { DELIVERIES } from '../../webhook-amounts';
import { deliveryId } from '../../deliveries/delivery-id';
import { DeliveryMetrics } from '../../deliveries/delivery-metrics';
import { isSubscribed } from '../../event-types/event-type-names';
import type { Offer } from '../tenant-queues';
import { Dispatchers } from '../dispatchers';
import {
  insertDeliveries,
  listSubscribers,
  type NewDelivery,
  recordFiltered,
  type Subscriber,
} from './fan-out.queries';

/** Approximate number of deliveries of one transaction: a tenant with many endpoints gets fewer events at once. */
const DELIVERIES_AT_ONCE = 4_000;
/** Filtered endpoints with a row of their own; the event has the number of all. */
const FILTERED_ROWS = 100;

/**
 * Turns events into deliveries: a row for each endpoint of the tenant, also for an unsent one, so that the log shows
 * why. Deliveries to send are offered to the dispatcher once the rows are committed.
 */
@Injectable()
export class FanOut implements OutboxConsumer {
  protected deliveriesAtOnce = DELIVERIES_AT_ONCE;

  constructor(
    private readonly dispatchers: Dispatchers,
    private readonly metrics: DeliveryMetrics,
    private readonly usage: TenantUsage,
  ) {}

  async open(tx: TenantTransaction): Promise<OutboxBatch> {
    const { tenantId } = tx;
    const subscribers = await tx.query<Subscriber>(listSubscribers(tenantId));
    const deliveries: NewDelivery[] = [];
    let unwritten = 0;
    return {
      limit: Math.max(1, Math.floor(this.deliveriesAtOnce / Math.max(1, subscribers.length))),
      take: (events) => {
        for (const event of events) {
          const filtered = addDeliveries(deliveries, event, subscribers);
          if (filtered <= FILTERED_ROWS) continue;
          unwritten += filtered - FILTERED_ROWS;
          tx.defer(recordFiltered(tenantId, event.event_id, filtered));
        }
        for (const statement of insertDeliveries(tenantId, deliveries, new Date(databaseClock.now())))
          tx.defer(statement);
      },
      committed: () => {
        this.metrics.count('filtered', unwritten);
        this.usage.add(tenantId, DELIVERIES, deliveries.length);
        this.offer(tenantId, deliveries, subscribers);
      },
    };
  }

  private offer(tenantId: string, deliveries: readonly NewDelivery[], subscribers: readonly Subscriber[]): void {
    const byId = new Map(subscribers.map((subscriber) => [subscriber.id, subscriber]));
    const offers: Offer[] = [];
    for (const { id, endpointId, status } of deliveries) {
      const endpoint = byId.get(endpointId);
      if (status !== 'pending') this.metrics.count(status);
      else if (endpoint) offers.push({ tenantId, deliveryId: id, endpoint });
    }
    this.dispatchers.current?.offer(offers);
  }
}

/** Adds the deliveries of an event; returns the number of endpoints that filtered it. */
function addDeliveries(deliveries: NewDelivery[], event: OutboxEvent, subscribers: readonly Subscriber[]): number {
  let filtered = 0;
  for (const subscriber of subscribers) {
    if (event.recipient_id !== null && event.recipient_id !== subscriber.id) continue;
    const status = statusFor(event, subscriber);
    if (status === 'filtered' && ++filtered > FILTERED_ROWS) continue;
    const endpointId = subscriber.id;
    deliveries.push({ id: deliveryId(event.event_id, endpointId), endpointId, event, status });
  }
  return filtered;
}

function statusFor(event: OutboxEvent, { event_types: patterns, enabled, consent }: Subscriber): NewDelivery['status'] {
  if (event.recipient_id !== null) return 'pending';
  if (!isSubscribed(patterns, event.event_type)) return 'filtered';
  return enabled && consent === 'given' ? 'pending' : 'disabled';
}
