import { setTimeout as delay } from 'node:timers/promises';

/** Asks again and again until the answer is there (neither undefined nor false), and gives it. */
export async function until<T>(
  what: string,
  ask: () => T | undefined | false | Promise<T | undefined | false>,
  withinMs = 10_000,
): Promise<T> {
  for (const deadline = Date.now() + withinMs; ; await delay(10)) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    if (Date.now() > deadline) throw new Error(`${what}: not within ${withinMs} ms`);
  }
}
