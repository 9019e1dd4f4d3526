/** How often and when a request is tried again. */
export interface RetryOptions {
  /** Attempts after the first one; default: 3, 0 for none. */
  retries: number;
  /** Longest wait before a retry. A response with a longer `Retry-After` is returned at once. */
  maxDelayMs: number;
}

const FIRST_DELAY_MS = 250;

/** Milliseconds of `Retry-After` (seconds, or a date), or undefined without a value. */
export function retryAfterMs(header: string | null, now = Date.now()): number | undefined {
  if (header === null) return undefined;
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

/**
 * How long to wait before a retry: doubling, of which half is left to chance, so that clients that failed together do
 * not come back together. `Retry-After` is a floor that chance only adds to.
 * @param attempt the number of the try that failed, from 1
 */
export function backoffMs(attempt: number, retryAfter: number | undefined, random = Math.random): number {
  const own = FIRST_DELAY_MS * 2 ** (attempt - 1);
  if (retryAfter !== undefined) return retryAfter + (own / 2) * random();
  return own / 2 + (own / 2) * random();
}

/** Waits, unless the caller gives up. @throws the signal's reason */
export function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason as Error);
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop);
      resolve();
    }, milliseconds);
    signal.addEventListener('abort', stop, { once: true });
  });
}
