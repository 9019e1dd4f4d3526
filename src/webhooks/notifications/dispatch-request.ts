import { Injectable } from '@nestjs/common';
import type { TenantTransaction } from '../../platform/database/tenant-database';
import { Wakeups } from '../../platform/outbox/wakeups';

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
export class DispatchSignal {
  constructor(private readonly wakeups: Wakeups) {}

  requested(tx: TenantTransaction, request: DispatchRequest): void {
    tx.afterCommit(() => this.wakeups.tell(REQUEST_CHANNEL, JSON.stringify(request)));
  }
}
