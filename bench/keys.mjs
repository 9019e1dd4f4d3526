/**
 * `npm run bench:keys`: requests with an API key against the same requests with an access token (see README.md).
 *
 *   --scale 25k           the number of orders
 *   --rounds, --seconds, --connections
 *
 * In each round each scenario runs with tokens, with keys, and with tokens once more: the two with tokens show the
 * noise. The order of the credentials changes with the round.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openDatabase, openPostgres } from './database.mjs';
import { makeFixtures } from './fixtures.mjs';
import { startGenerator } from './generator.mjs';
import { startService } from './processes.mjs';
import { median, row } from './report.mjs';
import { parseScale } from './seed.mjs';

const SCENARIOS = ['get', 'list', 'create'];
const say = (line) => process.stderr.write(`${line}\n`);

async function makeKey(url, token) {
  const answer = await fetch(`${url}/api/v1/api-keys`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'Bench', kind: 'tenant', scopes: ['orders:read', 'orders:write'] }),
  });
  if (answer.status !== 201) throw new Error(`POST /api-keys: ${answer.status} ${await answer.text()}`);
  return (await answer.json()).key;
}

/** The fixtures in two files: with the tokens of the tenants, and with a key of each in their place. */
async function credentials(postgres, service, fixtures) {
  const files = { token: join(postgres.dir, 'tokens.json'), key: join(postgres.dir, 'keys.json') };
  writeFileSync(files.token, JSON.stringify(fixtures));
  const tenants = [];
  for (const tenant of fixtures.tenants) {
    tenants.push({ ...tenant, token: await makeKey(service.url, tenant.token) });
  }
  writeFileSync(files.key, JSON.stringify({ tenants }));
  return files;
}

async function measureAll(postgres, { orders, rounds, duration, connections }) {
  const database = await openDatabase({ postgres, orders, say });
  const service = await startService(database.serviceUrl, '/dev/null');
  const generator = startGenerator();
  try {
    const files = await credentials(postgres, service, await makeFixtures(database));
    const { port, pid } = service;
    const measure = (scenario, kind) =>
      generator.measure({
        ...{ port, pid, postmaster: postgres.postmaster, side: 'service', scenario, fixtures: files[kind] },
        ...{ connections, warmup: 500, duration },
      });
    const measured = SCENARIOS.map((scenario) => ({ scenario, ofToken: [], control: [], cpu: [] }));
    // Round 0 is not counted: Node compiles hot code in it.
    for (let round = 0; round <= rounds; round++) {
      for (const entry of measured) {
        const kinds = round % 2 === 0 ? ['token', 'key', 'token'] : ['token', 'token', 'key'];
        const found = { token: [], key: [] };
        for (const kind of kinds) found[kind].push(await measure(entry.scenario, kind));
        if (round === 0) continue;
        const [[first, second], [key]] = [found.token, found.key];
        const token = (first.perSecond + second.perSecond) / 2;
        entry.ofToken.push(key.perSecond / token);
        entry.control.push(second.perSecond / first.perSecond);
        entry.cpu.push(key.cpuMicros / ((first.cpuMicros + second.cpuMicros) / 2));
        say(`round ${round}  ${entry.scenario.padEnd(8)} key/token ${(key.perSecond / token).toFixed(3)}`);
      }
    }
    return measured;
  } finally {
    generator.stop();
    await service.stop();
  }
}

const { values } = parseArgs({
  options: {
    scale: { type: 'string', default: '25k' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '3' },
    connections: { type: 'string', default: '32' },
  },
});
const postgres = await openPostgres(undefined, say);
try {
  const measured = await measureAll(postgres, {
    orders: parseScale(values.scale),
    rounds: Number(values.rounds),
    duration: Number(values.seconds) * 1000,
    connections: Number(values.connections),
  });
  const lines = [
    row(['', 'requests a second: key / token', 'token / token', 'CPU of the service: key / token']),
    row(['---', '---:', '---:', '---:']),
    ...measured.map(({ scenario, ofToken, control, cpu }) =>
      row([scenario, ...[ofToken, control, cpu].map((ratios) => median(ratios).toFixed(3))]),
    ),
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
} finally {
  await postgres.stop();
}
