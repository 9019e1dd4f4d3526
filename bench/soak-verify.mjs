/** Reads what the soak's checks need from the database, and prints the history of a delivery. */
import { readFileSync } from 'node:fs';
import { withClient } from './database.mjs';

const AROUND_MS = 10_000;
const MOST_LINES = 40;
const LINE_LENGTH = 240;
/** The events of the load; signing in and endpoints emit others. */
const OURS = `(type like 'order.%' or type like 'soak.%')`;

/** The committed events of the load. @returns {Promise<import('./soak-checks.mjs').Event[]>} */
export async function readEvents(client) {
  const { rows } = await client.query(
    `select id, tenant_id as "tenantId", type, aggregate_id as "aggregateId", sequence, event_id as "eventId",
            extract(epoch from created_at) * 1000 as "createdAt" from events where ${OURS}`,
  );
  return rows;
}

/** The orders with their markers and the number and highest sequence of their events. */
export async function readOrders(client) {
  const { rows } = await client.query(
    `select o.id, o.metadata->>'soak' as marker, o.version, o.status, e.count::int as events, e.last
       from orders o
       left join (select tenant_id, aggregate_id, count(*), max(sequence) as last from events
                   where type like 'order.%' group by tenant_id, aggregate_id) e
         on e.tenant_id = o.tenant_id and e.aggregate_id = o.id`,
  );
  return rows;
}

/** When the success of each of these deliveries was committed. @returns {Promise<Map<string, number>>} by its id */
export async function readRecorded(client, deliveryIds) {
  const { rows } = await client.query(
    `select delivery_id, extract(epoch from min(pg_xact_commit_timestamp(xmin))) * 1000 as at
       from delivery_attempts where succeeded and delivery_id = any($1::uuid[]) group by delivery_id`,
    [deliveryIds],
  );
  return new Map(rows.map(({ delivery_id: id, at }) => [id, Number(at)]));
}

/** Deliveries of the load that have not ended, the oldest first. */
export async function readWaiting(client, olderThanMs = 0) {
  const { rows } = await client.query(
    `select id, status, extract(epoch from now() - created_at)::int as age from deliveries
      where status in ('pending', 'retrying') and created_at <= now() - $1 * interval '1 ms' order by created_at limit 1000`,
    [olderThanMs],
  );
  const { rows: outbox } = await client.query('select count(*)::int as count from outbox');
  return { deliveries: rows, outbox: outbox[0].count };
}

/** Deliveries that ended otherwise than with a success. */
export async function readFailed(client) {
  const { rows } = await client.query(
    `select d.id, d.status from deliveries d join events e on e.tenant_id = d.tenant_id and e.id = d.event_id
      where ${OURS} and d.status not in ('succeeded', 'filtered')`,
  );
  return rows;
}

/** The tables by size, with their rows, those of the queue too. */
export async function readTables(client) {
  const { rows } = await client.query(
    `select n.nspname || '.' || c.relname as name, pg_total_relation_size(c.oid)::float8 as bytes,
            pg_indexes_size(c.oid)::float8 as indexes, pg_stat_get_dead_tuples(c.oid)::int as dead
       from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where c.relkind = 'r' and n.nspname not in ('pg_catalog', 'information_schema') order by bytes desc`,
  );
  for (const row of rows) {
    const { rows: counted } = await client.query(`select count(*)::int as rows from ${row.name}`);
    row.rows = counted[0].rows;
  }
  const { rows: whole } = await client.query('select pg_database_size(current_database())::float8 as bytes');
  return { tables: rows, bytes: whole[0].bytes };
}

/**
 * The whole history of a delivery as text: its rows, when each was committed, its arrivals, the kills around it, and
 * the lines of all logs that name it.
 */
export async function historyOf({ ownerUrl, parts }, deliveryId, arrivals, kills) {
  const rows = await withClient(ownerUrl, async (client) => {
    const ask = async (text) => (await client.query(text, [deliveryId])).rows;
    return {
      delivery: await ask(`select *, pg_xact_commit_timestamp(xmin) as last_change from deliveries where id = $1`),
      event: await ask(
        `select e.id, e.type, e.aggregate_id, e.sequence, e.created_at, pg_xact_commit_timestamp(e.xmin) as committed
           from events e join deliveries d on d.tenant_id = e.tenant_id and d.event_id = e.id where d.id = $1`,
      ),
      attempts: await ask(
        `select *, pg_xact_commit_timestamp(xmin) as committed from delivery_attempts where delivery_id = $1 order by number`,
      ),
    };
  }).catch((error) => ({ unreadable: error.message }));
  const mine = arrivals.filter((arrival) => arrival.deliveryId === deliveryId);
  const times = [...mine.map(({ at }) => at), ...(rows.event ?? []).map(({ committed }) => committed?.getTime())];
  const [from, to] = [Math.min(...times) - AROUND_MS, Math.max(...times) + AROUND_MS];
  const show = ({ at, ...rest }) => ({ at: new Date(at).toISOString(), ...rest });
  const around = kills.filter(({ at, milliseconds = 0 }) => at + milliseconds >= from && at <= to);
  const lines = parts.flatMap((part) =>
    readFileSync(part.log, 'utf8')
      .split('\n')
      .filter((line) => line.includes(deliveryId))
      .map((line) => `${part.name}: ${shorten(line, deliveryId)}`),
  );
  const { unreadable = [], ...tables } = rows;
  const told = { ...tables, unreadable: [].concat(unreadable), arrivals: mine.map(show), kills: around.map(show) };
  const list = Object.entries(told).flatMap(([name, entries]) =>
    entries.map((entry) => `${name}: ${JSON.stringify(entry)}`),
  );
  return [`history of delivery ${deliveryId}:`, ...list, ...lines.slice(0, MOST_LINES)].join('\n  ');
}

/** A line of the log, without the other deliveries that it names. */
const shorten = (line, deliveryId) =>
  line.replace(/"delivery_ids":\[[^\]]*\]/, `"delivery_ids":["${deliveryId}",…]`).slice(0, LINE_LENGTH);
