/** The statement that makes deliveries of events. */
import type { Statement } from '../../platform/database/sql/statement';
import type { RelayedEvent } from '../../platform/outbox/relay';
import type { SubscriberRow } from './dispatch.queries';
import { APART_FROM_ALL, TEST_EVENT } from '../event-types/event-type-names';

/** A delivery, its event and its endpoint; of an event that has none, null takes their places. */
export type FannedOutRow = RelayedEvent & SubscriberRow & FannedOut;

/** The result of an event for an endpoint: to be sent, not wanted, or kept while the endpoint is disabled. */
type FannedOut =
  { delivery_id: string; status: 'pending' | 'filtered' | 'disabled' } | { delivery_id: null; status: null };

const IS_APART = APART_FROM_ALL.map((prefix) => `starts_with(e.type, '${prefix}')`).join(' or ');

/** One of the endpoint's patterns (exact names, `order.*`, `*`) covers the type; no pattern covers `webhook.test`. */
const IS_SUBSCRIBED = `e.type <> '${TEST_EVENT}' and exists (
  select from unnest(p.event_types) as pattern
   where pattern = e.type or (pattern = '*' and not (${IS_APART})) or (right(pattern, 2) = '.*' and starts_with(e.type, left(pattern, -1))))`;

/** As `deliveryId` has it. */
const HASH = `encode(sha256(convert_to(e.id::text || '/' || p.id::text, 'UTF8')), 'hex')`;
const DELIVERY_ID = `(left(d.event_id::text, 13) || '-7' || left(d.hash, 3)
  || '-' || translate(substr(d.hash, 4, 1), '0123456789abcdef', '89ab89ab89ab89ab') || substr(d.hash, 5, 3)
  || '-' || substr(d.hash, 8, 12))::uuid`;

/**
 * Takes the first events of a tenant out of the outbox and writes a delivery for each of its endpoints, or for the one
 * that an event is for alone; those that are there already stay as they are. One statement, which is a transaction: an
 * event has left the outbox when its deliveries are there. What another relay holds is passed over.
 * @param deliveries about how many are made at most, and those of one event in any case
 */
export function fanOut(tenantId: string, events: number, deliveries: number, now: Date): Statement {
  return {
    name: 'outbox_fan_out',
    text: `with taken as (
             delete from outbox where tenant_id = $1 and position in (
               select position from outbox where tenant_id = $1 order by position
                limit (select greatest(1, least($2::int, $3::int / greatest(1, count(*))))
                         from webhook_endpoints where tenant_id = $1)
                  for update skip locked)
             returning position, event_id, endpoint_id
           ), pair as (
             select t.position, e.id as event_id, e.type as event_type, e.aggregate_id, e.sequence, e.created_at, e.traceparent,
                    p.id, p.enabled, p.rate_limit, p.ordering, ${HASH} as hash,
                    case when t.endpoint_id is not null then 'pending'
                         when not (${IS_SUBSCRIBED}) then 'filtered'
                         when p.enabled then 'pending'
                         else 'disabled' end as status
               from taken t
               join events e on e.tenant_id = $1 and e.id = t.event_id
               left join webhook_endpoints p on p.tenant_id = $1 and (t.endpoint_id is null or p.id = t.endpoint_id)
           ), delivery as materialized (
             select d.*, case when d.id is not null then ${DELIVERY_ID} end as delivery_id from pair d
           ), written as (
             insert into deliveries (tenant_id, id, endpoint_id, event_id, event_type, aggregate_id, sequence, status,
                                     attempt_count, tries, next_attempt_at, created_at, completed_at)
             select $1::uuid, delivery_id, id, event_id, event_type, aggregate_id, sequence, status, 0, 0,
                    case when status = 'pending' then $4::timestamptz end, created_at,
                    case when status <> 'pending' then $4::timestamptz end
               from delivery where delivery_id is not null
             on conflict (tenant_id, id) do nothing
           )
           select event_id, event_type, traceparent, delivery_id,
                  case when delivery_id is not null then status end as status, id, enabled, rate_limit, ordering
             from delivery order by position`,
    values: [tenantId, events, deliveries, now],
  };
}
