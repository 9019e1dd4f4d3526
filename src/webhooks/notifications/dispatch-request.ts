import { Injectable } from '@nestjs/common';
import type { TenantTransaction } from '../../platform/database/tenant-database';
import { Notifier } from '../../platform/outbox/notifier';

/** The channel that carries manual requests and changes of endpoints to the dispatcher. */
export const REQUEST_CHANNEL = 'webhook_requests';

/** A manual request, or a changed endpoint. */
export interface DispatchRequest {
  tenantId: string;
  endpointId: string;
  /** One delivery, before all others; without it, the endpoint is read again. */
  deliveryId?: string;
}

/** Notifies the dispatcher once a transaction has committed; a lost message costs the interval of the sweep. */
@Injectable()
export class DispatchRequests {
  constructor(private readonly notifier: Notifier) {}

  send(tx: TenantTransaction, request: DispatchRequest): void {
    tx.afterCommit(() => this.notifier.notifyWith(REQUEST_CHANNEL, JSON.stringify(request)));
  }
}
