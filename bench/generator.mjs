/** The load generator's process as its parent sees it: `load.mjs` runs in it. */
import { fork } from 'node:child_process';
import { join } from 'node:path';
import { ROOT } from './processes.mjs';

/**
 * One measurement. @typedef {object} Job
 * @property {number} port @property {number} pid of the server under test
 * @property {number | number[]} [postmaster] whose children are PostgreSQL's processes
 * @property {string} [database] whose backends alone count
 * @property {'service' | 'baseline'} side @property {string} scenario @property {string} fixtures a file
 * @property {number} connections @property {number} warmup @property {number} duration milliseconds
 *
 * @typedef {object} Result
 * @property {number} requests @property {number} perSecond @property {number} p50 @property {number} p99 milliseconds
 * @property {number} cpuMicros of the server, per request @property {number} databaseMicros @property {number}
 * generatorMicros
 * @property {number} residentMiB
 */

/**
 * Starts it, or another program that understands jobs. @returns {{ measure(job: Job): Promise<Result>, stop(): void }}
 */
export function startGenerator(program = 'bench/load.mjs') {
  const child = fork(join(ROOT, program), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  return {
    measure: (job) =>
      new Promise((resolve, reject) => {
        const onExit = () => reject(new Error('the load generator ended'));
        child.once('exit', onExit);
        child.once('message', ({ result, failure }) => {
          child.off('exit', onExit);
          if (failure) reject(new Error(failure));
          else resolve(result);
        });
        child.send(job);
      }),
    stop: () => child.disconnect(),
  };
}
