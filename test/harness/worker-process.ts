import { join } from 'node:path';
import type { TestDatabase } from './databases';
import { type ServiceProcess, startProcess } from './service-process';

/** A worker as it runs in production: a process of its own, that can be killed. */
export type WorkerProcess = ServiceProcess;

/**
 * Starts `main.js worker`.
 * @param crashAt a step of `crash-points.cjs` at which the process kills itself, without warning
 */
export function startWorkerProcess(
  database: Pick<TestDatabase, 'serviceUrl'>,
  env: Record<string, string> = {},
  crashAt?: string,
): WorkerProcess {
  return startProcess(
    'worker',
    database,
    {
      WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8',
      WEBHOOK_RETRY_SCHEDULE: '200ms,400ms,800ms,800ms,800ms',
      ...(crashAt ? { CRASH_AT: crashAt } : {}),
      ...env,
    },
    crashAt ? ['-r', join(__dirname, 'crash-points.cjs')] : [],
  );
}
