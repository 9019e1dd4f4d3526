import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const LOOK_MS = 10_000;
/** The share of the time that the event loop works, below which a process counts as idle. */
const IDLE = 0.05;
/** V8 shrinks the young generation in a collection with little garbage: the first one removes that of the busy time. */
const COLLECTIONS = 2;

/**
 * Returns the memory of a busy time to the operating system once the process is idle. V8 keeps a large young generation
 * and the garbage in it until the next collection, which an idle process does not reach. The start counts as busy.
 */
export function releaseMemoryWhenIdle(interval = LOOK_MS, collect: () => void = collectGarbage): void {
  let missing = COLLECTIONS;
  let since = performance.eventLoopUtilization();
  setInterval(() => {
    if (performance.eventLoopUtilization(since).utilization >= IDLE) missing = COLLECTIONS;
    else if (missing > 0) {
      missing--;
      collect();
    }
    // Behind the collection, so that it does not count as work.
    since = performance.eventLoopUtilization();
  }, interval).unref();
}

function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}
