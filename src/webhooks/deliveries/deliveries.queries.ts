/** Deliveries as the API shows them, and manual actions on them. */
import { firstRows } from '../../platform/database/sql/first-rows';
import { jsonTime } from '../../platform/database/sql/json';
import type { Row, SqlValue, Statement } from '../../platform/database/sql/statement';
import { MAX_PAGE } from '../../platform/http/requests/fields';
import { type DeliveryStatus, SHOWN_ATTEMPTS } from './deliveries.views';

const FIELDS = `'id', d.id, 'endpoint_id', d.endpoint_id, 'event_id', d.event_id, 'event_type', d.event_type,
    'status', d.status, 'attempt_count', d.attempt_count, 'next_attempt_at', ${jsonTime('d.next_attempt_at')},
    'created_at', ${jsonTime('d.created_at')}, 'completed_at', ${jsonTime('d.completed_at')}`;

/** A delivery `d` as JSON. */
export const DELIVERY_JSON = `json_build_object(${FIELDS})`;

const ATTEMPTS_JSON = `(select coalesce(json_agg(json_build_object(
      'number', a.number, 'started_at', ${jsonTime('a.started_at')}, 'duration_ms', a.duration_ms,
      'response_status', a.response_status, 'response_body', a.response_body, 'error', a.error) order by a.number), '[]')
    from (select * from delivery_attempts where tenant_id = $1 and delivery_id = d.id
           order by number desc limit ${SHOWN_ATTEMPTS}) a)`;

/** Filters of the list. */
export interface DeliveryFilter {
  endpointId?: string;
  eventId?: string;
  eventType?: string;
  status?: DeliveryStatus;
}

/** The page after `afterId`, newest first; ask for one more than the page holds. */
export function listDeliveriesJson(
  tenantId: string,
  filter: DeliveryFilter,
  hidden: readonly string[],
  afterId: string | undefined,
  limit: number,
): Statement {
  const values: SqlValue[] = [tenantId, limit];
  const conditions = ['d.tenant_id = $1'];
  const names: string[] = [];
  const where = (name: string, condition: string, value: SqlValue | undefined): void => {
    if (value === undefined) return;
    values.push(value);
    names.push(name);
    conditions.push(`${condition} $${values.length}`);
  };
  where('endpoint', 'd.endpoint_id =', filter.endpointId);
  where('event', 'd.event_id =', filter.eventId);
  where('type', 'd.event_type =', filter.eventType);
  where('status', 'd.status =', filter.status);
  const filters = names.length;
  where('after', 'd.id <', afterId);
  if (hidden.length > 0) {
    names.push('open');
    conditions.push(notHidden('d.event_type', values.push(hidden)));
  }
  const query = `select d.id, ${DELIVERY_JSON}::text as json from deliveries d where ${conditions.join(' and ')}`;
  return {
    name: `deliveries_list_${names.join('_')}`,
    // The best index for several filters depends on their values.
    text: filters > 1 ? `${query} order by d.id desc limit $2` : firstRows(query, 'd.id desc', MAX_PAGE + 1, '$2'),
    values,
  };
}

/** The condition that a type begins like none of those in the parameter of this number. */
export function notHidden(column: string, parameter: number): string {
  return `not exists (select from unnest($${parameter}::text[]) as hidden where starts_with(${column}, hidden))`;
}

/** A delivery as the API shows it, with the columns that access to it depends on. */
export interface ShownDelivery extends Row {
  endpoint_id: string;
  event_type: string;
  json: string;
}

/** One delivery with its attempts. */
export function findDeliveryJson(tenantId: string, id: string): Statement {
  return {
    name: 'delivery_json',
    text: `select d.endpoint_id, d.event_type,
                  json_build_object(${FIELDS}, 'attempts', ${ATTEMPTS_JSON})::text as json
             from deliveries d where d.tenant_id = $1 and d.id = $2`,
    values: [tenantId, id],
  };
}

/** The columns of a delivery that is to be sent again. */
export interface LockedDelivery extends Row {
  status: DeliveryStatus;
  endpoint_id: string;
}

