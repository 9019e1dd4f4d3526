import { Injectable } from '@nestjs/common';
import { NotFound } from '../../platform/errors';
import type { Caller } from '../../platform/http/requests/caller';
import { Idempotency, type IdempotentRequest } from '../../platform/http/responses/idempotency';
import { Outcome, type WriteResult } from '../../platform/http/responses/results';
import { Outbox } from '../../platform/outbox/outbox';
import { TenantUsage } from '../../platform/usage/tenant-usage';
import { insertRequestedDelivery } from './deliveries.queries';
import type { DeliveryView } from './deliveries.views';
import { deliveryId } from './delivery-id';
import { findEndpointJson, type ShownEndpoint } from '../endpoints/endpoints.queries';
import { TEST_EVENT } from '../event-types/event-type-names';
import { EventAccess } from '../event-types/event-access';
import { DispatchRequests } from '../notifications/dispatch-request';

/** Sends a test message to an endpoint, enabled or not, with any subscriptions. */
@Injectable()
export class TestDeliveries {
  constructor(
    private readonly idempotency: Idempotency,
    private readonly outbox: Outbox,
    private readonly signal: DispatchRequests,
    private readonly access: EventAccess,
    private readonly usage: TenantUsage,
  ) {}

  /**
   * Publishes the event together with its delivery, so that the delivery's id is known immediately. @throws NotFound
   */
  send(caller: Caller, endpointId: string, request?: IdempotentRequest): Promise<WriteResult> {
    const { tenantId } = caller;
    this.usage.assertLeft(caller);
    return this.idempotency.transaction(caller, request, async (tx) => {
      const [endpoint] = await tx.query<ShownEndpoint>(findEndpointJson(tenantId, endpointId));
      if (!endpoint) throw new NotFound('Endpoint', endpointId);
      this.access.assertMayTake(caller, endpoint.event_types);
      const [event] = this.outbox.publish(tx, [{ type: TEST_EVENT, data: endpoint.json, recipientId: endpointId }]);
      if (!event) throw new Error('one event was published');
      const id = deliveryId(event.id, endpointId);
      const row = { id, endpointId, eventId: event.id, eventType: TEST_EVENT, createdAt: event.createdAt };
      tx.insert(insertRequestedDelivery(tenantId, row));
      this.signal.send(tx, { tenantId, endpointId, deliveryId: id });
      const time = event.createdAt.toISOString();
      const view: DeliveryView = {
        id,
        endpoint_id: endpointId,
        event_id: event.id,
        event_type: TEST_EVENT,
        status: 'pending',
        attempt_count: 0,
        next_attempt_at: time,
        created_at: time,
        completed_at: null,
      };
      return new Outcome(JSON.stringify(view));
    });
  }
}
