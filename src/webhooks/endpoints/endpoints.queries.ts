/** Endpoints as the API shows them: PostgreSQL builds their JSON, so that lists, events and responses cannot differ. */
import { firstRows } from '../../platform/database/sql/first-rows';
import { jsonTime } from '../../platform/database/sql/json';
import type { Row, SqlValue, Statement } from '../../platform/database/sql/statement';
import { MAX_PAGE } from '../../platform/http/requests/fields';
import type { PartsColumns } from './endpoint-parts';

/**
 * An endpoint `p` as the API and events show it. The row is masked already; a row that a release before this one wrote
 * is masked here.
 */
const SETTINGS_JSON = `json_build_object(
    'id', p.id, 'url', regexp_replace(p.url, '\\?.*$', '?***'), 'description', p.description, 'event_types', p.event_types,
    'headers', (select coalesce(json_object_agg(name, '***'), '{}') from jsonb_object_keys(p.headers) as name),
    'rate_limit', p.rate_limit, 'ordering', p.ordering, 'signature', p.signature, 'enabled', p.enabled,
    'disabled_reason', p.disabled_reason, 'version', p.version,
    'created_at', ${jsonTime('p.created_at')}, 'updated_at', ${jsonTime('p.updated_at')})::text`;

/** With `consent` until the receiver consents. */
const ENDPOINT_JSON = `case when p.consent = 'pending' then left(${SETTINGS_JSON}, -1) || ', "consent" : "pending"}'
         else ${SETTINGS_JSON} end`;

/** An endpoint as the API shows it, with the columns that access to it and its version depend on. */
export interface ShownEndpoint extends Row {
  version: number;
  event_types: string[];
  json: string;
}

export function findEndpointJson(tenantId: string, id: string): Statement {
  return {
    name: 'endpoint_json',
    text: `select p.version, p.event_types, ${ENDPOINT_JSON} as json
             from webhook_endpoints p where p.tenant_id = $1 and p.id = $2`,
    values: [tenantId, id],
  };
}

/** The page after `afterId`, newest first; ask for one more than the page holds. */
export function listEndpointsJson(tenantId: string, afterId: string | undefined, limit: number): Statement {
  const values: SqlValue[] = afterId === undefined ? [tenantId, limit] : [tenantId, limit, afterId];
  const query = `select p.id, ${ENDPOINT_JSON} as json from webhook_endpoints p
                  where p.tenant_id = $1${afterId === undefined ? '' : ' and p.id < $3'}`;
  return {
    name: afterId === undefined ? 'endpoints_first' : 'endpoints_next',
    text: firstRows(query, 'p.id desc', MAX_PAGE + 1, '$2'),
    values,
  };
}

/** Serializes the creation of a tenant's endpoints, so that their number can be checked. */
export function lockEndpointCount(tenantId: string): Statement {
  return {
    name: 'endpoints_count_lock',
    text: `select pg_advisory_xact_lock(hashtextextended('webhook_endpoints/' || $1::text, 7))`,
    values: [tenantId],
  };
}

