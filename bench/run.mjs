/**
 * `npm run bench`: the service against the baseline (see README.md).
 *
 *   --scale 200k | 10m    the number of orders (200k)
 *   --quick               a short run on few orders, as a check of the bench
 *   --only create,get     some of the scenarios
 *   --rounds, --seconds, --connections
 *   --keep DIR            keep the database in DIR and use it again
 *   --write               write the table into README.md
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { checkSame } from './check.mjs';
import { openDatabase, openPostgres } from './database.mjs';
import { makeFixtures } from './fixtures.mjs';
import { startGenerator } from './generator.mjs';
import { startBaseline, startService } from './processes.mjs';
import { machine, medians, publish, table } from './report.mjs';
import { chosenScenarios, SCENARIOS } from './scenarios.mjs';
import { parseScale } from './seed.mjs';

const say = (line) => process.stderr.write(`${line}\n`);

function options() {
  const { values } = parseArgs({
    options: {
      scale: { type: 'string' },
      quick: { type: 'boolean', default: false },
      only: { type: 'string', default: Object.keys(SCENARIOS).join(',') },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      connections: { type: 'string', default: '32' },
      keep: { type: 'string' },
      write: { type: 'boolean', default: false },
    },
  });
  const { quick } = values;
  return {
    ...values,
    orders: parseScale(values.scale ?? (quick ? '25k' : '200k')),
    scenarios: chosenScenarios(values.only),
    rounds: Number(values.rounds ?? (quick ? 1 : 3)),
    duration: Number(values.seconds ?? (quick ? 0.5 : 5)) * 1000,
    warmup: quick ? 300 : 1500,
    connections: Number(values.connections),
  };
}

async function compare(postgres, { orders, scenarios, rounds, duration, warmup, connections }) {
  const database = await openDatabase({ postgres, orders, say });
  const fixtures = await makeFixtures(database);
  const fixturesFile = join(postgres.dir, 'fixtures.json');
  const callersFile = join(postgres.dir, 'baseline-callers.json');
  writeFileSync(fixturesFile, JSON.stringify(fixtures));
  writeFileSync(callersFile, JSON.stringify(Object.fromEntries(database.callers.map((one) => [one.token, one]))));
  const service = await startService(database.serviceUrl, '/dev/null');
  const baseline = await startBaseline(database.ownerUrl, callersFile, join(postgres.dir, 'baseline.log'));
  const generator = startGenerator();
  try {
    await checkSame(service, baseline, fixtures, database.ownerUrl);
    say('The service and the baseline give the same answers and write the same rows.');
    const measured = scenarios.map((scenario) => ({ scenario, ...SCENARIOS[scenario], service: [], baseline: [] }));
    // Round 0 is not counted: Node compiles hot code in it, of which a service has more than a baseline.
    for (let round = 0; round <= rounds; round++) {
      for (const entry of measured) {
        const sides = Object.entries({ service, baseline });
        // The order changes with the round, so that neither side always finds the caches as the other left them.
        for (const [side, { port, pid }] of round % 2 === 0 ? sides : sides.reverse()) {
          const job = {
            port,
            pid,
            postmaster: postgres.postmaster,
            side,
            scenario: entry.scenario,
            fixtures: fixturesFile,
            connections,
          };
          const result = await generator.measure({ ...job, warmup, duration });
          if (round > 0) entry[side].push(result);
        }
        if (round === 0) continue;
        const [s, f] = [entry.service[round - 1], entry.baseline[round - 1]];
        const share = (s.perSecond / f.perSecond).toFixed(2);
        // The CPU of a server of BENCH_DATABASE_URL is not known.
        const cpu = [s, f].map(({ cpuMicros, databaseMicros, generatorMicros }) =>
          [cpuMicros, databaseMicros, generatorMicros].map((micros) => micros?.toFixed(0) ?? '?').join('+'),
        );
        const speed = `${s.perSecond.toFixed(0)} / ${f.perSecond.toFixed(0)} = ${share}`;
        say(`round ${round}  ${entry.short.padEnd(12)} ${speed.padEnd(24)} CPU µs ${cpu.join(' against ')}`);
      }
    }
    return measured;
  } finally {
    generator.stop();
    await Promise.all([service.stop(), baseline.stop()]);
  }
}

async function main() {
  const began = performance.now();
  const chosen = options();
  const postgres = await openPostgres(chosen.keep, say);
  try {
    const measured = await compare(postgres, chosen);
    const pages = ['list', 'page1000'].map((name) => measured.find((entry) => entry.scenario === name));
    const [first, deep] = pages.map((entry) => entry && medians(entry.service).perSecond);
    const lines = [
      `${chosen.orders.toLocaleString('en')} orders over 50 tenants, ${chosen.connections} connections, ` +
        `${chosen.rounds} rounds of ${chosen.duration / 1000} s each. ${machine(postgres.version)}`,
      '',
      table(measured),
    ];
    if (first && deep) lines.push('', `Page 1,000 takes ${(first / deep).toFixed(2)} times as long as page 1.`);
    publish('bench', lines.join('\n'), chosen.write);
    say(`\nTook ${Math.round((performance.now() - began) / 1000)} s.`);
  } finally {
    await postgres.stop();
  }
}

main().catch((error) => {
  say(String(error.stack ?? error).slice(0, 3000));
  if (error.cause) say(`because: ${error.cause.message ?? error.cause}`);
  process.exitCode = 1;
});
