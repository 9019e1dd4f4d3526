import fc from 'fast-check';
import { formatDuration, nextDelay, parseDuration, parseRetryAfter, parseRetrySchedule } from './retry-schedule';

const SECOND = 1_000;
const DAY = 86_400_000;
const middle = () => 0.5;
const lowest = () => 0;
const highest = () => 0.999999999;

describe('parseDuration', () => {
  it.each([
    ['200ms', 200],
    ['0s', 0],
    ['5s', 5_000],
    [' 5m ', 300_000],
    ['2h', 7_200_000],
    ['7d', 604_800_000],
  ])('reads %j', (text, expected) => expect(parseDuration(text)).toBe(expected));

  it.each([
    '',
    '5',
    's',
    '-5s',
    '1.5s',
    '5 s',
    '5S',
    '5sec',
    '1e3ms',
    '5s5m',
    '٥s',
    '9999999999999999s',
    'Infinitys',
    '0x5s',
  ])('refuses %j and says how to write one', (text) =>
    expect(() => parseDuration(text)).toThrow(/is not a duration: write a whole number/),
  );

  it('keeps to its bounds and names them', () => {
    expect(() => parseDuration('99ms', { min: 100 })).toThrow('"99ms" is too short: at least 100ms');
    expect(() => parseDuration('2h', { max: 3_600_000 })).toThrow('"2h" is too long: at most 1h');
    expect(parseDuration('1h', { min: 3_600_000, max: 3_600_000 })).toBe(3_600_000);
  });

  it('reads back what formatDuration writes', () => {
    fc.assert(
      fc.property(fc.nat(), (milliseconds) => expect(parseDuration(formatDuration(milliseconds))).toBe(milliseconds)),
    );
  });
});

describe('parseRetrySchedule', () => {
  it('has the documented default', () => {
    expect(parseRetrySchedule().map(formatDuration)).toEqual([
      '5s',
      '5m',
      '30m',
      '2h',
      '5h',
      '10h',
      '14h',
      '20h',
      '1d',
    ]);
  });

  it.each([
    ['', []],
    ['  ', []],
    ['200ms,5s,5m', [200, 5_000, 300_000]],
    ['1ms, 7d', [1, 7 * DAY]],
  ])('reads %j', (text, expected) => expect(parseRetrySchedule(text)).toEqual(expected));

  it.each([
    ['5s,,5m', 'retry 2: "" is not a duration'],
    ['5s,', 'retry 2: "" is not a duration'],
    ['5s,5', 'retry 2: "5" is not a duration'],
    ['0ms', 'retry 1: "0ms" is too short: at least 1ms'],
    ['5s,8d', 'retry 2: "8d" is too long: at most 7d'],
    [Array(51).fill('1s').join(','), 'at most 50 entries, this one has 51'],
  ])('refuses %j', (text, message) => expect(() => parseRetrySchedule(text)).toThrow(message));

  it('takes fifty entries', () => expect(parseRetrySchedule(Array(50).fill('1s').join(','))).toHaveLength(50));
});

describe('parseRetryAfter', () => {
  const now = new Date('2026-01-31T12:00:00.500Z');

  it.each([
    ['0', 0],
    ['120', 120 * SECOND],
    [' 7 ', 7 * SECOND],
    ['86400', DAY],
    ['86401', DAY],
    ['99999999999999999999', DAY],
    ['Sat, 31 Jan 2026 12:00:30 GMT', 29_500],
    ['Sat, 31 Jan 2026 11:00:00 GMT', 0],
    ['Tue, 31 Dec 2099 23:59:59 GMT', DAY],
  ])('reads %j', (text, expected) => expect(parseRetryAfter(text, now)).toBe(expected));

  it.each([
    '',
    'soon',
    '-1',
    '1.5',
    '1e9',
    '0x10',
    '2026-02-01T00:00:00Z',
    'Sat, 31 Feb 2026 12:00:30 GMT',
    'Sat, 31 Xyz 2026 12:00:30 GMT',
    'Sat, 31 Jan 2026 12:00:30 CET',
    '5, 6',
    '9'.repeat(400),
  ])('makes nothing of %j', (text) => expect(parseRetryAfter(text, now)).toBeUndefined());
});

describe('nextDelay', () => {
  const schedule = [5_000, 300_000];

  it('walks the schedule and then stops', () => {
    expect(nextDelay({ attempt: 1, schedule, random: middle })).toBe(5_000);
    expect(nextDelay({ attempt: 2, schedule, random: middle })).toBe(300_000);
    expect(nextDelay({ attempt: 3, schedule, random: middle })).toBeUndefined();
    expect(nextDelay({ attempt: 1, schedule: [], random: middle })).toBeUndefined();
  });

  it('spreads by a fifth in both directions', () => {
    expect(nextDelay({ attempt: 1, schedule, random: lowest })).toBe(4_000);
    expect(nextDelay({ attempt: 1, schedule, random: highest })).toBe(6_000);
    expect(nextDelay({ attempt: 1, schedule: [1], random: lowest })).toBe(1);
  });

  it('takes Retry-After as a floor that jitter only adds to', () => {
    expect(nextDelay({ attempt: 1, schedule, retryAfter: '60', random: lowest })).toBe(60_000);
    expect(nextDelay({ attempt: 1, schedule, retryAfter: '60', random: highest })).toBe(72_000);
    expect(nextDelay({ attempt: 2, schedule, retryAfter: '60', random: lowest })).toBe(300_000);
    expect(nextDelay({ attempt: 1, schedule, retryAfter: '999999999', random: lowest })).toBe(DAY);
    expect(
      nextDelay({
        attempt: 1,
        schedule,
        retryAfter: 'Sat, 31 Jan 2026 12:01:00 GMT',
        now: new Date('2026-01-31T12:00:00Z'),
        random: lowest,
      }),
    ).toBe(60_000);
  });

  it('does not let Retry-After add a retry, nor nonsense change one', () => {
    expect(nextDelay({ attempt: 3, schedule, retryAfter: '60', random: middle })).toBeUndefined();
    expect(nextDelay({ attempt: 1, schedule, retryAfter: 'soon', random: middle })).toBe(5_000);
  });

  it('holds for any schedule, any answer and any dice', () => {
    const question = fc.record({
      wait: fc.integer({ min: 1, max: 7 * DAY }),
      dice: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      retryAfter: fc.option(fc.nat({ max: 200_000 }), { nil: undefined }),
    });
    fc.assert(
      fc.property(question, ({ wait, dice, retryAfter }) => {
        const delay = nextDelay({
          attempt: 1,
          schedule: [wait],
          retryAfter: retryAfter?.toString(),
          random: () => dice,
        })!;
        const floor = Math.min((retryAfter ?? 0) * SECOND, DAY);
        expect(Number.isSafeInteger(delay)).toBe(true);
        expect(delay).toBeGreaterThanOrEqual(Math.max(floor, Math.round(wait * 0.8), 1));
        expect(delay).toBeLessThanOrEqual(Math.ceil(Math.max(wait, floor) * 1.2));
      }),
    );
  });

  it.each([0, -1, 1.5, Number.NaN])('refuses attempt %p', (attempt) =>
    expect(() => nextDelay({ attempt, schedule })).toThrow(RangeError),
  );
});
