/** The measurements of the webhooks bench, each on one backend. */
import { setTimeout as sleep } from 'node:timers/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import pg from 'pg';
import { withClient } from './database.mjs';
import { cpuSeconds, cpuSecondsOfChildren, residentMiB, ROOT } from './processes.mjs';
import { hosts, startWorker } from './webhooks-processes.mjs';
import { startAnew, makeDue, makeEndpoints, publishInBulk, publishOne } from './webhooks-seed.mjs';

const require = createRequire(import.meta.url);
const TIMEOUT_MS = 180_000;
const SLACK = 400;
/** The most events that are committed at once. */
const IN_FLIGHT = 64;

/** The environment of scenarios. @typedef {Awaited<ReturnType<typeof import('./webhooks.mjs').openBackend>>} Backend */

const now = () => Number(process.hrtime.bigint()) / 1e6;

export function quantile(values, share) {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

const quantiles = (values) => ({ p50: quantile(values, 0.5), p99: quantile(values, 0.99), count: values.length });

/** Arrivals a second, and the CPU per arrival of the senders, of PostgreSQL, of Redis and of the receiver. */
async function rate({ backend, pids, count, begin }) {
  const { receiver, postmaster, redis } = backend;
  const spent = () => [
    pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0),
    postmaster ? cpuSecondsOfChildren(postmaster) : NaN,
    redis ? cpuSeconds(redis.pid) : 0,
    cpuSeconds(receiver.pid),
  ];
  await receiver.ask('reset');
  const before = spent();
  await begin();
  const { first, last, repeated } = await receiver.arrived(count, TIMEOUT_MS);
  const cpuMicros = spent().map((seconds, i) => ((seconds - before[i]) * 1e6) / count);
  if (repeated > 0) throw new Error(`${repeated} webhooks arrived twice`);
  return { perSecond: (count - 1) / ((last - first) / 1000), cpuMicros };
}

/**
 * The baselines: the loop, and BullMQ alone. BullMQ runs once with jobs that are added while it processes them, as in
 * the service, and once with every job added before the measurement. An equal number of jobs runs before, so that Node
 * has compiled frequent code.
 */
export async function baselines(backend, count) {
  const { baseline, receiver } = backend;
  const url = `http://127.0.0.1:${receiver.port}/baseline`;
  const pids = [baseline.pid];
  await baseline.ask('loop', { count, url });
  const loop = await rate({ backend, pids, count, begin: () => baseline.ask('loop', { count, url }) });
  await baseline.ask('add', { count: 2 * count });
  await receiver.ask('reset');
  await baseline.ask('work', { url });
  await receiver.arrived(count, TIMEOUT_MS);
  // Some have arrived while the end of the warm-up was detected.
  const added = await rate({ backend, pids, count: count - SLACK, begin: async () => undefined });
  await sleep(1_000);
  const bullmq = await rate({ backend, pids, count, begin: () => baseline.ask('add', { count }) });
  await baseline.ask('stop');
  return { loop, bullmq, added };
}

/** Endpoints distributed over tenants; one per host. */
async function openEndpoints(backend, client, tenantCount, endpointCount, path = '/ok') {
  const urls = hosts(endpointCount).map((host) => `http://${host}:${backend.receiver.port}${path}`);
  return makeEndpoints(client, backend.tenants.slice(0, tenantCount), urls);
}

async function withWorker(backend, work) {
  return withWorkers(backend, 1, ([worker]) => work(worker));
}

/** The same with several workers that have divided the shards. */
async function withWorkers(backend, number, work) {
  const workers = [];
  try {
    for (let i = 0; i < number; i++) workers.push(await startWorker(backend.workerEnv, `${backend.workerLog}.${i}`));
    if (number > 1) await withClient(backend.ownerUrl, (client) => divided(client, number));
    return await work(workers);
  } finally {
    await Promise.all(workers.map((worker) => worker.stop()));
    await backend.redis?.flush();
  }
}

/** Waits until each worker has its part of the shards; the locks are those of lock-table.ts. */
async function divided(client, workers) {
  for (const deadline = now() + 30_000; ; await sleep(50)) {
    const { rows } = await client.query(
      `select count(*)::int as shards from pg_locks where locktype = 'advisory' and granted and objsubid = 2
          and classid = 726354014 and database = (select oid from pg_database where datname = current_database())
        group by pid`,
    );
    const parts = rows.map(({ shards }) => shards);
    if (parts.length === workers && Math.max(...parts) - Math.min(...parts) <= 1) return;
    if (now() > deadline) throw new Error(`the shards are not divided: ${parts.join(', ')}`);
  }
}

