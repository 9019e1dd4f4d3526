/**
 * The schedule of retries: a list of waits, one per retry. A wait is the scheduled time ±20 %, so that deliveries that
 * failed together do not return together. A receiver's `Retry-After` is a minimum, up to a day.
 */

const DAY = 86_400_000;
const JITTER = 0.2;

/** The waits before each retry, in milliseconds: `WEBHOOK_RETRY_SCHEDULE`, as the configuration has read it. */
export type RetrySchedule = readonly number[];

export interface RetryQuestion {
  /** The number of attempts so far, including the failed one: 1 after the first. */
  attempt: number;
  schedule: RetrySchedule;
  /** The `Retry-After` of a 429 or 503 response, as received. */
  retryAfter?: string | undefined;
  /** 0 ≤ random() < 1; injected for exact tests. */
  random?: () => number;
  /** The clock for comparison with an HTTP-date. */
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
  // Never before the time of Retry-After: with a minimum, the jitter only adds.
  if (floor !== undefined) return Math.ceil(Math.max(scheduled, floor) * (1 + JITTER * random()));
  return Math.max(1, Math.round(scheduled * (1 - JITTER + 2 * JITTER * random())));
}

/**
 * The milliseconds of a `Retry-After`, at most a day; undefined if it is neither a number of seconds nor a date of RFC
 * 9110.
 */
export function parseRetryAfter(value: string, now: Date = new Date()): number | undefined {
  const text = value.trim();
  if (/^\d{1,20}$/.test(text)) return Math.min(Number(text) * 1_000, DAY);
  const at = parseHttpDate(text, now);
  return at === undefined ? undefined : Math.min(Math.max(at - now.getTime(), 0), DAY);
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const CLOCK = String.raw`(?<hour>\d{2}):(?<minute>\d{2}):(?<second>\d{2})`;
/** The three forms of a date that a recipient must read (RFC 9110, 5.6.7), the newest first. */
const HTTP_DATES = [
  String.raw`^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (?<day>\d{2}) (?<month>[A-Z][a-z]{2}) (?<year>\d{4}) ${CLOCK} GMT$`,
  String.raw`^(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, (?<day>\d{2})-(?<month>[A-Z][a-z]{2})-(?<short>\d{2}) ${CLOCK} GMT$`,
  String.raw`^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) (?<month>[A-Z][a-z]{2}) (?<day>[ \d]\d) ${CLOCK} (?<year>\d{4})$`,
].map((form) => new RegExp(form));
/** A year of two digits that would be further ahead than this is one of the past. */
const MOST_YEARS_AHEAD = 50;

/** Strict: `Date.parse` also accepts "1", "2026" and local times, which would be misread as a minimum. */
function parseHttpDate(text: string, now: Date): number | undefined {
  const groups = HTTP_DATES.map((form) => form.exec(text)?.groups).find(Boolean);
  if (!groups) return undefined;
  const { day, month = '', year, short, hour, minute, second } = groups;
  const index = MONTHS.indexOf(month);
  const inYear = (full: number): number =>
    Date.UTC(full, index, Number(day), Number(hour), Number(minute), Number(second));
  const at = inYear(short === undefined ? Number(year) : fullYear(Number(short), now));
  return index < 0 || new Date(at).getUTCDate() !== Number(day) ? undefined : at;
}

function fullYear(short: number, now: Date): number {
  const current = now.getUTCFullYear();
  const year = current - (current % 100) + short;
  return year > current + MOST_YEARS_AHEAD ? year - 100 : year;
}
