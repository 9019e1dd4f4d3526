/**
 * When a delivery is tried again. The schedule is a list of waits, one per retry: nine waits are nine retries after the
 * first try. What is waited is the scheduled time ±20 %, so that deliveries that failed together do not come back
 * together; a receiver that says `Retry-After` is never asked sooner than it wished, up to a day.
 */

const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const DAY = UNITS.d;
const MAX_RETRIES = 50;
const MAX_DELAY = 7 * DAY;
const JITTER = 0.2;

export const DEFAULT_RETRY_SCHEDULE = '5s,5m,30m,2h,5h,10h,14h,20h,24h';

/** The waits before each retry, in milliseconds. */
export type RetrySchedule = readonly number[];

export interface DurationBounds {
  min?: number;
  max?: number;
}

/** `200ms`, `5s`, `5m`, `2h`, `1d` in milliseconds. Throws a RangeError that says what is wrong, for the configuration's report. */
export function parseDuration(text: string, { min = 0, max = Number.MAX_SAFE_INTEGER }: DurationBounds = {}): number {
  const match = /^(\d{1,15})(ms|s|m|h|d)$/.exec(text.trim());
  if (!match)
    throw new RangeError(
      `${JSON.stringify(text)} is not a duration: write a whole number and ms, s, m, h or d, such as 200ms or 5m`,
    );
  const milliseconds = Number(match[1]) * UNITS[match[2] as keyof typeof UNITS];
  if (milliseconds < min) throw new RangeError(`${JSON.stringify(text)} is too short: at least ${formatDuration(min)}`);
  if (milliseconds > max) throw new RangeError(`${JSON.stringify(text)} is too long: at most ${formatDuration(max)}`);
  return milliseconds;
}

/** The shortest exact spelling that `parseDuration` reads back: 300000 is `5m`. */
export function formatDuration(milliseconds: number): string {
  for (const unit of ['d', 'h', 'm', 's'] as const) {
    if (milliseconds >= UNITS[unit] && milliseconds % UNITS[unit] === 0) return `${milliseconds / UNITS[unit]}${unit}`;
  }
  return `${milliseconds}ms`;
}

/** Reads `WEBHOOK_RETRY_SCHEDULE`. Empty text is a schedule without retries. Throws a RangeError that names the entry. */
export function parseRetrySchedule(text: string = DEFAULT_RETRY_SCHEDULE): RetrySchedule {
  if (text.trim() === '') return [];
  const entries = text.split(',');
  if (entries.length > MAX_RETRIES)
    throw new RangeError(`a retry schedule has at most ${MAX_RETRIES} entries, this one has ${entries.length}`);
  return entries.map((entry, index) => {
    try {
      return parseDuration(entry, { min: 1, max: MAX_DELAY });
    } catch (error) {
      throw new RangeError(`retry ${index + 1}: ${(error as Error).message}`, { cause: error });
    }
  });
}

export interface RetryQuestion {
  /** How many attempts were made, the one that just failed included: 1 after the first try. */
  attempt: number;
  schedule: RetrySchedule;
  /** The `Retry-After` of a 429 or 503 answer, as it came (the sender hands it out for these two only). */
  retryAfter?: string | undefined;
  /** 0 ≤ random() < 1; injected so that a test can be exact. */
  random?: () => number;
  /** The clock that an HTTP-date is measured against. */
  now?: Date;
}

/** Milliseconds until the next attempt, or undefined when the schedule is used up. */
export function nextDelay({
  attempt,
  schedule,
  retryAfter,
  random = Math.random,
  now = new Date(),
}: RetryQuestion): number | undefined {
  if (!Number.isSafeInteger(attempt) || attempt < 1) throw new RangeError('attempts are counted from 1');
  const scheduled = schedule[attempt - 1];
  if (scheduled === undefined) return undefined;
  const floor = retryAfter === undefined ? undefined : parseRetryAfter(retryAfter, now);
  // Never sooner than the receiver asked: with a floor the jitter only adds.
  if (floor !== undefined) return Math.ceil(Math.max(scheduled, floor) * (1 + JITTER * random()));
  return Math.max(1, Math.round(scheduled * (1 - JITTER + 2 * JITTER * random())));
}

/** The milliseconds that a `Retry-After` asks for, at most a day; undefined where it is neither of RFC 9110's two forms. */
export function parseRetryAfter(value: string, now: Date = new Date()): number | undefined {
  const text = value.trim();
  if (/^\d{1,20}$/.test(text)) return Math.min(Number(text) * 1_000, DAY);
  const at = parseHttpDate(text);
  return at === undefined ? undefined : Math.min(Math.max(at - now.getTime(), 0), DAY);
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const IMF_FIXDATE = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (\d{2}) ([A-Z][a-z]{2}) (\d{4}) (\d{2}):(\d{2}):(\d{2}) GMT$/;

/** IMF-fixdate alone: `Date.parse` also takes "1", "2026" and local times, which would be read as floors nobody meant. */
function parseHttpDate(text: string): number | undefined {
  const match = IMF_FIXDATE.exec(text);
  if (!match) return undefined;
  const [, day, monthName, year, hour, minute, second] = match;
  const month = MONTHS.indexOf(monthName!);
  const at = Date.UTC(Number(year), month, Number(day), Number(hour), Number(minute), Number(second));
  return month < 0 || new Date(at).getUTCDate() !== Number(day) ? undefined : at;
}
