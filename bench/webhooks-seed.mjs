/** Rows for the webhooks bench, written in bulk by SQL, equal to those that the service would have written. */
import { randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { uuidv7 } from 'uuidv7';
import { JWT_SECRET, ROOT } from './processes.mjs';
import { EVENT_TYPE, REST_OF_DATA } from './webhooks-events.mjs';

const require = createRequire(import.meta.url);
const CHUNK = 20_000;
const PAST = 20_000;

const EVENTS = `
  insert into events (tenant_id, id, type, aggregate_id, sequence, data, created_at)
  select tenant_id, id, '${EVENT_TYPE}', id, 1, ('{"id":"' || id || '",' || $3)::json, now()
    from unnest($1::uuid[], $2::uuid[]) as e (tenant_id, id)`;

/** A created endpoint. @typedef {{ tenantId: string, id: string }} Endpoint */

/**
 * Deletes events, deliveries, endpoints and jobs of the PostgreSQL queue, and writes a past in their place, so that the
 * planner sees tables as they are in use and not as on the first day.
 */
export async function startAnew(client, tenantIds) {
  await client.query('truncate events, outbox, deliveries, delivery_attempts, webhook_endpoints cascade');
  const past = Array.from({ length: PAST }, () => uuidv7());
  const tenants = past.map((_, i) => tenantIds[i % tenantIds.length]);
  await client.query(EVENTS, [tenants, past, REST_OF_DATA]);
  await client.query(
    `insert into deliveries (tenant_id, id, endpoint_id, event_id, event_type, status, attempt_count, tries, created_at, completed_at)
     select tenant_id, id, tenant_id, id, '${EVENT_TYPE}', 'succeeded', 1, 1, now(), now()
       from unnest($1::uuid[], $2::uuid[]) as e (tenant_id, id)`,
    [tenants, past],
  );
  await client.query(
    `insert into delivery_attempts (tenant_id, delivery_id, number, endpoint_id, started_at, duration_ms, response_status, succeeded)
     select tenant_id, id, 1, endpoint_id, created_at, 5, 204, true from deliveries`,
  );
  await client.query('delete from bullmq.job');
  await client.query('delete from bullmq.event');
  await client.query('vacuum (analyze)');
}

/** Makes tenants. @returns {Promise<string[]>} their ids */
export async function makeTenants(client, count) {
  const ids = Array.from({ length: count }, () => randomUUID());
  await client.query(
    `insert into tenants (id, name, created_at) select id, 'Bench ' || n, now() from unnest($1::uuid[]) with ordinality as t (id, n)`,
    [ids],
  );
  return ids;
}

/**
 * Creates an endpoint for each URL, with a secret encrypted as in the service.
 * @param {string[]} tenantIds the owners, in turn @returns {Promise<Endpoint[]>}
 */
export async function makeEndpoints(client, tenantIds, urls) {
  const { secretBoxOf } = require(join(ROOT, 'dist/src/platform/crypto/secret-box.module.js'));
  const { secretContext } = require(join(ROOT, 'dist/src/webhooks/endpoints/endpoint-secrets.js'));
  const { newSecret } = require(join(ROOT, 'dist/src/webhooks/http-client/signature.js'));
  const box = secretBoxOf({ JWT_SECRET });
  const made = urls.map((url, i) => {
    const endpoint = { tenantId: tenantIds[i % tenantIds.length], id: uuidv7(), url };
    return { ...endpoint, secret: box.encrypt(newSecret(), secretContext(endpoint.tenantId, endpoint.id)) };
  });
  const column = (name) => made.map((endpoint) => endpoint[name]);
  await client.query(
    `insert into webhook_endpoints (tenant_id, id, url, event_types, headers, ordering, signature, secret, enabled, version,
                                    created_at, updated_at)
     select tenant_id, id, url, '{*}', '{}', 'none', 'v1', secret, true, 1, now(), now()
       from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[]) as e (tenant_id, id, url, secret)`,
    [column('tenantId'), column('id'), column('url'), column('secret')],
  );
  return made.map(({ tenantId, id }) => ({ tenantId, id }));
}

const OUTBOX = `insert into outbox (tenant_id, event_id) select * from unnest($1::uuid[], $2::uuid[])`;

/** Commits this number of events, of the tenants in turn, with their outbox rows and the notification of the leader. */
export async function publishInBulk(client, tenantIds, count) {
  const events = Array.from({ length: count }, () => uuidv7());
  const tenants = events.map((_, i) => tenantIds[i % tenantIds.length]);
  await client.query('begin');
  await client.query(EVENTS, [tenants, events, REST_OF_DATA]);
  await client.query(OUTBOX, [tenants, events]);
  await client.query(`notify outbox`);
  await client.query('commit');
}

/**
 * Commits one event as `Outbox.publish` does: one statement, and the notification after it. @returns {Promise<string>}
 * its id
 */
export async function publishOne(client, tenantId) {
  const id = uuidv7();
  await client.query({
    name: 'publish',
    text: `with e as (
             insert into events (tenant_id, id, type, aggregate_id, sequence, data, created_at)
             values ($1, $2::uuid, '${EVENT_TYPE}', $2, 1, ('{"id":"' || $2::uuid || '",' || $3::text)::json, now())
           ) insert into outbox (tenant_id, event_id) values ($1, $2)`,
    values: [tenantId, id, REST_OF_DATA],
  });
  return id;
}

/** Writes deliveries that are due, and their events, as if the relay had been: past the outbox. Indexes and all. */
export async function makeDue(client, endpoints, count, say) {
  const { deliveryId } = require(join(ROOT, 'dist/src/webhooks/deliveries/delivery-id.js'));
  const byTenant = groupByTenant(endpoints);
  const tenants = [...byTenant.keys()];
  const each = endpoints.length / tenants.length;
  await client.query(`set synchronous_commit = off; set session_replication_role = replica`);
  for (let made = 0; made < count;) {
    const size = Math.min(CHUNK, Math.ceil((count - made) / each));
    const events = Array.from({ length: size }, (_, i) => ({ id: uuidv7(), tenant: tenants[i % tenants.length] }));
    const due = events.flatMap(({ id, tenant }) =>
      byTenant.get(tenant).map((endpoint) => [tenant, deliveryId(id, endpoint.id), endpoint.id, id]),
    );
    await client.query(EVENTS, [events.map((event) => event.tenant), events.map((event) => event.id), REST_OF_DATA]);
    await client.query(
      `insert into deliveries (tenant_id, id, endpoint_id, event_id, event_type, aggregate_id, sequence, status,
                               attempt_count, tries, next_attempt_at, created_at)
       select tenant_id, id, endpoint_id, event_id, '${EVENT_TYPE}', event_id, 1, 'pending', 0, 0, now(), now()
         from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[]) as d (tenant_id, id, endpoint_id, event_id)`,
      [0, 1, 2, 3].map((column) => due.map((row) => row[column])),
    );
    made += due.length;
    if (made % 200_000 < due.length) say(`  ${made.toLocaleString('en')} deliveries written`);
  }
  await client.query(`reset session_replication_role; reset synchronous_commit`);
  await client.query('vacuum (analyze) events, deliveries');
}

function groupByTenant(endpoints) {
  const groups = new Map();
  for (const endpoint of endpoints) groups.set(endpoint.tenantId, [...(groups.get(endpoint.tenantId) ?? []), endpoint]);
  return groups;
}
