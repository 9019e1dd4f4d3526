/**
 * `npm run bench:scale`: does a page cost the same whatever the size of the database? Builds two databases (100,000 and
 * 10 million orders, or `--scale`), runs the service on each and sends both the same requests by turns.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openDatabase, openPostgres, withClient } from './database.mjs';
import { makeFixtures } from './fixtures.mjs';
import { startGenerator } from './generator.mjs';
import { startService } from './processes.mjs';
import { machine, median, medians, publish, row, whole } from './report.mjs';
import { SCENARIOS } from './scenarios.mjs';
import { parseScale } from './seed.mjs';

const ASKED = ['get', 'list', 'page1000'];
const say = (line) => process.stderr.write(`${line}\n`);

async function openSide(postgres, orders) {
  const began = performance.now();
  const database = await openDatabase({ postgres, orders, say });
  const fixtures = join(postgres.dir, `fixtures-${orders}.json`);
  writeFileSync(fixtures, JSON.stringify(await makeFixtures(database)));
  const size = await withClient(database.ownerUrl, async (client) => {
    const { rows } = await client.query('select pg_database_size(current_database()) as bytes');
    return `${(Number(rows[0].bytes) / 1024 ** 3).toFixed(1)} GiB`;
  });
  say(
    `${orders.toLocaleString('en')} orders, ${size}, ready after ${Math.round((performance.now() - began) / 1000)} s`,
  );
  const server = await startService(database.serviceUrl, '/dev/null');
  return { orders, size, fixtures, server, results: Object.fromEntries(ASKED.map((name) => [name, []])) };
}

/** How much longer the second takes: the median of each round's own ratio. */
function ratio(first, second) {
  return median(first.map((result, round) => result.perSecond / second[round].perSecond));
}

function report(sides, rounds, version) {
  const [small, large] = sides;
  const lines = [
    row(['', ...sides.map(({ orders, size }) => `${orders.toLocaleString('en')} orders (${size})`), 'takes']),
    row(['---', '---:', '---:', '---:']),
  ];
  const shown = (results) => {
    const { perSecond, p50, p99 } = medians(results);
    return `${whole(perSecond)}/s, p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms`;
  };
  for (const name of ASKED) {
    const cells = sides.map(({ results }) => shown(results[name]));
    lines.push(
      row([SCENARIOS[name].title, ...cells, `× ${ratio(small.results[name], large.results[name]).toFixed(2)}`]),
    );
  }
  const deep = sides.map(({ results }) => ratio(results.list, results.page1000).toFixed(2));
  lines.push(row(['page 1,000 against page 1', ...deep.map((share) => `× ${share}`), '']));
  return [`${rounds} rounds by turns. ${machine(version)}`, '', ...lines].join('\n');
}

async function main() {
  const { values } = parseArgs({
    options: {
      scale: { type: 'string', default: '10m' },
      base: { type: 'string', default: '100k' },
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '3' },
      connections: { type: 'string', default: '32' },
      keep: { type: 'string' },
      write: { type: 'boolean', default: false },
    },
  });
  const [rounds, duration] = [Number(values.rounds), Number(values.seconds) * 1000];
  const postgres = await openPostgres(values.keep, say);
  const generator = startGenerator();
  const sides = [];
  try {
    for (const scale of [values.base, values.scale]) sides.push(await openSide(postgres, parseScale(scale)));
    for (let round = 0; round < rounds; round++) {
      for (const scenario of ASKED) {
        for (const { server, fixtures, results } of round % 2 === 0 ? sides : [...sides].reverse()) {
          const { port, pid } = server;
          const job = { port, pid, postmaster: postgres.postmaster, side: 'service', scenario, fixtures };
          const connections = Number(values.connections);
          results[scenario].push(await generator.measure({ ...job, connections, warmup: 1000, duration }));
        }
      }
      say(`round ${round + 1} of ${rounds}`);
    }
    publish('scale', report(sides, rounds, postgres.version), values.write);
  } finally {
    generator.stop();
    await Promise.all(sides.map(({ server }) => server.stop()));
    await postgres.stop();
  }
}

main().catch((error) => {
  say(String(error.stack ?? error).slice(0, 3000));
  process.exitCode = 1;
});
