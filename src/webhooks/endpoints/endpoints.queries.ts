/** Endpoints as the API shows them: their JSON is made by PostgreSQL, so that lists, events and answers cannot differ. */
import { jsonTime } from '../../platform/database/sql/json';
import type { SqlValue, Statement } from '../../platform/database/sql/statement';

const viewOf = (headers: string) => `json_build_object(
    'id', p.id, 'url', p.url, 'description', p.description, 'event_types', p.event_types, 'headers', ${headers},
    'rate_limit', p.rate_limit, 'ordering', p.ordering, 'signature', p.signature, 'enabled', p.enabled,
    'disabled_reason', p.disabled_reason, 'version', p.version,
    'created_at', ${jsonTime('p.created_at')}, 'updated_at', ${jsonTime('p.updated_at')})::text`;

const ENDPOINT_JSON = viewOf('p.headers');

/**
 * An endpoint `p` as the `data` of an event. The values of its headers, often credentials, are no business of the
 * endpoints that are sent the event.
 */
export const ENDPOINT_EVENT_JSON = viewOf(
  `(select coalesce(json_object_agg(name, '***'), '{}') from jsonb_object_keys(p.headers) as name)`,
);

export function findEndpointJson(tenantId: string, id: string): Statement {
  return {
    name: 'endpoint_json',
    text: `select p.version, ${ENDPOINT_JSON} as json from webhook_endpoints p where p.tenant_id = $1 and p.id = $2`,
    values: [tenantId, id],
  };
}

export function findEndpointEventJson(tenantId: string, id: string): Statement {
  return {
    name: 'endpoint_event_json',
    text: `select ${ENDPOINT_EVENT_JSON} as json from webhook_endpoints p where p.tenant_id = $1 and p.id = $2`,
    values: [tenantId, id],
  };
}

/** The page after `afterId`, newest first; ask for one more than the page holds. */
export function listEndpointsJson(tenantId: string, afterId: string | undefined, limit: number): Statement {
  const values: SqlValue[] = afterId === undefined ? [tenantId, limit] : [tenantId, limit, afterId];
  return {
    name: afterId === undefined ? 'endpoints_first' : 'endpoints_next',
    text: `select p.id, ${ENDPOINT_JSON} as json from webhook_endpoints p
            where p.tenant_id = $1${afterId === undefined ? '' : ' and p.id < $3'} order by p.id desc limit $2`,
    values,
  };
}

/** Lets one transaction at a time make endpoints of a tenant, so that their number can be counted. */
export function lockEndpointCount(tenantId: string): Statement {
  return {
    name: 'endpoints_count_lock',
    text: `select pg_advisory_xact_lock(hashtextextended('webhook_endpoints/' || $1::text, 7))`,
    values: [tenantId],
  };
}

export function countEndpoints(tenantId: string): Statement {
  return {
    name: 'endpoints_count',
    text: 'select count(*)::int as count from webhook_endpoints where tenant_id = $1',
    values: [tenantId],
  };
}

/**
 * Whether an endpoint is there and enabled; what a person does to it waits until this transaction ends, and what the
 * worker notes of it does not.
 */
export function holdEndpoint(tenantId: string, id: string): Statement {
  return {
    name: 'endpoint_hold',
    text: 'select enabled from webhook_endpoints where tenant_id = $1 and id = $2 for key share',
    values: [tenantId, id],
  };
}
