/**
 * The baseline: the highest rate of these requests that is possible here. One file with Fastify and pg, every known
 * optimization (named prepared statements, pipelined connections, one statement each, JSON made by PostgreSQL and sent
 * as it is), and no feature of a service: no row-level security (it connects as the tables' owner), no verified tokens
 * (a plain map), no limits, no log, no idempotency, no validation beyond the needs of the row.
 *
 * It writes the same rows and returns the same responses as the service; `check.mjs` compares the two.
 *
 *   DATABASE_URL=… PORT=… CALLERS=callers.json node --max-semi-space-size=64 bench/baseline.mjs
 */
import { randomFillSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import Fastify from 'fastify';
import pg from 'pg';
import { V7Generator } from 'uuidv7';
import { auditValues, INSERT_AUDIT } from './baseline-audit.mjs';

const READ_CONNECTIONS = Number(process.env.READ_CONNECTIONS ?? 2);
const WRITE_CONNECTIONS = Number(process.env.WRITE_CONNECTIONS ?? 6);
const JSON_TYPE = 'application/json; charset=utf-8';

const time = (column) => `to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;
/** The text of an order `o`, joined: json_build_object and json_agg take PostgreSQL half as long again. */
const ORDER = `'{"id" : "' || o.id || '", "customer_id" : "' || o.customer_id || '", "status" : "' || o.status
  || '", "total_amount" : "' || o.total_amount || '", "currency" : "' || o.currency
  || '", "notes" : ' || coalesce(to_json(o.notes)::text, 'null') || ', "metadata" : ' || o.metadata
  || ', "items" : [' || coalesce((
    select string_agg('{"id" : "' || i.id || '", "product_id" : ' || to_json(i.product_id)
        || ', "product_name" : ' || to_json(i.product_name) || ', "quantity" : ' || i.quantity
        || ', "unit_price" : "' || i.unit_price || '"}', ', ' order by i.position)
      from order_items i where i.tenant_id = $1 and i.order_id = o.id), '')
  || '], "version" : ' || o.version
  || ', "created_at" : "' || ${time('o.created_at')} || '", "updated_at" : "' || ${time('o.updated_at')} || '"}'`;

const GET = `select o.version, ${ORDER} as json from orders o where o.tenant_id = $1 and o.id = $2`;
/** With a constant limit inside, PostgreSQL keeps the plan: for an unknown one it plans each execution. */
const page = (condition) => `select * from (
  select o.id, ${ORDER} as json from orders o where o.tenant_id = $1${condition} order by o.id desc limit 21) first limit $2`;
const FIRST = page('');
const NEXT = page(' and o.id < $3');
const CREATE = `
  with o as (
    insert into orders (tenant_id, id, customer_id, status, total_amount, currency, notes, metadata, version,
                        created_at, updated_at)
    values ($1, $2, $3, 'pending', $4, $5, $6, $7, 1, $8, $8)
  ), h as (
    insert into order_history (tenant_id, order_id, id, type, from_status, to_status, actor_type, actor_id, created_at)
    values ($1, $2, $9, 'order.created', null, 'pending', 'user', $10, $8)
  ), e as (
    insert into events (tenant_id, id, type, aggregate_id, sequence, data, created_at)
    values ($1, $16, 'order.created', $2, 1, $17, $8)
  ), x as (
    insert into outbox (tenant_id, event_id) values ($1, $16)
  )
  insert into order_items (tenant_id, order_id, position, id, product_id, product_name, quantity, unit_price)
  select $1::uuid, $2::uuid, i.n - 1, i.id, i.product_id, i.product_name, i.quantity, i.unit_price
    from unnest($11::uuid[], $12::text[], $13::text[], $14::int[], $15::numeric[])
      with ordinality as i (id, product_id, product_name, quantity, unit_price, n)`;

/**
 * A change in one statement: lock, update, a line of history, an event with the order as it is then, its place in the
 * outbox. `set` and `condition` may use $7 and $8; `was` is the order before; `also` are further parts.
 */
const change = (set, condition, also = '') => `
  with was as (
    select * from orders where tenant_id = $1 and id = $2 for update
  ), o as (
    update orders t set ${set}, version = t.version + 1, updated_at = $3 from was
     where t.tenant_id = $1 and t.id = $2 and ${condition}
    returning t.*, was.status as from_status
  ), j as (
    select o.version, ${ORDER} as json from o
  ), h as (
    insert into order_history (tenant_id, order_id, id, type, from_status, to_status, actor_type, actor_id, created_at)
    select $1, $2, $4, $9, o.from_status, o.status, 'user', $5, $3 from o
  ), e as (
    insert into events (tenant_id, id, type, aggregate_id, sequence, data, created_at)
    select $1, $6, $9, $2, j.version, j.json::json, $3 from j
  ), x as (
    insert into outbox (tenant_id, event_id) select $1, $6 from o
  )${also}
  select version, json from j`;
const UPDATE = change(
  `notes = $7::text, metadata = jsonb_strip_nulls(t.metadata || $8::jsonb)`,
  `(was.notes, was.metadata) is distinct from ($7::text, jsonb_strip_nulls(was.metadata || $8::jsonb))`,
);
const MOVE = change('status = $7', 'was.status = any($8)', `, ${INSERT_AUDIT}`);
const SOURCES = {
  confirmed: ['pending'],
  processing: ['confirmed'],
  completed: ['processing'],
  cancelled: ['pending', 'confirmed', 'processing'],
};

/** Random bytes in blocks: the system call is most of an id's cost. */
const random = new Uint32Array(1024);
let used = random.length;
const generator = new V7Generator({
  nextUint32() {
    if (used === random.length) {
      randomFillSync(random);
      used = 0;
    }
    return random[used++];
  },
});
const uuidv7 = () => generator.generate().toString();

/**
 * Connections that take statements without waiting for the answer before. A statement takes the one that begins it the
 * soonest: a backend that gets little of the processor takes several times as long for each.
 */
async function openConnections(count) {
  const connections = [];
  for (let i = 0; i < count; i++) {
    const client = new pg.Client({ connectionString: process.env.DATABASE_URL, pipeline: true });
    await client.connect();
    connections.push({ client, stream: client.connection.stream, inFlight: 0, begunAt: 0, mean: 0.001 });
  }
  let next = 0;
  const soonest = (now) => {
    next = next + 1 === count ? 0 : next + 1;
    let best;
    let shortest = Infinity;
    for (let i = 0; i < count; i++) {
      const connection = connections[(next + i) % count];
      const wait =
        connection.inFlight === 0
          ? 0
          : connection.inFlight * connection.mean + Math.max(0, now - connection.begunAt - connection.mean);
      if (wait < shortest) [best, shortest] = [connection, wait];
    }
    return best;
  };
  return async (name, text, values) => {
    const now = performance.now();
    const connection = soonest(now);
    const { client, stream } = connection;
    // The messages of one turn of the event loop are one write.
    if (stream.writableCorked === 0) {
      stream.cork();
      setImmediate(() => stream.uncork());
    }
    if (connection.inFlight++ === 0) connection.begunAt = now;
    try {
      return await client.query({ name, text, values });
    } finally {
      const ended = performance.now();
      connection.inFlight--;
      connection.mean += (ended - connection.begunAt - connection.mean) / 20;
      connection.begunAt = ended;
    }
  };
}

const read = await openConnections(READ_CONNECTIONS);
const write = await openConnections(WRITE_CONNECTIONS);

/** The claims that the service would find in a verified token, by its text. */
const callers = new Map(
  Object.entries(JSON.parse(readFileSync(process.env.CALLERS, 'utf8'))).map(([token, { tenantId, userId }]) => {
    const { sid: sessionId } = JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));
    return [token, { tenantId, userId, sessionId }];
  }),
);
const callerOf = (request) => callers.get(request.headers.authorization?.slice(7));

const server = Fastify({ keepAliveTimeout: 72_000 });
server.decorateRequest('caller', null);
server.addHook('onRequest', (request, reply, done) => {
  request.caller = callerOf(request);
  if (request.caller) done();
  else reply.code(401).send();
});

server.get('/api/v1/orders/:id', async (request, reply) => {
  const { rows } = await read('get', GET, [request.caller.tenantId, request.params.id]);
  if (rows.length === 0) return reply.code(404).send();
  reply.header('content-type', JSON_TYPE).header('etag', `"${rows[0].version}"`);
  return reply.send(rows[0].json);
});

server.get('/api/v1/orders', async (request, reply) => {
  const limit = Number(request.query.limit ?? 20);
  const { cursor } = request.query;
  const { rows } = cursor
    ? await read('next', NEXT, [request.caller.tenantId, limit + 1, cursor])
    : await read('first', FIRST, [request.caller.tenantId, limit + 1]);
  const hasMore = rows.length > limit;
  if (hasMore) rows.pop();
  let json = '{"data":[';
  for (let i = 0; i < rows.length; i++) json += i === 0 ? rows[i].json : `,${rows[i].json}`;
  const last = hasMore ? rows[rows.length - 1].id : null;
  if (last) reply.header('link', `</api/v1/orders?limit=${limit}&cursor=${last}>; rel="next"`);
  reply.header('content-type', JSON_TYPE);
  return reply.send(`${json}],"next_cursor":${last ? `"${last}"` : 'null'},"has_more":${hasMore}}`);
});

/** Cents of a price such as 29.99; the bench's orders are all in a currency of two digits. */
function cents(price) {
  const [whole, fraction = ''] = price.split('.');
  return Number(whole) * 100 + Number(fraction.padEnd(2, '0'));
}

function money(amount) {
  const digits = String(amount).padStart(3, '0');
  return `${digits.slice(0, -2)}.${digits.slice(-2)}`;
}

server.post('/api/v1/orders', async (request, reply) => {
  const { customer_id, items, currency, notes = null, metadata = {} } = request.body;
  const { tenantId, userId } = request.caller;
  const id = uuidv7();
  const at = new Date(parseInt(id.slice(0, 8) + id.slice(9, 13), 16)).toISOString();
  let total = 0;
  const lines = items.map(({ product_id, product_name, quantity, unit_price }) => {
    const price = cents(unit_price);
    total += price * quantity;
    return { id: uuidv7(), product_id, product_name, quantity, unit_price: money(price) };
  });
  const total_amount = money(total);
  const order = { id, customer_id, status: 'pending', total_amount, currency, notes, metadata, items: lines };
  const json = JSON.stringify({ ...order, version: 1, created_at: at, updated_at: at });
  await write('create', CREATE, [
    tenantId,
    id,
    customer_id,
    total_amount,
    currency,
    notes,
    JSON.stringify(metadata),
    at,
    uuidv7(),
    userId,
    lines.map((line) => line.id),
    lines.map((line) => line.product_id),
    lines.map((line) => line.product_name),
    lines.map((line) => line.quantity),
    lines.map((line) => line.unit_price),
    uuidv7(),
    json,
  ]);
  reply.code(201).header('content-type', JSON_TYPE).header('location', `/api/v1/orders/${id}`).header('etag', '"1"');
  return reply.send(json);
});

async function sendChanged(reply, name, text, values) {
  const { rows } = await write(name, text, values);
  if (rows.length === 0) return reply.code(422).send();
  return reply.header('content-type', JSON_TYPE).header('etag', `"${rows[0].version}"`).send(rows[0].json);
}

server.patch('/api/v1/orders/:id', (request, reply) => {
  const { notes = null, metadata = {} } = request.body;
  const { tenantId, userId } = request.caller;
  const at = new Date().toISOString();
  const values = [tenantId, request.params.id, at, uuidv7(), userId, uuidv7(), notes, JSON.stringify(metadata)];
  return sendChanged(reply, 'update', UPDATE, [...values, 'order.updated']);
});

server.patch('/api/v1/orders/:id/status', (request, reply) => {
  const { status } = request.body;
  const { tenantId, userId } = request.caller;
  const { id: orderId } = request.params;
  const at = new Date().toISOString();
  const values = [tenantId, orderId, at, uuidv7(), userId, uuidv7(), status, SOURCES[status], `order.${status}`];
  const { 'user-agent': userAgent } = request.headers;
  const audit = auditValues(request.caller, { orderId, id: uuidv7(), at, network: request.ip, userAgent });
  return sendChanged(reply, 'move', MOVE, [...values, ...audit]);
});

await server.listen({ host: '127.0.0.1', port: Number(process.env.PORT) });
process.on('SIGTERM', () => process.exit(0));
