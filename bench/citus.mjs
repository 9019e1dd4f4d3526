/**
 * `npm run bench:citus`: what Citus costs, and what routing to the server of a tenant gains. The same requests by
 * turns to the service on plain PostgreSQL, on one server of Citus, on several, and on several with
 * `DATABASE_ROUTING=node`.
 *
 *   --quick                        a short run on few orders, as a check of the bench
 *   --only create,get,list,deliveries
 *   --scale 50k                    the number of orders
 *   --rounds, --seconds, --connections
 *   --count                        deliveries of a round
 *   --write                        write the table into README.md
 *
 * BENCH_CITUS_URLS: superuser's URLs of the coordinator and the other servers, comma-separated, `trust` between them.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createSides, dropSides } from './citus-databases.mjs';
import { makeFixtures } from './fixtures.mjs';
import { startGenerator } from './generator.mjs';
import { startService } from './processes.mjs';
import { machine, median, medians, publish, row, whole } from './report.mjs';
import { newOrder, SCENARIOS } from './scenarios.mjs';
import { parseScale } from './seed.mjs';
import { hosts, startReceiver } from './webhooks-processes.mjs';
import { throughput } from './webhooks-scenarios.mjs';

const SHAPE = { tenants: 10, endpoints: 10 };
/** The least share of plain PostgreSQL that is to remain, by the name of a side and of a scenario. */
const GOALS = {
  'one server': { create: 0.6, get: 0.4, list: 0.5, deliveries: 0.85 },
  'by node': { get: 0.6 },
};
/** A side that answers late is measured, and refuses nothing. */
const NEVER_SHEDS = { SHED_EVENT_LOOP_LAG: '0', SHED_POOL_WAIT: '0' };
const say = (line) => process.stderr.write(`${line}\n`);

function options() {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string', default: 'create,get,list,deliveries' },
      scale: { type: 'string' },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      connections: { type: 'string', default: '32' },
      count: { type: 'string' },
      write: { type: 'boolean', default: false },
    },
  });
  const { quick } = values;
  const urls = (process.env.BENCH_CITUS_URLS ?? '').split(',').filter(Boolean);
  if (urls.length === 0) throw new Error('set BENCH_CITUS_URLS to the coordinator and the other servers of a Citus');
  return {
    ...values,
    urls,
    only: values.only.split(','),
    orders: parseScale(values.scale ?? '25k'),
    rounds: Number(values.rounds ?? (quick ? 1 : 5)),
    duration: Number(values.seconds ?? (quick ? 0.5 : 4)) * 1000,
    warmup: quick ? 300 : 1000,
    connections: Number(values.connections),
    count: Number(values.count ?? (quick ? 1_000 : 5_000)),
  };
}

/** Requests of each kind to each side, in an order that changes with the round. @returns the results by scenario */
async function measureRequests(sides, dir, { only, rounds, ...job }) {
  const scenarios = only.filter((name) => name in SCENARIOS);
  const generator = startGenerator();
  const results = Object.fromEntries(scenarios.map((scenario) => [scenario, sides.map(() => [])]));
  const services = [];
  try {
    for (const [i, side] of sides.entries()) {
      const fixtures = join(dir, `fixtures-${i}.json`);
      writeFileSync(fixtures, JSON.stringify(await makeFixtures(side.database)));
      const server = await startService(side.database.serviceUrl, join(dir, `api-${i}.log`), {
        ...NEVER_SHEDS,
        ...side.env,
      });
      services.push({ ...server, fixtures });
    }
    for (let round = 0; round <= rounds; round++) {
      for (const scenario of scenarios) {
        const order = [...sides.keys()];
        for (const i of round % 2 === 0 ? order : order.reverse()) {
          const { port, pid, fixtures } = services[i];
          const { postmasters: postmaster, database } = sides[i];
          const of = { postmaster, database: new URL(database.ownerUrl).pathname.slice(1) };
          const result = await generator.measure({ ...job, ...of, port, pid, side: 'service', scenario, fixtures });
          if (round > 0) results[scenario][i].push(result);
        }
        if (round > 0) sayRound(round, scenario, sides, results[scenario]);
      }
    }
    return results;
  } finally {
    generator.stop();
    await Promise.all(services.map((service) => service.stop()));
  }
}

