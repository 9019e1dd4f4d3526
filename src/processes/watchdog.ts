import { Worker } from 'node:worker_threads';

const CHECK_INTERVAL_MS = 1_000;
/** So many checks in a row without a turn of the event loop end the process. */
const MISSED_CHECKS = 30;

/**
 * Runs in a thread of its own. It counts its own checks and not the time: if the whole process was paused, both stood
 * still.
 */
const WATCH = `
  const { workerData } = require('node:worker_threads');
  const turns = new Int32Array(workerData.shared);
  let seen = -1;
  let missed = 0;
  setInterval(() => {
    const now = Atomics.load(turns, 0);
    missed = now === seen ? missed + 1 : 0;
    seen = now;
    if (missed < workerData.most) return;
    const msg = 'the event loop stood still for ' + missed + ' looks: the process ends';
    require('node:fs').writeSync(2, JSON.stringify({ level: 'fatal', time: new Date().toISOString(), msg }) + '\\n');
    process.kill(process.pid, 'SIGKILL');
  }, workerData.interval);
`;

/**
 * Ends this process if its event loop is blocked for about half a minute: it can then serve no probe and cannot recover
 * by itself. An orchestrator restarts it. The watch ends with the process.
 */
export function watchEventLoop(interval = CHECK_INTERVAL_MS, most = MISSED_CHECKS): void {
  const shared = new SharedArrayBuffer(4);
  const turns = new Int32Array(shared);
  const workerData = { shared, interval, most };
  const resourceLimits = { maxOldGenerationSizeMb: 8, maxYoungGenerationSizeMb: 2, codeRangeSizeMb: 8 };
  const watch = new Worker(WATCH, { eval: true, workerData, resourceLimits, env: {}, execArgv: [] });
  // The process also works without a watch.
  watch.on('error', () => undefined);
  watch.unref();
  setInterval(() => Atomics.add(turns, 0, 1), interval / 2).unref();
}
