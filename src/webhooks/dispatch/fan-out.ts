import { Injectable } from '@nestjs/common';
import type { Statement } from '../../platform/database/sql/statement';
import type { EventSink } from '../../platform/outbox/relay';
import { DeliveryMetrics } from '../deliveries/delivery-metrics';
import { Dispatcher, type Offer } from './dispatcher';
import { type FannedOutRow, fanOut } from './fan-out.queries';

/** Deliveries of one statement, about: a tenant with many endpoints has fewer events per statement. */
const DELIVERIES_AT_ONCE = 4_000;

/**
 * Turns events into deliveries: a row for each endpoint of the tenant, also where it is not sent, so that the log says
 * why. Deliveries to send are offered to the dispatcher once the rows are committed.
 */
@Injectable()
export class FanOut implements EventSink<FannedOutRow> {
  constructor(
    private readonly dispatcher: Dispatcher,
    private readonly metrics: DeliveryMetrics,
  ) {}

  takeEvents(tenantId: string, limit: number): Statement {
    return fanOut(tenantId, limit, DELIVERIES_AT_ONCE, new Date());
  }

  taken(tenantId: string, rows: readonly FannedOutRow[]): void {
    const offers: Offer[] = [];
    for (const { delivery_id: deliveryId, status, ...endpoint } of rows) {
      if (deliveryId === null) continue;
      if (status === 'pending') offers.push({ tenantId, deliveryId, endpoint });
      else this.metrics.count(status);
    }
    this.dispatcher.offer(offers);
  }
}
