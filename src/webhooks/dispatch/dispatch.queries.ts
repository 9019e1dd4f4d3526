/** Statements of the dispatcher. Each belongs to one tenant and names it. */
import { CHALLENGE_EVENT } from '../event-types/event-type-names';
import type { Row, Statement } from '../../platform/database/sql/statement';

/** The status of a waiting delivery: not attempted yet, or to be retried. */
export type WaitingStatus = 'pending' | 'retrying';

/** The columns of an endpoint that the dispatcher needs. */
export interface SubscriberRow extends Row {
  id: string;
  enabled: boolean;
  rate_limit: number | null;
  ordering: 'none' | 'by_aggregate';
}

/** An endpoint's settings, with one of its waiting deliveries, or with none. */
export interface WaitingRow extends Row {
  enabled: boolean | null;
  rate_limit: number | null;
  ordering: 'none' | 'by_aggregate' | null;
  id: string | null;
  attempt_count: number;
  next_attempt_at: Date;
  requested_at: Date | null;
}

/**
 * The first waiting deliveries of an endpoint and a status by time, due or not, with the endpoint's settings. An
 * ordered endpoint leaves out a delivery that must wait for an earlier one of its aggregate. A suspended tenant sends
 * nothing: its deliveries stay as they are, and the sweep finds them once the tenant is resumed.
 */
export function readWaiting(
  tenantId: string,
  endpointId: string,
  status: WaitingStatus,
  ordered: boolean,
  limit: number,
): Statement {
  // "offset 0" keeps it a look-up in an index for each row. As a join it may read all waiting deliveries for each row.
  const inTurn = ordered
    ? `and not exists (
         select 1 from deliveries earlier
          where earlier.tenant_id = $1 and earlier.endpoint_id = $2
            and earlier.aggregate_id = d.aggregate_id and earlier.sequence < d.sequence
            and earlier.status in ('pending', 'retrying') offset 0)`
    : '';
  return {
    name: `webhook_waiting_${status}${ordered ? '_ordered' : ''}`,
    text: `select p.enabled, p.rate_limit, p.ordering, head.id, head.attempt_count, head.next_attempt_at, head.requested_at
             from (select 1) as queue
             left join webhook_endpoints p on p.tenant_id = $1 and p.id = $2
             left join lateral (
               select d.id, d.attempt_count, d.next_attempt_at, d.requested_at from deliveries d
                where d.tenant_id = $1 and d.endpoint_id = $2 and d.status = '${status}' ${inTurn}
                  and not exists (select from tenants t where t.id = $1 and t.suspended_at is not null)
                  and (d.event_type = '${CHALLENGE_EVENT}' or not exists (
                    select from webhook_endpoints c where c.tenant_id = $1 and c.id = $2 and c.consent = 'pending'))
                order by d.next_attempt_at, d.id limit $3) as head on true`,
    values: [tenantId, endpointId, limit],
  };
}

/**
 * A manually requested delivery, if it still waits. "offset 0" makes PostgreSQL find it by its key, and not among the
 * waiting ones.
 */
export function findRequested(tenantId: string, id: string): Statement {
  return {
    name: 'delivery_requested',
    text: `select attempt_count from (select * from deliveries where tenant_id = $1 and id = $2 offset 0) d
            where status in ('pending', 'retrying') and requested_at is not null`,
    values: [tenantId, id],
  };
}
