import { Injectable } from '@nestjs/common';
import type { TenantTransaction } from '../../platform/database/tenant-database';
import { Notifier } from '../../platform/outbox/notifier';

/** The channel on which the dispatcher is told what a person asked for, and of endpoints that changed. */
export const REQUEST_CHANNEL = 'webhook_requests';

/** What a person asked to be done now. */
export interface DispatchRequest {
  tenantId: string;
  endpointId: string;
  /** One delivery, out of turn; left out, the endpoint is looked at anew. */
  deliveryId?: string;
}

/** Tells the dispatcher, once a transaction has committed; a message that is lost costs the sweep's interval. */
@Injectable()
export class DispatchRequests {
  constructor(private readonly wakeups: Notifier) {}

  send(tx: TenantTransaction, request: DispatchRequest): void {
    tx.afterCommit(() => this.wakeups.notifyWith(REQUEST_CHANNEL, JSON.stringify(request)));
  }
}
