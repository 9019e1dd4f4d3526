/**
 * The values of `format` in a tenant's schema. Each text is bounded before a regular expression sees it, and no
 * expression can backtrack, so that the cost is linear in the length of the text.
 */
import { isIPv4, isIPv6 } from 'node:net';
import { isEmail, isUuid } from '../../platform/http/requests/text-formats';

const DATE = /^(\d{4})-(\d{2})-(\d{2})$/;
const TIME = /^([01]\d|2[0-3]):([0-5]\d):([0-5]\d|60)(?:\.\d+)?(?:z|([+-])([01]\d|2[0-3]):([0-5]\d))$/i;
const LABEL = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/i;
const URI = /^[a-z][a-z0-9+.-]*:(?:[a-z0-9\-._~:/?#[\]@!$&'()*+,;=]|%[0-9a-f]{2})*$/i;
const MINUTES_OF_DAY = 24 * 60;

interface Format {
  /** In UTF-16 units; anything longer is not of this format. */
  max: number;
  matches: (text: string) => boolean;
}

/** Every format that is checked, by its name in JSON Schema. */
export const FORMATS: ReadonlyMap<string, Format> = new Map(
  Object.entries({
    date: { max: 10, matches: isDate },
    time: { max: 64, matches: isTime },
    'date-time': {
      max: 75,
      matches: (text) => isDate(text.slice(0, 10)) && /^t/i.test(text[10] ?? '') && isTime(text.slice(11)),
    },
    email: { max: 254, matches: isEmail },
    hostname: {
      max: 253,
      matches: (text) => text.split('.').every((label) => label.length <= 63 && LABEL.test(label)),
    },
    ipv4: { max: 15, matches: isIPv4 },
    // A zone (`fe80::1%eth0`) is meaningful on one machine only.
    ipv6: { max: 45, matches: (text) => isIPv6(text) && !text.includes('%') },
    uri: { max: 2048, matches: (text) => URI.test(text) },
    uuid: { max: 36, matches: (text) => isUuid(text.toLowerCase()) },
  } satisfies Record<string, Format>),
);

function isDate(text: string): boolean {
  const [, year, month, day] = (DATE.exec(text) ?? []).map(Number);
  if (year === undefined || month === undefined || day === undefined) return false;
  // Day 0 of the next month is the last of this one. A leap year in every 400 is one of the year 2000's kind.
  return month >= 1 && month <= 12 && day >= 1 && day <= new Date(Date.UTC(2000 + (year % 400), month, 0)).getUTCDate();
}

/** A time of RFC 3339; its leap second is the last one of a day in UTC. */
function isTime(text: string): boolean {
  const match = TIME.exec(text);
  if (!match) return false;
  if (match[3] !== '60') return true;
  const offset = (Number(match[5] ?? 0) * 60 + Number(match[6] ?? 0)) * (match[4] === '-' ? -1 : 1);
  const utc = Number(match[1]) * 60 + Number(match[2]) - offset;
  return (utc + MINUTES_OF_DAY) % MINUTES_OF_DAY === MINUTES_OF_DAY - 1;
}