/** Deliveries a second with this number of endpoints and tenants; an equal number runs before, uncounted. */
export async function throughput(backend, { tenants, endpoints, count, workers = 1 }) {
  return withClient(backend.ownerUrl, async (client) => {
    await startAnew(client, backend.tenants);
    await openEndpoints(backend, client, tenants, endpoints);
    const perEvent = endpoints / tenants;
    const ids = backend.tenants.slice(0, tenants);
    return withWorkers(backend, workers, async (running) => {
      const pids = running.map(({ pid }) => pid);
      await backend.receiver.ask('reset');
      const events = Math.ceil(count / perEvent);
      await publishInBulk(client, ids, events);
      await backend.receiver.arrived(events * perEvent, TIMEOUT_MS);
      await sleep(300);
      return rate({ backend, pids, count: events * perEvent, begin: () => publishInBulk(client, ids, events) });
    });
  });
}

/** From commit to each arrival, joined by the event's key. */
async function latencies(backend, committed, arrivalsPerEvent = 1) {
  await backend.receiver.arrived(committed.size * arrivalsPerEvent, 30_000);
  const { arrivals } = await backend.receiver.ask('arrivals');
  return arrivals.filter(([key]) => committed.has(key)).map(([key, at]) => at - committed.get(key));
}

/** Announces events of these tenants as `Notifier` does. */
const announce = (client, tenantIds) =>
  client.query({ name: 'announce', text: `select pg_notify('outbox', $1)`, values: [[...tenantIds].join(',')] });

/**
 * Commits events one at a time, with pauses. @returns {Promise<Map<string, number>>} when each was committed, by its
 * key
 */
async function publishSlowly(client, tenantId, count, pause) {
  const committed = new Map();
  for (let i = 0; i < count; i++) {
    const id = await publishOne(client, tenantId);
    committed.set(id, now());
    await announce(client, [tenantId]);
    await sleep(pause * (0.5 + Math.random()));
  }
  return committed;
}

/** Idle: orders created one at a time through the API. Measured from the API's response, and from the request. */
export async function idleLatency(backend, { count, pause, endpoints }) {
  return withClient(backend.ownerUrl, async (client) => {
    await startAnew(client, backend.tenants);
    const { tenantId, token } = backend.caller;
    const urls = hosts(endpoints).map((host) => `http://${host}:${backend.receiver.port}/ok`);
    await makeEndpoints(client, [tenantId], urls);
    return withWorker(backend, async () => {
      const api = await backend.startApi();
      try {
        const create = async () => {
          const asked = now();
          const answer = await fetch(`${api.url}/api/v1/orders`, {
            method: 'POST',
            headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
            body: backend.newOrder(),
          });
          const answered = now();
          if (answer.status !== 201) throw new Error(`POST /orders: ${answer.status} ${await answer.text()}`);
          const { id } = await answer.json();
          await sleep(pause * (0.5 + Math.random()));
          return { id, asked, answered };
        };
        for (let i = 0; i < 40; i++) await create();
        await sleep(1_000);
        await backend.receiver.ask('reset');
        const made = [];
        for (let i = 0; i < count; i++) made.push(await create());
        const fromAnswer = await latencies(backend, new Map(made.map(({ id, answered }) => [id, answered])), endpoints);
        const fromRequest = await latencies(backend, new Map(made.map(({ id, asked }) => [id, asked])), endpoints);
        return { ...quantiles(fromAnswer), request: quantiles(fromRequest) };
      } finally {
        await api.stop();
      }
    });
  });
}

/** Under a steady load of so many events a second, one transaction each, over 10 endpoints of 10 tenants. */
export async function loadedLatency(backend, { perSecond, seconds }) {
  return withClient(backend.ownerUrl, async (client) => {
    await startAnew(client, backend.tenants);
    await openEndpoints(backend, client, 10, 10);
    const ids = backend.tenants.slice(0, 10);
    const publisher = new pg.Client({ connectionString: backend.ownerUrl, pipeline: true });
    await publisher.connect();
    try {
      return await withWorker(backend, async () => {
        await backend.receiver.ask('reset');
        const steady = await publishSteadily(publisher, client, ids, perSecond, 2);
        await backend.receiver.arrived(steady.size, 30_000);
        await backend.receiver.ask('reset');
        const committed = await publishSteadily(publisher, client, ids, perSecond, seconds);
        return { ...quantiles(await latencies(backend, committed)), perSecond };
      });
    } finally {
      await publisher.end();
    }
  });
}

/**
 * Commits events at a steady rate on one connection, and announces them on another one, at most every five
 * milliseconds: behind commits in flight an announcement would be late.
 */
