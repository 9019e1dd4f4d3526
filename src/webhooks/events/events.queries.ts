/** Events as the API shows them. */
import { firstRows } from '../../platform/database/sql/first-rows';
import { jsonTime } from '../../platform/database/sql/json';
import type { SqlValue, Statement } from '../../platform/database/sql/statement';
import { MAX_PAGE } from '../../platform/http/requests/fields';
import { type JsonRow, PAGE_BYTES } from '../../platform/http/responses/results';
import { DELIVERY_JSON, notHidden } from '../deliveries/deliveries.queries';
import { SHOWN_DELIVERIES } from './events.views';

/** Events `e` with the first of their deliveries, unsent ones last. */
const EVENT_JSON = `json_build_object(
    'id', e.id, 'type', e.type, 'timestamp', ${jsonTime('e.created_at')}, 'data', e.data,
    'aggregate_id', e.aggregate_id, 'sequence', e.sequence, 'event_id', e.event_id,
    'filtered_count', coalesce(e.filtered_count, (select count(*) from deliveries f
        where f.tenant_id = $1 and f.event_id = e.id and f.status = 'filtered')),
    'deliveries', shown.deliveries, 'has_more_deliveries', shown.count > ${SHOWN_DELIVERIES})::text`;

const WITH_DELIVERIES = `cross join lateral (
    select coalesce(json_agg(${DELIVERY_JSON} order by d.place) filter (where d.place <= ${SHOWN_DELIVERIES}), '[]') as deliveries,
           count(*) as count
      from (select *, row_number() over () as place
              from (select * from deliveries where tenant_id = $1 and event_id = e.id
                     order by status = 'filtered', id limit ${SHOWN_DELIVERIES + 1}) first) d) as shown`;

/** An event as the API shows it, with its type, on which access to it depends. */
export interface ShownEvent extends JsonRow {
  type: string;
}

export function findEventJson(tenantId: string, id: string): Statement {
  return {
    name: 'event_json',
    text: `select e.id, e.type, ${EVENT_JSON} as json from events e ${WITH_DELIVERIES}
            where e.tenant_id = $1 and e.id = $2`,
    values: [tenantId, id],
  };
}

/** The event that has the caller's own id. */
export function findEventByOwnId(tenantId: string, eventId: string): Statement {
  return {
    name: 'event_json_by_own_id',
    text: `select e.id, ${EVENT_JSON} as json from events e ${WITH_DELIVERIES}
            where e.tenant_id = $1 and e.event_id = $2`,
    values: [tenantId, eventId],
  };
}

/** The page after `afterId`, newest first; ask for one more than the page holds. Rows beyond the page stay out. */
export function listEventsJson(
  tenantId: string,
  type: string | undefined,
  hidden: readonly string[],
  afterId: string | undefined,
  limit: number,
): Statement {
  const values: SqlValue[] = [tenantId, limit];
  const conditions = ['tenant_id = $1'];
  if (type !== undefined) conditions.push(`type = $${values.push(type)}`);
  if (hidden.length > 0) conditions.push(notHidden('type', values.push(hidden)));
  if (afterId !== undefined) conditions.push(`id < $${values.push(afterId)}`);
  const query = `select * from events where ${conditions.join(' and ')}`;
  return {
    name: `events_list${type === undefined ? '' : '_type'}${hidden.length === 0 ? '' : '_open'}${afterId === undefined ? '' : '_after'}`,
    text: `select e.id, ${EVENT_JSON} as json
             from (select *, sum(octet_length(data::text)) over (order by id desc) - octet_length(data::text) as bytes_before
                     from (${firstRows(query, 'id desc', MAX_PAGE + 1, '$2')}) page) e
                  ${WITH_DELIVERIES}
            where e.bytes_before <= ${PAGE_BYTES}
            order by e.id desc`,
    values,
  };
}
