/**
 * Fills a database with orders in bulk, by SQL, with the same rows as the service would write. Ids are UUIDv7 whose
 * time is the row's `created_at`, tenants are interleaved as over the years, every order has three items and the first
 * line of its history.
 */

export const ITEMS = 3;
/** Deep enough for page 1,000 of 20. */
const LARGE = 21_000;
const CHUNK = 500_000;
/** The newest seeded order is this old; the oldest, about three years. */
const NEWEST = Date.UTC(2026, 10, 1);
const SPAN_MS = 3 * 365 * 24 * 3600 * 1000;

/** `200k`, `10m`, `5000` as a number. */
export function parseScale(text) {
  const match = /^(\d+)([km]?)$/i.exec(text);
  if (!match) throw new Error(`--scale takes a number such as 200k or 10m, not '${text}'`);
  return Number(match[1]) * { '': 1, k: 1_000, m: 1_000_000 }[match[2].toLowerCase()];
}

/** How many of the tenants get enough orders for page 1,000; the others share the rest. */
export function largeTenants(orders, tenants) {
  return Math.max(1, Math.min(tenants, Math.floor((orders * 0.9) / LARGE)));
}

/** SQL for a UUIDv7 with this time (milliseconds) whose other bits come from a hash of `seed`. */
const uuidv7 = (milliseconds, seed) => `(
  select (lpad(to_hex(${milliseconds}), 12, '0') || '7' || substr(h, 1, 3)
          || substr('89ab', 1 + (ascii(substr(h, 4, 1)) & 3), 1) || substr(h, 5, 15))::uuid
    from md5(${seed}) as h)`;

/** Which tenant order `n` belongs to: one of the large ones nine times in ten, where not all are large. */
const tenantOf = (large, all) =>
  large === all
    ? `1 + n % ${all}`
    : `case when n % 10 < 9 then 1 + (n / 10 * 9 + n % 10) % ${large}
     else ${large} + 1 + (n / 10) % ${all - large} end`;

/** The statements that write orders `from` to `to - 1` of `orders`. */
function chunk(from, to, orders, large, tenants) {
  const at = `${NEWEST - SPAN_MS} + (n * ${SPAN_MS}::numeric / ${orders})::bigint`;
  const quantity = '(1 + (n + i) % 4)::int';
  const price = '(1 + (n * 37 + i * 11) % 90000 / 100.0)::numeric(9, 2)';
  const source = `
    create temporary table chunk on commit drop as
    select t.tenant_id, t.user_id, n, ms, to_timestamp(ms / 1000.0) as at, ${uuidv7('ms', `'order' || n`)} as id
      from (select n, ${at} as ms, ${tenantOf(large, tenants)} as tenant
              from generate_series(${from}::bigint, ${to - 1}) as n) as x
      join bench_tenants t on t.number = x.tenant`;
  const orderRows = `
    insert into orders (tenant_id, id, customer_id, status, total_amount, currency, notes, metadata, version,
                        created_at, updated_at)
    select tenant_id, id, ${uuidv7('1700000000000 + n % 500', `'customer' || n % 500`)}, 'pending',
           (select sum(${quantity} * ${price}) from generate_series(0, ${ITEMS - 1}) as i),
           'USD', case when n % 6 = 0 then 'Leave at the door' end,
           jsonb_build_object('channel', case when n % 2 = 0 then 'web' else 'phone' end), 1, at, at
      from chunk order by n`;
  const itemRows = `
    insert into order_items (tenant_id, order_id, position, id, product_id, product_name, quantity, unit_price)
    select tenant_id, id, i, ${uuidv7('ms', `'item' || n || '/' || i`)},
           'prod-' || (n + i) % 1000, 'Product number ' || (n + i) % 1000, ${quantity}, ${price}
      from chunk, generate_series(0, ${ITEMS - 1}) as i order by n, i`;
  const historyRows = `
    insert into order_history (tenant_id, order_id, id, type, from_status, to_status, actor_type, actor_id, created_at)
    select tenant_id, id, ${uuidv7('ms', `'history' || n`)}, 'order.created', null, 'pending', 'user', user_id, at
      from chunk order by n`;
  return [source, orderRows, itemRows, historyRows];
}

/** Indexes and keys of the tables that are filled: dropped before a large load, made again after it. */
async function definitions(client) {
  const tables = `'orders'::regclass, 'order_items'::regclass, 'order_history'::regclass`;
  const { rows } = await client.query(`
    select conrelid::regclass::text as "table", conname as name, pg_get_constraintdef(oid) as definition,
           contype = 'f' as late
      from pg_constraint where conrelid in (${tables}) and contype in ('p', 'f') order by conname`);
  const { rows: indexes } = await client.query(`
    select pg_get_indexdef(indexrelid) as definition, indexrelid::regclass::text as name from pg_index
     where indrelid in (${tables}) and not indisprimary`);
  return { constraints: rows, indexes };
}

/**
 * Writes the orders. @param {import('pg').Client} client as the tables' owner, a superuser
 * @param {{ orders: number, callers: { tenantId: string, userId: string }[], say: (line: string) => void }} options
 */
export async function seed(client, { orders, callers, say }) {
  const began = performance.now();
  const large = largeTenants(orders, callers.length);
  await client.query('create temporary table bench_tenants (number int, tenant_id uuid, user_id uuid)');
  await client.query(
    `insert into bench_tenants select n, t, u from unnest($1::uuid[], $2::uuid[]) with ordinality as x (t, u, n)`,
    [callers.map((caller) => caller.tenantId), callers.map((caller) => caller.userId)],
  );
  await client.query(`set synchronous_commit = off; set maintenance_work_mem = '1GB'; set work_mem = '256MB'`);
  const { constraints, indexes } = await definitions(client);
  const foreignFirst = [...constraints].sort((a, b) => Number(b.late) - Number(a.late));
  for (const { table, name } of foreignFirst) await client.query(`alter table ${table} drop constraint ${name}`);
  for (const { name } of indexes) await client.query(`drop index ${name}`);
  for (let from = 0; from < orders; from += CHUNK) {
    const to = Math.min(orders, from + CHUNK);
    await client.query('begin');
    for (const statement of chunk(from, to, orders, large, callers.length)) await client.query(statement);
    await client.query('commit');
    if (orders > CHUNK) say(`${to.toLocaleString('en')} orders written, ${seconds(began)}`);
  }
  for (const { definition } of indexes) await client.query(definition);
  const foreignLast = [...constraints].sort((a, b) => Number(a.late) - Number(b.late));
  for (const { table, name, definition } of foreignLast) {
    await client.query(`alter table ${table} add constraint ${name} ${definition}`);
  }
  await client.query('vacuum (analyze) orders, order_items, order_history');
  await client.query('reset all');
  await client.query('checkpoint');
  say(`Seeded ${orders.toLocaleString('en')} orders of ${callers.length} tenants in ${seconds(began)}`);
}

function seconds(since) {
  return `${((performance.now() - since) / 1000).toFixed(1)} s`;
}
