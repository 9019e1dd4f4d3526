/** The processes under test: start, stop, and cost (from /proc, so on Linux). */
import { spawn } from 'node:child_process';
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');
/** Signs the bench's tokens and cursors; it guards nothing. */
export const JWT_SECRET = 'the secret of the benchmark, which guards nothing at all';
const TICKS_PER_SECOND = 100;

/**
 * A program of ours with an HTTP server.
 * @typedef {{ pid: number, port: number, url: string, stop(): Promise<void> }} Server
 */

/** Seconds of CPU that a process has used, all its threads together. */
export function cpuSeconds(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/**
 * Seconds of CPU that the children of a process have used: PostgreSQL's backends and helpers, for its postmaster. With
 * `database`, of the backends of that database, by their title.
 */
export function cpuSecondsOfChildren(parent, database) {
  let seconds = 0;
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1');
      if (Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) !== parent) continue;
      if (database && !readFileSync(`/proc/${name}/cmdline`, 'latin1').includes(` ${database} `)) continue;
      seconds += cpuSeconds(name);
    } catch {
      // ended in between
    }
  }
  return seconds;
}

/** Resident memory of a process. */
export function residentMiB(pid) {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? NaN) / 1024;
}

export async function freePort() {
  const probe = createServer();
  await new Promise((resolve, reject) => probe.once('error', reject).listen(0, '127.0.0.1', resolve));
  const { port } = /** @type {import('node:net').AddressInfo} */ (probe.address());
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

/**
 * Starts a Node program and waits until `path` returns 200.
 * @param {{ args: string[], env: Record<string, string>, log: string, path: string, timeoutMs?: number }} options
 * @returns {Promise<Server>}
 */
export async function startServer({ args, env, log, path, timeoutMs = 30_000 }) {
  const port = await freePort();
  const out = openSync(log, 'a');
  const { PATH = '', HOME = '' } = process.env;
  const child = spawn(process.execPath, args, {
    cwd: ROOT,
    env: { PATH, HOME, ...env, PORT: String(port) },
    stdio: ['ignore', out, out],
  });
  closeSync(out);
  let ended;
  const exit = new Promise((resolve) => child.once('exit', (code, signal) => resolve((ended = signal ?? code))));
  const url = `http://127.0.0.1:${port}`;
  for (const deadline = performance.now() + timeoutMs; ; await sleep(10)) {
    if (ended !== undefined) throw new Error(`${args.join(' ')} ended (${ended}); see ${log}`);
    if (performance.now() > deadline) throw new Error(`${args.join(' ')} did not answer; see ${log}`);
    const answer = await fetch(url + path).catch(() => undefined);
    if (answer) await answer.arrayBuffer();
    if (answer && answer.status < 500) break;
  }
  return {
    pid: /** @type {number} */ (child.pid),
    port,
    url,
    async stop() {
      if (ended === undefined) child.kill('SIGTERM');
      await exit;
    },
  };
}

/** Dockerfile. */
const AS_IN_THE_IMAGE = ['--max-semi-space-size=32'];
const IMAGES_ENV = { NODE_ENV: 'production', MALLOC_ARENA_MAX: '2', MALLOC_TRIM_THRESHOLD_: '131072' };

const moreFlags = () => (process.env.NODE_FLAGS ?? '').split(' ').filter(Boolean);

/** Node's arguments; more for a profile: `NODE_FLAGS="--cpu-prof --cpu-prof-dir=/tmp/profile" npm run bench`. */
export const nodeFlags = () => [...AS_IN_THE_IMAGE, ...moreFlags()];

/**
 * The service as in production, with the limits out of reach but counted, and its log written. `folder` holds its
 * program: the build, or the content of an image.
 */
export function startService(databaseUrl, log, env = {}, folder = ROOT) {
  return startServer({
    args: [...nodeFlags(), join(folder, 'dist/src/main.js'), 'api'],
    path: '/health/ready',
    log,
    env: {
      ...IMAGES_ENV,
      DATABASE_URL: databaseUrl,
      METRICS_PORT: '0',
      JWT_SECRET,
      ACCESS_TOKEN_EXPIRE_MINUTES: '1440',
      RATE_LIMIT_TENANT_PER_SECOND: '1000000',
      RATE_LIMIT_TENANT_BURST: '10000000',
      RATE_LIMIT_ADDRESS_PER_MINUTE: '10000000',
      RATE_LIMIT_REGISTRATION: '0',
      NEW_TENANT_LIMITS_PERCENT: '100',
      QUOTA_EVENTS_PER_DAY: '0',
      WEBHOOK_MAX_ENDPOINTS_PER_HOST: '100000',
      SHUTDOWN_DELAY: '0ms',
      ...env,
    },
  });
}

/** The baseline: see baseline.mjs. */
export function startBaseline(databaseUrl, callersFile, log) {
  return startServer({
    args: ['--max-semi-space-size=64', ...moreFlags(), join(ROOT, 'bench/baseline.mjs')],
    path: '/',
    log,
    env: { NODE_ENV: 'production', DATABASE_URL: databaseUrl, CALLERS: callersFile },
  });
}
