import { Injectable } from '@nestjs/common';
import { TenantDatabase, type TenantScope, type TenantTransaction } from '../../platform/database/tenant-database';
import { Conflict, NotFound } from '../../platform/errors';
import type { Caller } from '../../platform/http/requests/caller';
import { Json, type JsonPage, type JsonRow, Representation } from '../../platform/http/responses/results';
import { Cursors } from '../../platform/http/responses/pagination';
import type { ListDeliveriesDto } from './deliveries.requests';
import * as queries from './deliveries.queries';
import { EndpointsService } from '../endpoints/endpoints.service';
import { EventAccess } from '../event-types/event-access';
import { DispatchRequests } from '../notifications/dispatch-request';

/** More endpoints than a tenant may have. */
const MAX_OF_EVENT = 2_000;

/** The delivery log, and manual retries. */
@Injectable()
export class DeliveriesService {
  constructor(
    private readonly database: TenantDatabase,
    private readonly cursors: Cursors,
    private readonly signal: DispatchRequests,
    private readonly access: EventAccess,
    private readonly endpoints: EndpointsService,
  ) {}

  /** A page of deliveries, newest first. @throws AppError `invalid_cursor` */
  list(caller: Caller, { limit, cursor, ...filters }: ListDeliveriesDto): Promise<JsonPage> {
    const scope = { tenant: caller, list: 'webhooks/deliveries', filters };
    const filter = {
      endpointId: filters.endpoint_id,
      eventId: filters.event_id,
      eventType: filters.event_type,
      status: filters.status,
    };
    const hidden = this.access.hiddenFrom(caller);
    // Not on the shared connections: a search by several filters in a long log takes a while.
    return this.cursors.page(scope, { limit, cursor }, (afterId, count) =>
      this.database.queryLong<JsonRow>(
        caller,
        queries.listDeliveriesJson(caller.tenantId, filter, hidden, afterId, count),
      ),
    );
  }

  /** A delivery with its attempts. @throws NotFound */
  async find(caller: Caller, id: string): Promise<Representation> {
    return new Representation((await this.read(caller, id)).json);
  }

  /**
   * {@link sendAgain} for a caller with access to the delivery's endpoint. @throws as {@link sendAgain}; Forbidden if
   * the endpoint takes events that the caller may not read
   */
  async retry(caller: Caller, id: string): Promise<Json> {
    const { endpoint_id: endpointId } = await this.read(caller, id);
    await this.endpoints.assertMayUse(caller, endpointId, 'or-gone');
    return new Json((await this.sendAgain(caller, id)).json);
  }

  /**
   * Sends a delivery now, before others and with a new schedule; also after a success.
   * @throws NotFound; Conflict if the endpoint is removed or disabled
   */
  async sendAgain(scope: TenantScope, id: string): Promise<queries.RequestedDelivery> {
    const { tenantId } = scope;
    return this.database.transaction(scope, async (tx) => {
      const delivery = await lockForRetry(tx, id);
      const [row] = await tx.query<queries.RequestedDelivery>(queries.requestDelivery(tenantId, id, new Date()));
      this.signal.send(tx, { tenantId, endpointId: delivery.endpoint_id, deliveryId: id });
      if (!row) throw new Error('the delivery is locked');
      return row;
    });
  }

  /** The delivery that {@link sendAgain} would send, unchanged. @throws as {@link sendAgain} */
  async findToRetry(scope: TenantScope, id: string): Promise<queries.LockedDelivery> {
    return this.database.transaction(scope, (tx) => lockForRetry(tx, id));
  }

  /** The deliveries of an event, except the filtered ones. @throws NotFound for an event without any */
  async listOfEvent(scope: TenantScope, eventId: string): Promise<queries.EventDelivery[]> {
    const rows = await this.database.query<queries.EventDelivery>(
      scope,
      queries.deliveriesOfEvent(scope.tenantId, eventId, MAX_OF_EVENT),
    );
    if (rows.length === 0) throw new NotFound('Delivery of event', eventId);
    return rows;
  }

  private async read(caller: Caller, id: string): Promise<queries.ShownDelivery> {
    const [row] = await this.database.query<queries.ShownDelivery>(
      caller,
      queries.findDeliveryJson(caller.tenantId, id),
    );
    if (!row || !this.access.mayRead(caller, row.event_type)) throw new NotFound('Delivery', id);
    return row;
  }
}

/** Locks the delivery and its endpoint before it is sent again. */
async function lockForRetry(tx: TenantTransaction, id: string): Promise<queries.LockedDelivery> {
  const [[endpoint], [delivery]] = await Promise.all([
    tx.query<{ enabled: boolean }>(queries.lockEndpointOfDelivery(tx.tenantId, id)),
    tx.query<queries.LockedDelivery>(queries.lockDelivery(tx.tenantId, id)),
  ]);
  if (!delivery) throw new NotFound('Delivery', id);
  if (!endpoint) throw new Conflict(`The endpoint '${delivery.endpoint_id}' of this delivery is gone.`);
  if (!endpoint.enabled) throw new Conflict(`The endpoint '${delivery.endpoint_id}' is disabled: enable it first.`);
  if (delivery.status === 'filtered') {
    throw new Conflict('The endpoint does not subscribe to events of this type; there is nothing to send again.');
  }
  if (delivery.status === 'cancelled') throw new Conflict('The delivery was cancelled.');
  return delivery;
}
