/**
 * `npm run bench:webhooks`: rate, latency and fairness of webhooks, on both queues (see README.md).
 *
 *   --quick                   a short run, as a check of the bench
 *   --backends postgres,redis
 *   --only throughput,workers,idle,loaded,neighbour,million
 *   --rounds N                of the throughput, by turns with the baselines (3)
 *   --workers 1,2,4           numbers of workers, by turns
 *   --rate N                  events a second of `loaded` (half of the throughput with 10 endpoints)
 *   --write                   write the table into README.md
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createRequire } from 'node:module';
import { openPostgres, withClient } from './database.mjs';
import { ROOT, startService } from './processes.mjs';
import { machine, median, publish } from './report.mjs';
import { newOrder } from './scenarios.mjs';
import { hosts, startBaselines, startReceiver, startRedis } from './webhooks-processes.mjs';
import { webhooksTable } from './webhooks-report.mjs';
import * as scenarios from './webhooks-scenarios.mjs';
import { makeTenants } from './webhooks-seed.mjs';

const require = createRequire(import.meta.url);
const SERVICE_PASSWORD = 'bench';
const TENANTS = 50;
const SHAPES = [
  { tenants: 1, endpoints: 1 },
  { tenants: 10, endpoints: 10 },
  { tenants: 50, endpoints: 1_000 },
];

const say = (line) => process.stderr.write(`${line}\n`);

function options() {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      backends: { type: 'string', default: 'postgres,redis' },
      only: { type: 'string', default: 'throughput,workers,idle,loaded,neighbour,million' },
      rounds: { type: 'string' },
      count: { type: 'string' },
      shapes: { type: 'string', default: '1,10,1000' },
      workers: { type: 'string', default: '1,2,4' },
      rate: { type: 'string' },
      write: { type: 'boolean', default: false },
    },
  });
  const { quick } = values;
  return {
    ...values,
    backends: values.backends.split(','),
    only: new Set(values.only.split(',')),
    workers: values.workers.split(',').map(Number),
    shapes: SHAPES.filter(({ endpoints }) => values.shapes.split(',').includes(String(endpoints))),
    rounds: Number(values.rounds ?? (quick ? 1 : 3)),
    count: Number(values.count ?? (quick ? 3_000 : 10_000)),
    idle: { count: quick ? 50 : 200, pause: quick ? 30 : 60 },
    loadedSeconds: quick ? 4 : 15,
    neighbour: { waiting: 1_000, count: quick ? 60 : 200, pause: 40, rounds: quick ? 1 : 3 },
    million: { count: quick ? 50_000 : 1_000_000, small: quick ? 3_000 : 10_000, seconds: quick ? 8 : 30 },
  };
}

/**
 * The environment of a backend's scenarios: a separate database, tenants, one caller with a token, and the process of
 * the baselines.
 */
export async function openBackend(name, { postgres, receiver, redis }) {
  const { migrate } = require(join(ROOT, 'dist/src/platform/database/migrate/migrations.js'));
  const database = `webhooks_${name}`;
  const ownerUrl = postgres.url(database);
  const serviceUrl = Object.assign(new URL(ownerUrl), { username: 'app_service', password: SERVICE_PASSWORD }).href;
  await withClient(postgres.url('postgres'), async (client) => {
    await client.query(`drop database if exists ${database} with (force)`);
    await client.query(`create database ${database}`);
  });
  await migrate({ migrationUrl: ownerUrl, serviceUrl, statementTimeout: 15_000 });
  const env = redis ? { REDIS_URL: redis.url } : {};
  const startApi = () => startService(serviceUrl, join(postgres.dir, `api-${name}.log`), { DB_POOL_SIZE: '8' });
  const tenants = await withClient(ownerUrl, (client) => makeTenants(client, TENANTS));
  return {
    name,
    receiver,
    redis,
    ownerUrl,
    tenants,
    caller: await register(startApi),
    postmaster: postgres.postmaster,
    startApi,
    newOrder: () => JSON.stringify(newOrder((below) => Math.floor(Math.random() * below), tenants[0])),
    workerEnv: { DATABASE_URL: serviceUrl, ...env },
    workerLog: join(postgres.dir, `worker-${name}.log`),
    baseline: startBaselines({ DATABASE_URL: ownerUrl, ...env }),
  };
}

async function register(startApi) {
  const api = await startApi();
  try {
    const answer = await fetch(`${api.url}/api/v1/auth/register`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        email: 'owner@bench.example',
        password: 'a password for the bench',
        tenant_name: 'Bench',
      }),
    });
    if (!answer.ok) throw new Error(`register: ${answer.status} ${await answer.text()}`);
    const signedIn = await answer.json();
    return { tenantId: signedIn.tenant.id, token: signedIn.access_token };
  } finally {
    await api.stop();
  }
}

