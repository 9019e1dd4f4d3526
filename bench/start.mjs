/**
 * `npm run bench:start`: seconds from `npm start` to the first 200 of /health/ready, on an existing database, with a
 * current build and with a stale one; and the CPU of a start and the resident memory, when idle, of the image's API
 * process. Ends with an error above 2 s (with a current build), 1.5 s of CPU or 110 MiB.
 */
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import { openDatabase, openPostgres } from './database.mjs';
import { cpuSeconds, freePort, residentMiB, ROOT, startService } from './processes.mjs';
import { machine, median, publish, row } from './report.mjs';

const LIMIT_SECONDS = 2;
const LIMIT_CPU_SECONDS = 1.5;
const LIMIT_MIB = 110;
const say = (line) => process.stderr.write(`${line}\n`);

/** Runs `npm start` until it is ready, then stops it. @returns {Promise<number>} seconds */
async function timeStart(dataDir) {
  const port = await freePort();
  const began = performance.now();
  const env = { ...process.env, PORT: String(port), DATA_DIR: dataDir };
  const child = spawn('npm', ['start'], { cwd: ROOT, env, stdio: 'ignore', detached: true });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  let exited = false;
  void ended.then(() => (exited = true));
  try {
    for (;;) {
      const answer = await fetch(`http://127.0.0.1:${port}/health/ready`).catch(() => undefined);
      if (answer?.status === 200) return (performance.now() - began) / 1000;
      if (exited) throw new Error('npm start ended by itself');
      await sleep(10);
    }
  } finally {
    // Like Ctrl-C: the whole process group of the terminal gets the signal.
    if (!exited) process.kill(-(/** @type {number} */ (child.pid)), 'SIGINT');
    await ended;
  }
}

async function timeStarts(rounds) {
  const dataDir = mkdtempSync(join(tmpdir(), 'orders-bench-start-'));
  try {
    say(`first start, which makes the database: ${(await timeStart(dataDir)).toFixed(1)} s`);
    const [built, stale] = [[], []];
    for (let round = 0; round < rounds; round++) {
      built.push(await timeStart(dataDir));
      rmSync(join(ROOT, 'dist/.stamp'), { force: true });
      stale.push(await timeStart(dataDir));
      say(`round ${round + 1}: ${built[round].toFixed(2)} s, stale ${stale[round].toFixed(2)} s`);
    }
    return { built, stale };
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
}

/** The API process of the image: what its start costs, and what it keeps after some requests. */
async function measureImage(idleSeconds) {
  const postgres = await openPostgres(undefined, () => undefined);
  const image = join(postgres.dir, 'image');
  try {
    execFileSync(process.execPath, [join(ROOT, 'scripts/image.mjs'), image]);
    const { serviceUrl, callers } = await openDatabase({ postgres, orders: 1000, tenants: 1, say: () => undefined });
    const service = await startService(serviceUrl, '/dev/null', {}, image);
    const cpu = cpuSeconds(service.pid);
    const headers = { authorization: `Bearer ${callers[0].token}` };
    for (let i = 0; i < 100; i++) await (await fetch(`${service.url}/api/v1/orders`, { headers })).arrayBuffer();
    await sleep(idleSeconds * 1000);
    const resident = residentMiB(service.pid);
    await service.stop();
    return { cpu, resident, version: postgres.version };
  } finally {
    await postgres.stop();
  }
}

async function main() {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '5' },
      idle: { type: 'string', default: '60' },
      write: { type: 'boolean', default: false },
    },
  });
  const { built, stale } = await timeStarts(Number(values.rounds));
  const { cpu, resident, version } = await measureImage(Number(values.idle));
  const shown = (times) =>
    `${median(times).toFixed(2)} s (${Math.min(...times).toFixed(2)} to ${Math.max(...times).toFixed(2)})`;
  const lines = [
    row(['', 'measured', 'limit']),
    row(['---', '---:', '---:']),
    row(['`npm start` until ready, built', shown(built), `${LIMIT_SECONDS} s`]),
    row(['`npm start` until ready, after a change of the source', shown(stale), '']),
    row(['API process of the image, CPU until ready', `${cpu.toFixed(2)} s`, `${LIMIT_CPU_SECONDS} s`]),
    row([
      `API process of the image, resident after ${values.idle} s idle`,
      `${resident.toFixed(0)} MiB`,
      `${LIMIT_MIB} MiB`,
    ]),
  ];
  publish('start', [machine(version), '', ...lines].join('\n'), values.write);
  if (median(built) > LIMIT_SECONDS) throw new Error(`ready after ${median(built).toFixed(2)} s`);
  if (cpu > LIMIT_CPU_SECONDS) throw new Error(`${cpu.toFixed(2)} s of CPU until ready`);
  if (resident > LIMIT_MIB) throw new Error(`${resident.toFixed(0)} MiB resident when idle`);
}

main().catch((error) => {
  say(String(error.stack ?? error).slice(0, 3000));
  process.exitCode = 1;
});
