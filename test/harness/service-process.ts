import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { join } from 'node:path';
import type { TestDatabase } from './databases';
import { JWT_SECRET } from './service';
import { keepLog } from './suite-log';
import { until } from './until';

const ROOT = join(__dirname, '..', '..');

/** A process of the image as it runs in production, which can be stopped or killed. */
export interface ServiceProcess {
  pid: number;
  /** Resolves when the process has ended, with its signal or exit code. */
  ended: Promise<NodeJS.Signals | number | null>;
  /** Sends the signal and returns immediately. */
  signal(signal: NodeJS.Signals): void;
  /** Sends the signal and waits for the end. */
  kill(signal: NodeJS.Signals): Promise<void>;
  output(): string;
}

/** An API process and its address. */
export interface ApiProcess extends ServiceProcess {
  url: string;
}

/** Compiles changed sources, so that processes run the code under test. */
export function buildOnce(): void {
  execFileSync(process.execPath, ['-e', "import('./scripts/build.mjs').then((b) => b.buildIfStale())"], { cwd: ROOT });
}

/** Starts `main.js <role>`. */
export function startProcess(
  role: 'api' | 'worker',
  database: Pick<TestDatabase, 'serviceUrl'>,
  env: Record<string, string>,
  nodeArguments: string[] = [],
): ServiceProcess {
  const main = join(ROOT, 'dist', 'src', 'main.js');
  const child: ChildProcess = spawn(process.execPath, [...nodeArguments, main, role], {
    env: {
      PATH: process.env.PATH,
      PORT: '0',
      DATABASE_URL: database.serviceUrl,
      JWT_SECRET,
      DB_POOL_SIZE: '8',
      METRICS_PORT: 'off',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout?.on('data', (data: Buffer) => (output += data.toString()));
  child.stderr?.on('data', (data: Buffer) => (output += data.toString()));
  // Not 'exit': its last lines may still be on their way then.
  const ended = new Promise<NodeJS.Signals | number | null>((resolve) =>
    child.once('close', (code, signal) => {
      keepLog(output);
      resolve(signal ?? code);
    }),
  );
  return {
    pid: child.pid ?? 0,
    ended,
    output: () => output,
    signal: (signal) => void child.kill(signal),
    async kill(signal) {
      child.kill(signal);
      await ended;
    },
  };
}

/**
 * Starts `main.js api` on a port of its own and waits until it listens. Limits are out of the way unless `env` sets
 * them.
 */
export async function startApiProcess(
  database: Pick<TestDatabase, 'serviceUrl'>,
  env: Record<string, string> = {},
  nodeArguments: string[] = [],
): Promise<ApiProcess> {
  const limits = {
    RATE_LIMIT_TENANT_PER_SECOND: '100000',
    RATE_LIMIT_TENANT_BURST: '1000000',
    RATE_LIMIT_ADDRESS_PER_MINUTE: '1000000',
    RATE_LIMIT_REGISTRATION: '0',
    NEW_TENANT_LIMITS_PERCENT: '100',
    WEBHOOK_MAX_ENDPOINTS_PER_HOST: '10000',
  };
  const child = startProcess('api', database, { ...limits, ...env }, nodeArguments);
  let ended = false;
  void child.ended.then(() => (ended = true));
  const url = await until(
    'the API to listen',
    () => {
      if (ended) throw new Error(`the API ended: ${child.output()}`);
      return /"url":"(http[^"]+)"/.exec(child.output())?.[1];
    },
    60_000,
  );
  return { ...child, url };
}
