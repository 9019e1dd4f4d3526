import { Injectable } from '@nestjs/common';
import { TenantDatabase } from '../../platform/database/tenant-database';
import { Outbox } from '../../platform/outbox/outbox';
import { ENDPOINT_EVENT_JSON } from './endpoints.queries';
import { DispatchSignal } from '../notifications/dispatch-request';

/** The event that tells of an endpoint that the service has disabled. */
export const ENDPOINT_DISABLED_EVENT = 'webhook.endpoint.disabled';

/** Disables endpoints that do not work any more, and tells the tenant so, in one transaction. */
@Injectable()
export class EndpointDisabling {
  constructor(
    private readonly database: TenantDatabase,
    private readonly outbox: Outbox,
    private readonly signal: DispatchSignal,
  ) {}

  /**
   * Disables an endpoint for a reason; one that is disabled already, or gone, is left alone, and so is one that has
   * answered well since `failingSince`, where that is given.
   */
  async disable(tenantId: string, endpointId: string, reason: string, failingSince: Date | null = null): Promise<void> {
    await this.database.transaction({ tenantId }, async (tx) => {
      const [row] = await tx.query<{ data: string }>({
        name: 'endpoint_disable',
        text: `update webhook_endpoints p
                  set enabled = false, disabled_reason = $3, version = version + 1, updated_at = $4
                where tenant_id = $1 and id = $2 and enabled
                  and ($5::timestamptz is null or not exists (
                    select 1 from delivery_attempts a
                     where a.tenant_id = $1 and a.endpoint_id = $2 and a.started_at >= $5 and a.succeeded))
               returning ${ENDPOINT_EVENT_JSON} as data`,
        values: [tenantId, endpointId, reason, new Date(), failingSince],
      });
      if (!row) return;
      this.outbox.publish(tx, [{ type: ENDPOINT_DISABLED_EVENT, data: row.data }]);
      this.signal.requested(tx, { tenantId, endpointId });
    });
  }
}
