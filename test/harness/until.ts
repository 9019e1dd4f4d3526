import { setTimeout as delay } from 'node:timers/promises';

/** Calls the function until its result is neither undefined nor false, and returns it. */
export async function until<T>(
  what: string,
  ask: () => T | undefined | false | Promise<T | undefined | false>,
  withinMs = 10_000,
): Promise<T> {
  for (const deadline = Date.now() + withinMs; ; await delay(10)) {
    const response = await ask();
    if (response !== undefined && response !== false) return response;
    if (Date.now() > deadline) throw new Error(`${what}: not within ${withinMs} ms`);
  }
}