/** The endpoint of a delivery, locked as `holdEndpoint` does; no row if it was removed. */
export function lockEndpointOfDelivery(tenantId: string, deliveryId: string): Statement {
  return {
    name: 'delivery_endpoint_hold',
    text: `select enabled from webhook_endpoints where tenant_id = $1 and id = (
             select endpoint_id from deliveries where tenant_id = $1 and id = $2) for key share`,
    values: [tenantId, deliveryId],
  };
}

/** Condition: the event still exists; without it, there is nothing to send. */
const HAS_EVENT = 'exists (select from events e where e.tenant_id = $1 and e.id = d.event_id)';

export function lockDelivery(tenantId: string, id: string): Statement {
  return {
    name: 'delivery_lock',
    text: `select status, endpoint_id from deliveries d
            where d.tenant_id = $1 and d.id = $2 and ${HAS_EVENT} for update of d`,
    values: [tenantId, id],
  };
}

/** A delivery that is due again. */
export interface RequestedDelivery extends LockedDelivery {
  json: string;
}

/** Makes a delivery due now, with its whole schedule ahead. */
export function requestDelivery(tenantId: string, id: string, now: Date): Statement {
  return {
    name: 'delivery_request',
    text: `with d as (
             update deliveries set status = case when attempt_count = 0 then 'pending' else 'retrying' end,
                    tries = 0, next_attempt_at = $3, requested_at = $3, completed_at = null
              where tenant_id = $1 and id = $2 returning *)
           select d.status, d.endpoint_id, ${DELIVERY_JSON}::text as json from d`,
    values: [tenantId, id, now],
  };
}

/** One of the deliveries that an event became. */
export interface EventDelivery extends Row {
  id: string;
  endpoint_id: string;
  status: DeliveryStatus;
}

/** The deliveries of an event, sent or to be sent. */
export function deliveriesOfEvent(tenantId: string, eventId: string, limit: number): Statement {
  return {
    name: 'deliveries_of_event',
    text: `select id, endpoint_id, status from deliveries
            where tenant_id = $1 and event_id = $2 and status <> 'filtered' order by id limit $3`,
    values: [tenantId, eventId, limit],
  };
}

/** Writes the delivery of a test immediately; the relay later finds it in place. */
export function insertRequestedDelivery(
  tenantId: string,
  row: { id: string; endpointId: string; eventId: string; eventType: string; createdAt: Date },
): Statement {
  return {
    name: 'delivery_insert_requested',
    text: `insert into deliveries (tenant_id, id, endpoint_id, event_id, event_type, status, attempt_count, tries,
                                   next_attempt_at, requested_at, created_at)
           values ($1, $2, $3, $4, $5, 'pending', 0, 0, $6, $6, $6)
           on conflict (tenant_id, id) do nothing`,
    values: [tenantId, row.id, row.endpointId, row.eventId, row.eventType, row.createdAt],
  };
}

/** Condition: unsuccessful deliveries of a tenant, an endpoint and a range of ids. */
const IS_LOST = `d.tenant_id = $1 and d.endpoint_id = $2 and d.id > $3 and d.id < $4
              and d.status in ('failed', 'disabled') and ${HAS_EVENT}`;

/** Up to `limit` unsuccessful deliveries of an endpoint and a range of ids, by id. */
export function lockLost(
  tenantId: string,
  endpointId: string,
  range: { after: string; before: string },
  limit: number,
): Statement {
  return {
    name: 'deliveries_lock_lost',
    text: `select id from deliveries d
            where ${IS_LOST}
            order by d.id limit $5 for update of d`,
    values: [tenantId, endpointId, range.after, range.before, limit],
  };
}

/** Counts them without a lock. */
export function countLost(tenantId: string, endpointId: string, range: { after: string; before: string }): Statement {
  return {
    name: 'deliveries_count_lost',
    text: `select count(*)::int as count from deliveries d
            where ${IS_LOST}`,
    values: [tenantId, endpointId, range.after, range.before],
  };
}

/** Makes these deliveries due now, with their whole schedule ahead. */
export function recoverDeliveries(tenantId: string, ids: readonly string[], now: Date): Statement {
  return {
    name: 'deliveries_recover',
    text: `update deliveries
              set status = case when attempt_count = 0 then 'pending' else 'retrying' end,
                  tries = 0, next_attempt_at = $3, requested_at = null, completed_at = null
            where tenant_id = $1 and id = any($2::uuid[])`,
    values: [tenantId, ids, now],
  };
}