/** The URLs of a tenant's endpoints, without query strings. */
export function listEndpointUrls(tenantId: string): Statement {
  return {
    name: 'endpoint_urls',
    text: 'select id, url from webhook_endpoints where tenant_id = $1',
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
 * Checks that an endpoint exists and is enabled. Changes by users wait until this transaction ends; updates by the
 * worker do not.
 */
export function lockEndpointForShare(tenantId: string, id: string): Statement {
  return {
    name: 'endpoint_hold',
    text: 'select enabled from webhook_endpoints where tenant_id = $1 and id = $2 for key share',
    values: [tenantId, id],
  };
}

/** How an endpoint has failed of late. */
export interface Failures extends Row {
  /** An attempt failed on each of the last three days. */
  each_day: boolean;
  /** The newest sent delivery has failed finally. */
  used_up: boolean;
}

export function findFailures(tenantId: string, id: string, now: Date): Statement {
  const failedOn = (daysAgo: number) => `exists (
    select from delivery_attempts a
     where a.tenant_id = $1 and a.endpoint_id = $2 and not a.succeeded
       and a.started_at > $3::timestamptz - interval '${daysAgo + 1} days'
       and a.started_at <= $3::timestamptz - interval '${daysAgo} days')`;
  return {
    name: 'endpoint_failures',
    text: `select ${[0, 1, 2].map(failedOn).join(' and ')} as each_day,
                  coalesce((select d.status from delivery_attempts a
                              join deliveries d on d.tenant_id = $1 and d.id = a.delivery_id
                             where a.tenant_id = $1 and a.endpoint_id = $2 and a.number = 1
                             order by a.started_at desc limit 1) = 'failed', false) as used_up`,
    values: [tenantId, id, now],
  };
}

/** Disables an enabled endpoint without a success since `failingSince`, if that is set. */
export function disableEndpoint(
  tenantId: string,
  id: string,
  reason: string,
  now: Date,
  failingSince: Date | null,
): Statement {
  return {
    name: 'endpoint_disable',
    text: `update webhook_endpoints
              set enabled = false, disabled_reason = $3, version = version + 1, updated_at = $4
            where tenant_id = $1 and id = $2 and enabled
              and ($5::timestamptz is null or not exists (
                select 1 from delivery_attempts a
                 where a.tenant_id = $1 and a.endpoint_id = $2 and a.started_at >= $5 and a.succeeded))
           returning url`,
    values: [tenantId, id, reason, now, failingSince],
  };
}

/** Ends deliveries of a removed or disabled endpoint, which will not be sent; a bounded number at a time. */
export function endWaiting(
  tenantId: string,
  endpointId: string,
  status: 'cancelled' | 'disabled',
  now: Date,
  limit: number,
): Statement {
  return {
    name: 'deliveries_end_waiting',
    text: `update deliveries set status = $3, next_attempt_at = null, completed_at = $4
            where tenant_id = $1 and id in (
              select id from deliveries
               where tenant_id = $1 and endpoint_id = $2 and status in ('pending', 'retrying')
                 and ($3 = 'cancelled' or requested_at is null)
               limit $5 for update skip locked)
           returning id`,
    values: [tenantId, endpointId, status, now, limit],
  };
}

/** The clear values of a row from before encryption. */
const IS_CLEAR = `encrypted_parts is null and (headers <> '{}' or position('?' in url) > 0)`;

/** An endpoint with a clear URL and headers. */
export interface UnencryptedRow extends Row {
  id: string;
  url: string;
  headers: Record<string, string>;
}

/** Tenants with such endpoints, for the role whose policy shows no others. */
export function findUnencrypted(limit: number): Statement {
  return {
    name: 'endpoints_unencrypted',
    text: 'select tenant_id from webhook_endpoints limit $1',
    values: [limit],
  };
}

export function lockUnencrypted(tenantId: string, limit: number): Statement {
  return {
    name: 'endpoints_lock_unencrypted',
    text: `select id, url, headers from webhook_endpoints
            where tenant_id = $1 and ${IS_CLEAR} order by id limit $2 for update`,
    values: [tenantId, limit],
  };
}

export function replaceParts(tenantId: string, id: string, { url, headers, encryptedParts }: PartsColumns): Statement {
  return {
    name: 'endpoint_replace_parts',
    text: `update webhook_endpoints set url = $3, headers = $4, encrypted_parts = $5 where tenant_id = $1 and id = $2`,
    values: [tenantId, id, url, JSON.stringify(headers), encryptedParts],
  };
}

/** Takes a receiver's consent, where this is still the challenge. */
export function giveConsent(tenantId: string, id: string, challenge: string, now: Date): Statement {
  return {
    name: 'endpoint_give_consent',
    text: `update webhook_endpoints set consent = 'given', challenge = null, version = version + 1, updated_at = $4
            where tenant_id = $1 and id = $2 and challenge = $3`,
    values: [tenantId, id, challenge, now],
  };
}
