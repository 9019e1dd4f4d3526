/**
 * `npm run bench:overload`: the share of the peak that remains at twice the maximum load. First the peak, by the best
 * number of connections; then requests at twice that rate, independent of responses, with the default load shedding and
 * without; meanwhile the health route is called. See README.md.
 *
 *   --quick, --only create,get, --rounds, --seconds, --factor (2), --connections (4,000), --keep DIR, --write
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { openDatabase, openPostgres } from './database.mjs';
import { makeFixtures } from './fixtures.mjs';
import { startGenerator } from './generator.mjs';
import { startService } from './processes.mjs';
import { machine, median, publish, row, whole } from './report.mjs';
import { chosenScenarios, SCENARIOS } from './scenarios.mjs';
import { parseScale } from './seed.mjs';

const say = (line) => process.stderr.write(`${line}\n`);
const CLOSED = [16, 32, 64];
const HEALTH_EVERY_MS = 50;
const SIDES = { 'as it is': {}, 'never sheds': { SHED_EVENT_LOOP_LAG: '0', SHED_POOL_WAIT: '0' } };

/** Calls the health route until it is stopped; returns the durations. */
function watchHealth(url) {
  const took = [];
  let over = false;
  const done = (async () => {
    while (!over) {
      const began = performance.now();
      const { status } = await fetch(`${url}/health`);
      if (status !== 200) throw new Error(`/health answered ${status}`);
      took.push(performance.now() - began);
      await sleep(HEALTH_EVERY_MS);
    }
  })();
  done.catch(() => undefined); // reported by stop()
  return {
    async stop() {
      over = true;
      await done;
      return took.sort((a, b) => a - b)[Math.floor(took.length * 0.99)];
    },
  };
}

/** The most that is served, and by how many connections. */
async function findPeak(generator, job) {
  const measured = [];
  for (const connections of CLOSED) measured.push(await generator.measure({ ...job, connections }));
  return Math.max(...measured.map(({ served }) => served));
}

async function round(generator, job, servers, { factor, connections }) {
  const peak = await findPeak(generator, { ...job, port: servers['as it is'].port });
  const sides = {};
  for (const [side, server] of Object.entries(servers)) {
    const health = watchHealth(server.url);
    const result = await generator.measure({ ...job, port: server.port, connections, rate: peak * factor });
    sides[side] = { ...result, share: result.served / peak, health: await health.stop() };
    // Admitted requests are completed before the next measurement.
    await sleep(2_000);
  }
  return { peak, sides };
}

/** Without a served request there is no latency: NaN, which is null after the transfer between processes. */
const ms = (value) => (value > 0 ? whole(value) : '–');

function describe({ peak, sides }) {
  const texts = Object.entries(sides).map(
    ([side, { served, share, refused, ofServed, health }]) =>
      `${side}: ${served.toFixed(0)}/s = ${share.toFixed(2)}, ${refused.toFixed(0)}/s refused, ` +
      `p50 ${ms(ofServed.p50)} p99 ${ms(ofServed.p99)} ms, health p99 ${ms(health)} ms`,
  );
  return `peak ${peak.toFixed(0)}/s; ${texts.join('; ')}`;
}

function report(measured) {
  const columns = [
    '',
    'peak /s',
    'shedding',
    'served /s',
    'of the peak',
    'refused /s',
    'p50 ms',
    'p99 ms',
    '`/health` p99 ms',
  ];
  const lines = [row(columns), row(columns.map((_, i) => (i === 0 || i === 2 ? '---' : '---:')))];
  for (const { scenario, rounds } of measured) {
    for (const side of Object.keys(SIDES)) {
      const of = (figure) => median(rounds.map(({ sides }) => figure(sides[side])));
      const first = side === 'as it is';
      const share = of(({ share }) => share).toFixed(2);
      lines.push(
        row([
          first ? SCENARIOS[scenario].title : '',
          first ? whole(median(rounds.map(({ peak }) => peak))) : '',
          side,
          whole(of(({ served }) => served)),
          first ? `**${share}**` : share,
          whole(of(({ refused }) => refused)),
          ms(of(({ ofServed }) => ofServed.p50)),
          ms(of(({ ofServed }) => ofServed.p99)),
          whole(of(({ health }) => health)),
        ]),
      );
    }
  }
  return lines.join('\n');
}

async function main() {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string', default: 'create,get,list' },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      factor: { type: 'string', default: '2' },
      connections: { type: 'string', default: '4000' },
      keep: { type: 'string' },
      write: { type: 'boolean', default: false },
    },
  });
  const { quick } = values;
  const [rounds, seconds] = [Number(values.rounds ?? (quick ? 1 : 3)), Number(values.seconds ?? (quick ? 2 : 8))];
  const [factor, connections] = [Number(values.factor), Number(values.connections)];
  const scenarios = chosenScenarios(values.only);
  const postgres = await openPostgres(values.keep, say);
  const generator = startGenerator('bench/overload-load.mjs');
  const servers = {};
  try {
    const database = await openDatabase({ postgres, orders: parseScale(quick ? '25k' : '200k'), say });
    const fixtures = join(postgres.dir, 'fixtures.json');
    writeFileSync(fixtures, JSON.stringify(await makeFixtures(database)));
    for (const [side, env] of Object.entries(SIDES)) {
      servers[side] = await startService(database.serviceUrl, '/dev/null', env);
    }
    const measured = scenarios.map((scenario) => ({ scenario, rounds: [] }));
    for (let number = 1; number <= rounds; number++) {
      for (const { scenario, rounds: done } of measured) {
        const job = { scenario, fixtures, warmup: quick ? 500 : 2_000, duration: seconds * 1000 };
        done.push(await round(generator, job, servers, { factor, connections }));
        say(`round ${number}  ${scenario.padEnd(8)} ${describe(done.at(-1))}`);
      }
    }
    const head =
      `${factor} times the peak's rate over ${connections.toLocaleString('en')} connections, ${rounds} rounds of ${seconds} s each; ` +
      `latency from when a request was due. ${machine(postgres.version)}`;
    publish('overload', [head, '', report(measured)].join('\n'), values.write);
  } finally {
    generator.stop();
    await Promise.all(Object.values(servers).map((server) => server.stop()));
    await postgres.stop();
  }
}

main().catch((error) => {
  say(String(error.stack ?? error).slice(0, 3000));
  process.exitCode = 1;
});
