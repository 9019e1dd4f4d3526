import { Injectable } from '@nestjs/common';
import { AuditLog } from '../../platform/audit/audit-log';
import { TenantDatabase, type TenantTransaction } from '../../platform/database/tenant-database';
import { Mailer } from '../../platform/mail/mailer';
import { Outbox } from '../../platform/outbox/outbox';
import { disableEndpoint, type Failures, findEndpointJson, findFailures } from './endpoints.queries';
import { endpointTarget } from './endpoint-audit';
import { maskUrl } from './endpoint-parts';
import { DispatchRequests } from '../notifications/dispatch-request';

/** The event about an endpoint that the service has disabled. */
export const ENDPOINT_DISABLED_EVENT = 'webhook.endpoint.disabled';

const GONE = 'The endpoint answered 410 Gone.';

/**
 * Disables endpoints that fail permanently. The event, the audit entry and the notice to users who may write webhooks
 * are written in the same transaction.
 */
@Injectable()
export class EndpointDisabling {
  constructor(
    private readonly database: TenantDatabase,
    private readonly outbox: Outbox,
    private readonly signal: DispatchRequests,
    private readonly mailer: Mailer,
    private readonly audit: AuditLog,
  ) {}

  /** Disables an endpoint that returned 410; a disabled or removed one stays as it is. */
  disableGone(tenantId: string, endpointId: string): Promise<void> {
    return this.database.transaction({ tenantId }, (tx) => this.disable(tx, endpointId, GONE, null));
  }

  /**
   * Disables an endpoint without a success since `failingSince`, days ago, and with failed deliveries in all that time:
   * an endpoint with few deliveries is not disabled for one failure after a long silence.
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
    const [disabled] = await tx.query<{ url: string }>(
      disableEndpoint(tenantId, endpointId, reason, new Date(), failingSince),
    );
    if (!disabled) return;
    const [row] = await tx.query<{ json: string }>(findEndpointJson(tenantId, endpointId));
    this.outbox.publish(tx, [{ type: ENDPOINT_DISABLED_EVENT, data: row?.json ?? '{}' }]);
    this.signal.send(tx, { tenantId, endpointId });
    this.mailer.notify(tx, {
      audience: { permission: 'webhooks:write' },
      template: 'endpoint_disabled',
      data: { url: maskUrl(disabled.url), reason },
    });
    this.audit.record(
      tx,
      { tenantId, actor: { type: 'system', id: null } },
      {
        action: 'webhook_endpoint.disabled',
        target: endpointTarget(endpointId),
        changes: { enabled: [true, false], disabled_reason: [null, reason] },
      },
    );
  }
}
