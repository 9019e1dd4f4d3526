/**
 * `npm run bench:soak`: mixed load of several tenants with kills of every process at random, on both queues, and a
 * ledger outside the system (see README.md and docs/resilience.md).
 *
 *   --minutes N       of all runs together (60)
 *   --modes postgres,redis,redis-empty   the last one: Redis comes back without its data
 *   --seed N          the choice of the kills (1)
 *   --every MS        the mean time between two kills (2,400)
 *   --rate N          requests a second (14)
 *   --faults N        end a run after so many faults (1)
 *   --only soak,gap   the soak; arrivals a second around a kill of the leading worker
 *   --rounds N        kills of a worker on each queue for `gap` (5)
 *   --dir DIR         keep the logs there
 *   --write           write the tables into docs/resilience.md
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { gapTable, measureGaps } from './soak-gap.mjs';
import { publishSection, sizeTable, soakTable } from './soak-report.mjs';
import { soak } from './soak-run.mjs';

const MODES = {
  postgres: { name: 'queue in PostgreSQL', queue: 'postgres', emptiesRedis: false },
  redis: { name: 'queue in Redis', queue: 'redis', emptiesRedis: false },
  'redis-empty': { name: 'queue in Redis, which comes back empty', queue: 'redis', emptiesRedis: true },
};

const say = (line) => process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${line}\n`);

function options() {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '60' },
      modes: { type: 'string', default: 'postgres,redis,redis-empty' },
      seed: { type: 'string', default: '1' },
      every: { type: 'string', default: '2400' },
      rate: { type: 'string', default: '14' },
      faults: { type: 'string', default: '1' },
      only: { type: 'string', default: 'soak,gap' },
      rounds: { type: 'string', default: '5' },
      dir: { type: 'string' },
      write: { type: 'boolean', default: false },
    },
  });
  const modes = values.modes.split(',').map((name) => MODES[name] ?? fail(`--modes: ${name} is none`));
  return {
    modes,
    minutes: Number(values.minutes) / modes.length,
    seed: Number(values.seed),
    everyMs: Number(values.every),
    perSecond: Number(values.rate),
    faults: Number(values.faults),
    rounds: Number(values.rounds),
    only: new Set(values.only.split(',')),
    dir: values.dir,
    write: values.write,
  };
}

function fail(message) {
  throw new Error(message);
}

async function main() {
  const chosen = options();
  const kept = chosen.dir && (mkdirSync(chosen.dir, { recursive: true }), chosen.dir);
  const dir = kept ?? mkdtempSync(join(tmpdir(), 'orders-soak-'));
  say(`logs: ${dir}`);
  let faults = 0;
  if (chosen.only.has('soak')) {
    const results = [];
    for (const mode of chosen.modes) {
      const result = await soak(mode, chosen, mkdtempSync(join(dir, `${mode.queue}-`)), say);
      results.push(result);
      say(`\n${soakTable([result])}\n\n${sizeTable(result)}`);
      faults += result.faults.length;
      if (faults >= chosen.faults) break;
    }
    const sizes = results.map((result) => `The database, ${result.name}:\n\n${sizeTable(result)}`);
    const seed = `Seed ${chosen.seed}, a kill every ${(chosen.everyMs / 1000).toFixed(1)} s, ${chosen.perSecond} requests a second.`;
    publishSection(
      'soak',
      [seed, soakTable(results), ...sizes].join('\n\n'),
      results[0].version,
      chosen.write && faults === 0,
    );
  }
  if (chosen.only.has('gap') && faults === 0) {
    const queues = chosen.modes.filter(({ emptiesRedis }) => !emptiesRedis);
    const { results, version } = await measureGaps(queues, chosen, dir, say);
    publishSection('gap', gapTable(results), version, chosen.write);
  }
  if (faults > 0) {
    say(`${faults} faults; the logs are in ${dir}`);
    process.exitCode = 1;
  } else if (!kept) rmSync(dir, { recursive: true, force: true });
}

main().then(
  () => process.exit(),
  (error) => {
    say(String(error.stack ?? error).slice(0, 3000));
    process.exit(1);
  },
);
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(130));
