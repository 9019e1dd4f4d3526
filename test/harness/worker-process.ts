import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { join } from 'node:path';
import type { TestDatabase } from './databases';
import { JWT_SECRET } from './service';

const ROOT = join(__dirname, '..', '..');

/** A worker as it runs in production: a process of its own, that can be killed. */
export interface WorkerProcess {
  /** Resolves when the process has ended, with its signal or exit code. */
  ended: Promise<NodeJS.Signals | number | null>;
  kill(signal: NodeJS.Signals): Promise<void>;
  output(): string;
}

/** Compiles what has changed, so that processes run the code under test. */
export function buildOnce(): void {
  execFileSync(process.execPath, ['-e', "import('./scripts/build.mjs').then((b) => b.buildIfStale())"], { cwd: ROOT });
}

/**
 * Starts `main.js worker`.
 * @param crashAt a step of `crash-points.cjs` at which the process kills itself, without warning
 */
export function startWorkerProcess(
  database: TestDatabase,
  env: Record<string, string> = {},
  crashAt?: string,
): WorkerProcess {
  const preload = crashAt ? ['-r', join(__dirname, 'crash-points.cjs')] : [];
  const child: ChildProcess = spawn(process.execPath, [...preload, join(ROOT, 'dist', 'src', 'main.js'), 'worker'], {
    env: {
      PATH: process.env.PATH,
      PORT: '0',
      DATABASE_URL: database.serviceUrl,
      JWT_SECRET,
      DB_POOL_SIZE: '8',
      METRICS_PORT: 'off',
      WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8',
      WEBHOOK_RETRY_SCHEDULE: '200ms,400ms,800ms,800ms,800ms',
      ...(crashAt ? { CRASH_AT: crashAt } : {}),
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout?.on('data', (data: Buffer) => (output += data.toString()));
  child.stderr?.on('data', (data: Buffer) => (output += data.toString()));
  const ended = new Promise<NodeJS.Signals | number | null>((resolve) =>
    child.once('exit', (code, signal) => resolve(signal ?? code)),
  );
  return {
    ended,
    output: () => output,
    async kill(signal) {
      child.kill(signal);
      await ended;
    },
  };
}
