import fc from 'fast-check';
import { nextDelay, parseRetryAfter } from './retry-schedule';

const SECOND = 1_000;
const DAY = 86_400_000;
const middle = () => 0.5;
const lowest = () => 0;
const highest = () => 0.999999999;

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
    ['Saturday, 31-Jan-26 12:00:30 GMT', 29_500],
    ['Monday, 31-Jan-77 12:00:30 GMT', 0],
    ['Friday, 31-Jan-75 12:00:30 GMT', DAY],
    ['Sat Jan 31 12:00:30 2026', 29_500],
    ['Sun Feb  1 12:00:00 2026', DAY - 500],
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
    'Saturday, 31 Jan 26 12:00:30 GMT',
    'Sat Jan 31 12:00:30 2026 GMT',
    'Saturday, 31-Feb-26 12:00:30 GMT',
    '9'.repeat(400),
  ])('ignores %j', (text) => expect(parseRetryAfter(text, now)).toBeUndefined());
});

describe('nextDelay', () => {
  const schedule = [5_000, 300_000];

  it('follows the schedule and then stops', () => {
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

  it('takes Retry-After as a minimum, to which jitter only adds', () => {
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

  it('does not let Retry-After add a retry, nor an invalid value change one', () => {
    expect(nextDelay({ attempt: 3, schedule, retryAfter: '60', random: middle })).toBeUndefined();
    expect(nextDelay({ attempt: 1, schedule, retryAfter: 'soon', random: middle })).toBe(5_000);
  });

  it('holds for any schedule, any response and any random value', () => {
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