async function throughput(backend, { rounds, count, shapes }) {
  const results = [];
  for (let round = 0; round < rounds; round++) {
    const baselines = await scenarios.baselines(backend, count);
    sayRate(`${backend.name}  baseline: loop`, baselines.loop);
    sayRate(`${backend.name}  baseline: BullMQ alone`, baselines.bullmq);
    sayRate(`${backend.name}  baseline: BullMQ alone, added before`, baselines.added);
    const ours = [];
    for (const shape of shapes) {
      const result = await scenarios.throughput(backend, { ...shape, count });
      ours.push(result);
      const share = (baseline) => (result.perSecond / baseline.perSecond).toFixed(2);
      const shares = `${share(baselines.bullmq)} of BullMQ alone, ${share(baselines.loop)} of the loop`;
      sayRate(`${backend.name}  ${shape.endpoints} endpoints: ${shares}`, result);
    }
    results.push({ ...baselines, ours });
  }
  return {
    loop: median(results.map(({ loop }) => loop.perSecond)),
    bullmq: median(results.map(({ bullmq }) => bullmq.perSecond)),
    added: median(results.map(({ added }) => added.perSecond)),
    ours: shapes.map((shape, i) => ({
      ...shape,
      perSecond: median(results.map(({ ours }) => ours[i].perSecond)),
      share: median(results.map(({ ours, bullmq }) => ours[i].perSecond / bullmq.perSecond)),
      shareOfLoop: median(results.map(({ ours, loop }) => ours[i].perSecond / loop.perSecond)),
    })),
  };
}

/** The same load with one worker and with several, by turns; large enough that most of it runs compiled. */
async function severalWorkers(backend, { rounds, count, workers }) {
  const shape = SHAPES.at(-1);
  const results = workers.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (const [i, number] of workers.entries()) {
      const result = await scenarios.throughput(backend, { ...shape, count: 4 * count, workers: number });
      results[i].push(result);
      sayRate(`${backend.name}  ${number} worker${number > 1 ? 's' : ''}`, result);
    }
  }
  return workers.map((number, i) => ({
    workers: number,
    perSecond: median(results[i].map(({ perSecond }) => perSecond)),
    cpuMicros: median(results[i].map(({ cpuMicros }) => cpuMicros[0])),
    databaseMicros: median(results[i].map(({ cpuMicros }) => cpuMicros[1])),
    // Round by round, since the machine changes meanwhile.
    cpuRatio: median(results[i].map(({ cpuMicros }, round) => cpuMicros[0] / results[0][round].cpuMicros[0])),
  }));
}

function sayRate(what, { perSecond, cpuMicros }) {
  const cpu = cpuMicros.map((micros) => micros.toFixed(0)).join(' + ');
  say(
    `${what.padEnd(48)} ${perSecond.toFixed(0).padStart(6)}/s   CPU µs: sender + PostgreSQL + Redis + receiver = ${cpu}`,
  );
}

async function measure(backend, chosen) {
  const { only } = chosen;
  const result = {};
  if (only.has('throughput')) result.throughput = await throughput(backend, chosen);
  const step = async (name, work) => {
    if (!only.has(name)) return;
    result[name] = await work();
    say(
      `${backend.name}  ${name}: ${JSON.stringify(result[name], (_, v) => (typeof v === 'number' ? +v.toFixed(2) : v))}`,
    );
  };
  await step('workers', () => severalWorkers(backend, chosen));
  await step('idle', async () => ({
    one: await scenarios.idleLatency(backend, { ...chosen.idle, endpoints: 1 }),
    ten: await scenarios.idleLatency(backend, { ...chosen.idle, endpoints: 10 }),
  }));
  const full = result.throughput?.ours.find(({ endpoints }) => endpoints === 10)?.perSecond ?? 400;
  const perSecond = Number(chosen.rate ?? full / 2);
  await step('loaded', () => scenarios.loadedLatency(backend, { perSecond, seconds: chosen.loadedSeconds }));
  await step('neighbour', async () => ({
    one: await scenarios.noisyNeighbour(backend, { ...chosen.neighbour, tenants: 1, endpoints: 10 }),
    twenty: await scenarios.noisyNeighbour(backend, { ...chosen.neighbour, tenants: 20, endpoints: 20 }),
  }));
  await step('million', () => scenarios.million(backend, { ...chosen.million, say }));
  return result;
}

async function main() {
  const began = performance.now();
  const chosen = options();
  // Four workers with the queue in PostgreSQL open more connections than the 100 of `npm start`.
  const postgres = await openPostgres(undefined, say, { max_connections: '300' });
  const receiver = await startReceiver(hosts(1_000));
  const results = {};
  let redisVersion = '';
  try {
    for (const name of chosen.backends) {
      const redis = name === 'redis' ? await startRedis(postgres.dir, say) : undefined;
      if (name === 'redis' && !redis) continue;
      redisVersion = redis?.version ?? redisVersion;
      const backend = await openBackend(name, { postgres, receiver, redis });
      try {
        results[name] = await measure(backend, chosen);
      } finally {
        await backend.baseline.stop();
        await redis?.stop();
      }
    }
    const where = `${machine(postgres.version)} ${redisVersion && `Redis ${redisVersion}, append-only file written every second.`}`;
    publish('webhooks', `${where}\n\n${webhooksTable(results, chosen)}`, chosen.write);
    say(`\nTook ${Math.round((performance.now() - began) / 1000)} s.`);
  } finally {
    await receiver.stop();
    await postgres.stop();
  }
}

main().then(
  () => process.exit(),
  (error) => {
    say(String(error.stack ?? error).slice(0, 3000));
    process.exit(1);
  },
);