async function measureDeliveries(sides, dir, { rounds, count }) {
  const receiver = await startReceiver(hosts(SHAPE.endpoints));
  const results = sides.map(() => []);
  try {
    for (let round = 1; round <= rounds; round++) {
      for (const [i, { database, env, postmasters }] of sides.entries()) {
        const { ownerUrl, serviceUrl, callers } = database;
        const tenants = callers.map(({ tenantId }) => tenantId);
        const order = () => JSON.stringify(newOrder((below) => Math.floor(Math.random() * below), tenants[0]));
        const workerEnv = { DATABASE_URL: serviceUrl, ...env };
        const backend = {
          receiver,
          ownerUrl,
          tenants,
          newOrder: order,
          workerEnv,
          workerLog: join(dir, `worker-${i}.log`),
        };
        const result = await throughput({ ...backend, postmaster: postmasters[0] }, { ...SHAPE, count });
        const [cpuMicros, databaseMicros] = result.cpuMicros;
        results[i].push({ perSecond: result.perSecond, cpuMicros, databaseMicros });
      }
      sayRound(round, 'deliveries', sides, results);
    }
    return results;
  } finally {
    await receiver.stop();
  }
}

function sayRound(round, scenario, sides, results) {
  const shown = sides.map(({ name }, i) => {
    const { perSecond } = results[i].at(-1);
    return `${name} ${perSecond.toFixed(0)} (${(perSecond / results[0].at(-1).perSecond).toFixed(2)})`;
  });
  say(`round ${round}  ${scenario.padEnd(10)} ${shown.join(', ')}`);
}

function report(sides, results) {
  const lines = [
    row(['', '', 'a second', 'of plain', 'goal', 'CPU µs: Node', 'CPU µs: PostgreSQL']),
    row(['---', '---', '---:', '---:', '---:', '---:', '---:']),
  ];
  for (const [scenario, measured] of Object.entries(results)) {
    for (const [i, { name, kind }] of sides.entries()) {
      const { perSecond, cpuMicros, databaseMicros } = medians(measured[i]);
      // Each round's own ratio: a disturbance of the machine affects all sides of one round alike.
      const share = median(measured[i].map((one, round) => one.perSecond / measured[0][round].perSecond));
      const goal = GOALS[kind]?.[scenario];
      lines.push(
        row([
          i === 0 ? (SCENARIOS[scenario]?.title ?? 'deliveries, queue in PostgreSQL') : '',
          name,
          whole(perSecond),
          i === 0 ? '' : `**${share.toFixed(2)}**`,
          goal === undefined ? '' : `≥ ${goal}`,
          whole(cpuMicros),
          Number.isNaN(databaseMicros) ? '' : whole(databaseMicros),
        ]),
      );
    }
  }
  return lines.join('\n');
}

async function main() {
  const chosen = options();
  const dir = mkdtempSync(join(tmpdir(), 'orders-bench-citus-'));
  const { sides, version } = await createSides({ ...chosen, dir, say });
  try {
    const { connections, warmup, duration, orders, rounds } = chosen;
    const results = await measureRequests(sides, dir, { only: chosen.only, rounds, connections, warmup, duration });
    if (chosen.only.includes('deliveries')) results.deliveries = await measureDeliveries(sides, dir, chosen);
    const where =
      `${orders.toLocaleString('en')} orders over 50 tenants, ${connections} connections, ${rounds} rounds by turns. ` +
      machine(version).replace('with fsync on', 'with the settings of the given servers');
    publish('citus', `${where}\n\n${report(sides, results)}`, chosen.write);
  } finally {
    await dropSides(sides, chosen.urls);
    rmSync(dir, { recursive: true, force: true });
  }
}

main().then(
  () => process.exit(),
  (error) => {
    say(String(error.stack ?? error).slice(0, 3000));
    process.exit(1);
  },
);
