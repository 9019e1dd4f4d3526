import fc from 'fast-check';
import { schema } from './schema';
import { duration, durations, integer, portOrOff } from './variables';

const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const DAY = UNITS.d;

describe('duration', () => {
  const any = duration({ min: '0ms', max: '1000d', fallback: '5s', doc: '' });

  it.each([
    ['0', 0],
    ['0s', 0],
    ['200ms', 200],
    ['5s', 5_000],
    ['5m', 300_000],
    ['2h', 7_200_000],
    ['7d', 604_800_000],
  ])('reads %j', (text, expected) => expect(any.read(text)).toBe(expected));

  it.each([
    '',
    '5',
    's',
    '-5s',
    '1.5s',
    '5 s',
    ' 5s',
    '5S',
    '5sec',
    '1e3ms',
    '5s5m',
    '٥s',
    '9999999999999999s',
    'Infinitys',
    '0x5s',
  ])('refuses %j and shows the right form', (text) =>
    expect(() => any.read(text)).toThrow('must be a duration from 0ms to 1000d, such as 5s'),
  );

  it('keeps to its bounds, both of them included', () => {
    const bounded = duration({ min: '100ms', max: '1h', fallback: '1s', doc: '' });
    expect(bounded.read('100ms')).toBe(100);
    expect(bounded.read('60m')).toBe(3_600_000);
    for (const text of ['99ms', '0s', '61m', '2h', '3600001ms']) {
      expect(() => bounded.read(text)).toThrow('must be a duration from 100ms to 1h, such as 1s');
    }
  });

  it('reads any number and unit within its bounds', () => {
    const unit = fc.constantFrom(...(Object.keys(UNITS) as (keyof typeof UNITS)[]));
    fc.assert(
      fc.property(fc.nat(1000), unit, (count, name) => expect(any.read(`${count}${name}`)).toBe(count * UNITS[name])),
    );
  });
});

describe('durations', () => {
  const list = durations({ min: '1ms', max: '7d', atMost: 50, fallback: '5s', doc: '' });

  it.each<[string, number[]]>([
    ['5s', [5_000]],
    ['200ms,5s,5m', [200, 5_000, 300_000]],
    ['1ms, 7d', [1, 7 * DAY]],
    [Array(50).fill('1s').join(','), Array<number>(50).fill(1_000)],
  ])('reads %j', (text, expected) => expect(list.read(text)).toEqual(expected));

  it.each([
    ['', 'must list durations from 1ms to 7d, and entry 1 is none'],
    ['5s,,5m', 'entry 2 is none'],
    ['5s,', 'entry 2 is none'],
    ['5s,5', 'entry 2 is none'],
    ['0ms', 'entry 1 is none'],
    ['5s,8d', 'entry 2 is none'],
    ['5s,5m,soon', 'entry 3 is none'],
    [Array(51).fill('1s').join(','), 'must have at most 50 entries'],
  ])('refuses %j', (text, message) => expect(() => list.read(text)).toThrow(message));

  it('has the documented schedule of retries', () => {
    const { fallback } = schema.WEBHOOK_RETRY_SCHEDULE;
    expect(fallback).toBe('5s,5m,30m,2h,5h,10h,14h,20h,24h');
    expect(schema.WEBHOOK_RETRY_SCHEDULE.read(fallback)).toEqual(
      [5_000, 5 * UNITS.m, 30 * UNITS.m, 2, 5, 10, 14, 20, 24].map((wait) => (wait < 100 ? wait * UNITS.h : wait)),
    );
  });
});

describe('a variable with a port', () => {
  it.each([integer({ min: 0, max: 65_535, fallback: 3_000, doc: '' }), portOrOff({ doc: '' })])(
    'says where the address of a Service of Kubernetes comes from',
    (variable) => {
      expect(() => variable.read('tcp://10.0.0.1:80')).toThrow(/ 0 to 65535.*; .*set enableServiceLinks: false/);
      expect(() => variable.read('x')).not.toThrow(/enableServiceLinks/);
    },
  );
});
