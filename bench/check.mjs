/**
 * Before the measurements: service and baseline must return the same responses and write the same rows. Otherwise the
 * comparison would be worthless, and the run ends.
 */
import { strict as assert } from 'node:assert';
import { randomUUID } from 'node:crypto';
import { withClient } from './database.mjs';
import { newOrder } from './scenarios.mjs';

const ID = /[0-9a-f]{8}-[0-9a-f]{4}-[47][0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/g;
const TIME = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g;

/** The values that the database generates. */
const ROW_TIME = /"\d{4}-\d\d-\d\dT[^"]*"/g;
const POSITION = /"position": \d+/;
const ENTRIES = 'select id from audit_log where target_id = $1::text';
/** All rows of an order, as text; of random bytes, their number. */
const ROWS = `
  select to_jsonb(o)::text as row from orders o where o.id = $1
  union all select * from (select to_jsonb(i)::text from order_items i where i.order_id = $1 order by position) as items
  union all select to_jsonb(h)::text from order_history h where h.order_id = $1
  union all select to_jsonb(e)::text from events e where e.aggregate_id = $1
  union all select to_jsonb(x)::text from outbox x where x.event_id in (select id from events where aggregate_id = $1)
  union all select (to_jsonb(a) || jsonb_build_object('canonical', octet_length(a.canonical)))::text
    from audit_log a where a.target_id = $1::text
  union all select (to_jsonb(p) || jsonb_build_object('salts', length(p.salts::text)))::text
    from audit_personal p where p.entry_id in (${ENTRIES})
  union all select to_jsonb(q)::text from audit_pending q where q.entry_id in (${ENTRIES})`;

/** The text without the parts that differ between any two orders. */
const timeless = (text) => text.replace(ID, '<id>').replace(TIME, '<time>');

async function ask(server, token, path, body, method = body ? 'POST' : 'GET') {
  const answer = await fetch(`${server.url}/api/v1${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, ...(body ? { 'content-type': 'application/json' } : {}) },
    body: body && JSON.stringify(body),
  });
  const { headers } = answer;
  const shown = ['content-type', 'etag', 'location'].map((name) => timeless(headers.get(name) ?? ''));
  return { status: answer.status, headers: shown, text: await answer.text() };
}

async function same(servers, token, path) {
  const [service, baseline] = await Promise.all(servers.map((server) => ask(server, token, path)));
  assert.deepEqual(baseline, service, `GET ${path}`);
}

/** Pages are equal except for the cursor, of which each server has its own kind. */
async function samePage(servers, tenant, deep) {
  const paths = ['service', 'baseline'].map((side) => `/orders${deep ? `?cursor=${tenant.cursor[side]}` : ''}`);
  const answers = await Promise.all(servers.map((server, i) => ask(server, tenant.token, paths[i])));
  const [service, baseline] = answers.map((answer) =>
    answer.text.replace(/"next_cursor":"[^"]*"/, '"next_cursor":"…"'),
  );
  assert.equal(baseline, service, `a page, ${deep ? 'deep' : 'first'}`);
  assert.equal(JSON.parse(service).data.length, 20);
  assert.match(service, /"next_cursor":"…","has_more":true/);
}

/** Both create the same order; the responses and the rows in the tables must be equal. */
async function sameOrder(servers, client, { token }) {
  const order = newOrder((below) => Math.floor(Math.random() * below), randomUUID());
  const answers = await Promise.all(servers.map((server) => ask(server, token, '/orders', order)));
  const [service, baseline] = answers.map((answer) => ({ ...answer, text: timeless(answer.text) }));
  assert.deepEqual(baseline, service, 'POST /orders');
  assert.equal(service.status, 201);
  const ids = answers.map(({ text }) => JSON.parse(text).id);
  // Itself, 3 items, a line of history, an event, its place in the outbox.
  await sameRows(client, ids, 7);
  // A line of history, an event, its place in the outbox; for a status an audit entry in three rows, too.
  const changes = [
    { path: '', change: { notes: 'Ring "twice"', metadata: { channel: null, coupon: 'ä' } }, added: 3 },
    { path: '/status', change: { status: 'confirmed' }, added: 6 },
    { path: '/status', change: { status: 'cancelled' }, added: 6 },
  ];
  let count = 7;
  for (const { path, change, added } of changes) {
    const changed = await Promise.all(
      servers.map((server, i) => ask(server, token, `/orders/${ids[i]}${path}`, change, 'PATCH')),
    );
    // The service writes the JSON of a change without blanks.
    const [first, second] = changed.map(({ text, ...rest }) => ({ ...rest, order: JSON.parse(timeless(text)) }));
    assert.deepEqual(second, first, `PATCH /orders/{id}${path}`);
    assert.equal(first.status, 200);
    await sameRows(client, ids, (count += added));
  }
}

/** The rows of two orders are the same, and so many. */
async function sameRows(client, ids, count) {
  const written = [];
  for (const id of ids) {
    const { rows } = await client.query(ROWS, [id]);
    const masked = rows.map(({ row }) =>
      timeless(row).replace(ROW_TIME, '"<time>"').replace(POSITION, '"position": 0'),
    );
    written.push(masked.sort());
    assert.equal(rows.length, count, `rows of order ${id}`);
  }
  assert.deepEqual(written[1], written[0], 'the rows of an order');
}

/** @throws AssertionError if the two differ */
export async function checkSame(service, baseline, fixtures, ownerUrl) {
  const servers = [service, baseline];
  const some = fixtures.tenants.filter((_, i) => i % 7 === 0);
  for (const tenant of some) {
    for (const id of tenant.orders.filter((_, i) => i % Math.ceil(tenant.orders.length / 10) === 0)) {
      await same(servers, tenant.token, `/orders/${id}`);
    }
  }
  for (const tenant of fixtures.tenants.filter((tenant) => tenant.large).slice(0, 5)) {
    await samePage(servers, tenant, false);
    await samePage(servers, tenant, true);
  }
  const foreign = fixtures.tenants[1].orders[0];
  for (const server of servers) {
    assert.equal((await ask(server, fixtures.tenants[0].token, `/orders/${foreign}`)).status, 404);
  }
  await withClient(ownerUrl, async (client) => {
    for (const tenant of some) await sameOrder(servers, client, tenant);
  });
}
