import { Injectable } from '@nestjs/common';
import { TenantDatabase, type TenantTransaction } from '../../platform/database/tenant-database';
import { Outbox } from '../../platform/outbox/outbox';
import { disableEndpoint, type Failures, findEndpointJson, findFailures } from './endpoints.queries';
import { DispatchRequests } from '../notifications/dispatch-request';

/** The event about an endpoint that the service has disabled. */
export const ENDPOINT_DISABLED_EVENT = 'webhook.endpoint.disabled';

const GONE = 'The endpoint answered 410 Gone.';

/** Disables endpoints that fail for good, and publishes an event about it, in one transaction. */
@Injectable()
export class EndpointDisabling {
  constructor(
    private readonly database: TenantDatabase,
    private readonly outbox: Outbox,
    private readonly signal: DispatchRequests,
  ) {}

  /** Disables an endpoint that answered 410; a disabled or removed one is left alone. */
  disableGone(tenantId: string, endpointId: string): Promise<void> {
    return this.database.transaction({ tenantId }, (tx) => this.disable(tx, endpointId, GONE, null));
  }

  /**
   * Disables an endpoint where nothing has succeeded since `failingSince`, days ago, and deliveries failed all that
   * time: an endpoint that is sent little is not disabled for one failure after a long silence.
   */
  disableFailing(tenantId: string, endpointId: string, failingSince: Date): Promise<void> {
    return this.database.transaction({ tenantId }, async (tx) => {
      const [failures] = await tx.query<Failures>(findFailures(tenantId, endpointId, new Date()));
      const evidence = failures?.each_day
        ? 'deliveries failed on each of the last three days'
        : failures?.used_up
          ? 'the newest delivery failed at every attempt of its retry schedule'
          : undefined;
      if (evidence === undefined) return;
      const reason = `Every delivery has failed for 5 days: none has succeeded since ${failingSince.toISOString()}, and ${evidence}.`;
      await this.disable(tx, endpointId, reason, failingSince);
    });
  }

  private async disable(
    tx: TenantTransaction,
    endpointId: string,
    reason: string,
    failingSince: Date | null,
  ): Promise<void> {
    const { tenantId } = tx;
    const changed = await tx.query(disableEndpoint(tenantId, endpointId, reason, new Date(), failingSince));
    if (changed.length === 0) return;
    const [row] = await tx.query<{ json: string }>(findEndpointJson(tenantId, endpointId));
    this.outbox.publish(tx, [{ type: ENDPOINT_DISABLED_EVENT, data: row?.json ?? '{}' }]);
    this.signal.send(tx, { tenantId, endpointId });
  }
}
