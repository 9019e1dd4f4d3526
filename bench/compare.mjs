/**
 * `npm run bench:compare -- FOLDER`: this checkout against another one that is built (see README.md). Both serve the
 * same database, in short rounds by turns: so a change of a few percent shows on a machine whose speed varies by more.
 *
 *   --only create,get     some of the scenarios
 *   --rounds, --seconds, --connections
 */
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { openDatabase, openPostgres } from './database.mjs';
import { makeFixtures } from './fixtures.mjs';
import { startGenerator } from './generator.mjs';
import { ROOT, startService } from './processes.mjs';
import { median } from './report.mjs';
import { chosenScenarios, SCENARIOS } from './scenarios.mjs';

const ORDERS = 100_000;
const WARMUP_MS = 400;
const say = (line) => process.stderr.write(`${line}\n`);

function options() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      only: { type: 'string', default: 'get,list,create,update' },
      rounds: { type: 'string', default: '6' },
      seconds: { type: 'string', default: '1.5' },
      connections: { type: 'string', default: '32' },
    },
  });
  if (positionals.length !== 1) throw new Error('give the folder of the other checkout');
  return {
    other: resolve(positionals[0]),
    scenarios: chosenScenarios(values.only),
    rounds: Number(values.rounds),
    duration: Number(values.seconds) * 1000,
    connections: Number(values.connections),
  };
}

async function compare(postgres, { other, scenarios, rounds, duration, connections }) {
  const database = await openDatabase({ postgres, orders: ORDERS, say });
  const fixtures = join(postgres.dir, 'fixtures.json');
  writeFileSync(fixtures, JSON.stringify(await makeFixtures(database)));
  const servers = [];
  const generator = startGenerator();
  try {
    for (const folder of [other, ROOT]) {
      servers.push(await startService(database.serviceUrl, '/dev/null', {}, folder));
    }
    for (const scenario of scenarios) {
      const results = [[], []];
      // Round 0 is not counted: Node compiles frequent code in it.
      for (let round = 0; round <= rounds; round++) {
        for (const side of round % 2 === 0 ? [0, 1] : [1, 0]) {
          const { port, pid } = servers[side];
          const job = { port, pid, postmaster: postgres.postmaster, side: 'service', scenario, fixtures, connections };
          const result = await generator.measure({ ...job, warmup: WARMUP_MS, duration });
          if (round > 0) results[side].push(result);
        }
      }
      report(scenario, ...results);
    }
  } finally {
    generator.stop();
    await Promise.all(servers.map((server) => server.stop()));
  }
}

/** The medians of the ratios within a round. */
function report(scenario, others, ours) {
  const ratio = (name) => median(ours.map((result, i) => result[name] / others[i][name])).toFixed(3);
  const columns = ['perSecond', 'cpuMicros', 'databaseMicros', 'p99'].map((name) => `${name} ${ratio(name)}`);
  process.stdout.write(`${SCENARIOS[scenario].short.padEnd(12)} ${columns.join('   ')}\n`);
}

async function main() {
  const chosen = options();
  const postgres = await openPostgres(undefined, say);
  try {
    await compare(postgres, chosen);
  } finally {
    await postgres.stop();
  }
}

main().catch((error) => {
  say(String(error.stack ?? error).slice(0, 3000));
  process.exitCode = 1;
});