async function publishSteadily(publisher, announcer, ids, perSecond, seconds) {
  const committed = new Map();
  const unannounced = new Set();
  let announcing;
  const announceAll = async () => {
    while (unannounced.size > 0) {
      const tenants = [...unannounced];
      unannounced.clear();
      await announce(announcer, tenants);
      await sleep(5);
    }
    announcing = undefined;
  };
  const began = now();
  const total = Math.round(perSecond * seconds);
  let next = 0;
  const publish = async () => {
    while (next < total) {
      const i = next++;
      const early = (i * 1000) / perSecond - (now() - began);
      if (early > 0) await sleep(early);
      const tenantId = ids[i % ids.length];
      const id = await publishOne(publisher, tenantId);
      committed.set(id, now());
      unannounced.add(tenantId);
      announcing ??= announceAll();
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, publish));
  await announcing;
  const took = (now() - began) / 1000;
  if (took > seconds * 2) throw new Error(`the events took ${took.toFixed(1)} s in place of ${seconds} s`);
  return committed;
}

/**
 * A healthy endpoint's latency alone and during 1,000 deliveries that wait on hanging endpoints. Also: the delay of the
 * first delivery to a new endpoint while they hang.
 */
export async function noisyNeighbour(backend, { tenants, endpoints, waiting, count, pause, rounds }) {
  return withClient(backend.ownerUrl, async (client) => {
    await startAnew(client, backend.tenants);
    const [healthy, fresh, ...others] = backend.tenants;
    const noisy = others.slice(0, tenants);
    const url = (path) => `http://127.0.0.1:${backend.receiver.port}${path}`;
    await makeEndpoints(client, [healthy], [url('/ok')]);
    await makeEndpoints(
      client,
      noisy,
      hosts(endpoints).map((host) => `http://${host}:${backend.receiver.port}/hang`),
    );
    return withWorker(backend, async () => {
      const measure = async () => {
        await backend.receiver.ask('reset');
        return latencies(backend, await publishSlowly(client, healthy, count, pause));
      };
      await measure();
      const alone = [];
      for (let i = 0; i < rounds; i++) alone.push(await measure());
      await publishInBulk(client, noisy, Math.ceil(waiting / (endpoints / tenants)));
      await sleep(1_000);
      const beside = [];
      for (let i = 0; i < rounds; i++) beside.push(await measure());
      await makeEndpoints(client, [fresh], [url('/fresh')]);
      await backend.receiver.ask('reset');
      const [first] = await latencies(backend, await publishSlowly(client, fresh, 1, 1));
      return { alone: quantiles(alone.flat()), beside: quantiles(beside.flat()), fresh: first };
    });
  });
}

/** Memory and pace with a million deliveries due, and the pace with a small backlog of the same endpoints. */
export async function million(backend, { count, small, seconds, say }) {
  return withClient(backend.ownerUrl, async (client) => {
    const measure = async (due, span) => {
      await startAnew(client, backend.tenants);
      const endpoints = await openEndpoints(backend, client, 10, 20);
      await makeDue(client, endpoints, due, say);
      const pickMs = await pickTime(client, endpoints);
      await backend.receiver.ask('reset');
      return withWorker(backend, async ({ pid }) => {
        let peak = 0;
        const seen = [];
        const until = now() + span;
        await backend.receiver.arrived(1, TIMEOUT_MS);
        for (;;) {
          peak = Math.max(peak, residentMiB(pid));
          const summary = await backend.receiver.ask('summary');
          seen.push([now(), summary.count]);
          if (now() > until || summary.count >= due) break;
          await sleep(100);
        }
        return { peak, pickMs, seen };
      });
    };
    const few = await measure(small, 120_000);
    const many = await measure(count, seconds * 1000);
    const pace = (seen, from, to) => {
      const [a, b] = [seen[Math.floor((seen.length - 1) * from)], seen[Math.floor((seen.length - 1) * to)]];
      return ((b[1] - a[1]) / (b[0] - a[0])) * 1000;
    };
    return {
      small: pace(few.seen, 0.1, 0.9),
      start: pace(many.seen, 0.05, 0.5),
      end: pace(many.seen, 0.5, 1),
      peak: many.peak,
      pickSmall: few.pickMs,
      pick: many.pickMs,
    };
  });
}

/**
 * The duration of PostgreSQL's read of the head of an endpoint's queue: the median over all endpoints, ten times each.
 */
async function pickTime(client, endpoints) {
  const { readWaiting } = require(join(ROOT, 'dist/src/webhooks/dispatch/dispatch.queries.js'));
  const times = [];
  for (let i = 0; i < 10; i++) {
    for (const { tenantId, id } of endpoints) {
      const began = now();
      await client.query(readWaiting(tenantId, id, 'pending', false, 64));
      times.push(now() - began);
    }
  }
  return quantile(times, 0.5);
}
