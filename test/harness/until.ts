import { setTimeout as delay } from 'node:timers/promises';

/** A busy machine may be so many times slower than the one for which a wait was chosen. */
const SLOWEST = 3;

/**
 * Calls the function until its result is neither undefined nor false, and returns it.
 * @param withinMs the longest wait on a quiet machine
 */
export async function until<T>(
  what: string,
  ask: () => T | undefined | false | Promise<T | undefined | false>,
  withinMs = 10_000,
): Promise<T> {
  for (const deadline = performance.now() + SLOWEST * withinMs; ; await delay(10)) {
    const response = await ask();
    if (response !== undefined && response !== false) return response;
    if (performance.now() > deadline) throw new Error(`${what}: not within ${SLOWEST} times ${withinMs} ms`);
  }
}

/** The contract's maximum: a revocation reaches every process within this time. */
const REVOKED_WITHIN_MS = 2_000;
const TICK_MS = 20;

/**
 * The same within the time that the contract gives a revocation. The services run in this process: the time by which
 * its timers are late on a busy machine is added.
 */
export async function untilRevoked(what: string, ask: () => Promise<boolean>): Promise<void> {
  const begun = performance.now();
  let late = 0;
  let seen = begun;
  const ticks = setInterval(() => {
    const now = performance.now();
    late += Math.max(0, now - seen - TICK_MS);
    seen = now;
  }, TICK_MS);
  try {
    while (!(await ask())) {
      if (performance.now() - begun - late > REVOKED_WITHIN_MS) throw new Error(`${what}: not within 2 s`);
      await delay(10);
    }
  } finally {
    clearInterval(ticks);
  }
}
