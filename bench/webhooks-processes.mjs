/** The processes of the webhooks bench: receiver, baselines, worker, Redis. All end with the bench, however it ends. */
import { fork, spawn, spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort, JWT_SECRET, nodeFlags, ROOT } from './processes.mjs';

const running = new Set();
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(130));

function track(child) {
  running.add(child);
  const ended = new Promise((resolve) => child.once('exit', resolve)).then(() => running.delete(child));
  return async (signal = 'SIGTERM') => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    const killTimer = setTimeout(() => child.kill('SIGKILL'), 10_000);
    await ended;
    clearTimeout(killTimer);
  };
}

/** A program of ours that replies to messages; `ask` rejects after `timeoutMs`. */
export function startAnswering(file, env = {}) {
  const child = fork(join(ROOT, 'bench', file), {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    env: { PATH: process.env.PATH, NODE_ENV: 'production', ...env },
  });
  const stop = track(child);
  const waiting = new Map();
  let next = 0;
  child.on('message', ({ id, result, failure }) => {
    const { resolve, reject } = waiting.get(id);
    waiting.delete(id);
    if (failure === undefined) resolve(result);
    else reject(new Error(`${file}: ${failure}`));
  });
  child.once('exit', () => waiting.forEach(({ reject }) => reject(new Error(`${file} ended`))));
  const ask = (question, options = {}, timeoutMs = 120_000) => {
    const id = next++;
    const answer = new Promise((resolve, reject) => {
      waiting.set(id, { resolve, reject });
      child.send({ ...options, ask: question, id });
    });
    const late = sleep(timeoutMs, undefined, { ref: false }).then(() => {
      throw new Error(`${file}: '${question}' took longer than ${timeoutMs} ms`);
    });
    late.catch(() => undefined);
    return Promise.race([answer, late]);
  };
  return { pid: child.pid, ask, stop };
}

/** Loopback addresses for this number of hosts, besides 127.0.0.1. */
export const hosts = (count) =>
  Array.from({ length: count }, (_, i) => `127.0.${1 + Math.floor(i / 200)}.${1 + (i % 200)}`);

/** Starts the receiver. @returns its `port`, and functions that query its arrivals */
export async function startReceiver(addresses) {
  const receiver = startAnswering('webhooks-receiver.mjs');
  const { port } = await receiver.ask('listen', { addresses });
  return {
    ...receiver,
    port,
    /** Waits until so many have arrived. @throws after `timeoutMs` */
    async arrived(count, timeoutMs) {
      for (const deadline = performance.now() + timeoutMs; ; await sleep(20)) {
        const summary = await receiver.ask('summary');
        if (summary.count >= count) return summary;
        if (performance.now() > deadline)
          throw new Error(
            `${summary.count} of ${count} webhooks arrived in ${timeoutMs} ms (${JSON.stringify(summary)})`,
          );
      }
    },
  };
}

/** Starts the process of the baselines; see webhooks-baseline.mjs. */
export const startBaselines = (env) => startAnswering('webhooks-baseline.mjs', env);

/** Starts a worker as in production, and waits until it is the leader. */
export async function startWorker(env, log) {
  rmSync(log, { force: true });
  const out = openSync(log, 'a');
  const child = spawn(process.execPath, [...nodeFlags(), join(ROOT, 'dist/src/main.js'), 'worker'], {
    cwd: ROOT,
    env: {
      PATH: process.env.PATH,
      NODE_ENV: 'production',
      PORT: '0',
      METRICS_PORT: '0',
      JWT_SECRET,
      WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8',
      ...env,
    },
    stdio: ['ignore', out, out],
  });
  closeSync(out);
  const stop = track(child);
  for (const deadline = performance.now() + 30_000; ; await sleep(20)) {
    if (readFileSync(log, 'utf8').includes('leading: this worker')) break;
    if (performance.now() > deadline || child.exitCode !== null)
      throw new Error(`the worker did not start; see ${log}`);
  }
  return { pid: child.pid, stop };
}

/**
 * A Redis on loopback that writes its append-only file every second; undefined, with a message, if it is not installed.
 */
export async function startRedis(dir, say) {
  if (spawnSync('redis-server', ['--version']).status !== 0) {
    say('\n*** redis-server is not installed: the bench on Redis is SKIPPED ***\n');
    return undefined;
  }
  const port = await freePort();
  const folder = join(dir, `redis-${process.pid}`);
  mkdirSync(folder, { recursive: true });
  const persistence = ['--appendonly', 'yes', '--appendfsync', 'everysec', '--save', ''];
  const child = spawn(
    'redis-server',
    ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, ...persistence],
    { stdio: 'ignore' },
  );
  const stop = track(child);
  for (let i = 0; (await redisCommand(port, 'PING')) !== '+PONG'; i++) {
    if (i === 400) throw new Error('redis-server did not start');
    await sleep(25);
  }
  const info = await redisCommand(port, 'INFO server', /redis_version:(\S+)/);
  return {
    pid: child.pid,
    url: `redis://127.0.0.1:${port}`,
    version: info,
    flush: () => redisCommand(port, 'FLUSHALL'),
    async stop() {
      await stop('SIGKILL');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function redisCommand(port, text, pattern) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(`${text}\r\n`));
    socket.setTimeout(2_000, () => socket.destroy());
    socket.once('data', (data) => {
      socket.destroy();
      resolve(pattern ? pattern.exec(data.toString())?.[1] : data.toString().trim());
    });
    socket.once('error', () => resolve(''));
    socket.once('close', () => resolve(''));
  });
}
