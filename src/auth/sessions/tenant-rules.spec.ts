import { demandsFactor, endByRules, isAllowed } from './tenant-rules';

const NOON = new Date('2026-01-31T12:00:00Z');
const daysBefore = (days: number) => new Date(NOON.getTime() - days * 86_400_000);

describe('endByRules', () => {
  it('takes the earlier of idle and longest', () => {
    const rules = { session_idle_minutes: 60, session_max_days: 1 };
    expect(endByRules(rules, NOON, NOON)).toEqual(new Date('2026-01-31T13:00:00Z'));
    expect(endByRules(rules, NOON, daysBefore(1))).toEqual(NOON);
  });
  it('has no end without rules', () => {
    expect(endByRules({ session_idle_minutes: null, session_max_days: null }, NOON, NOON)).toBeUndefined();
  });
});

describe('demandsFactor', () => {
  const rule = { second_factor: 'required', second_factor_grace_days: 7, second_factor_since: daysBefore(8) } as const;
  it('waits for the grace, from the later of policy and joining', () => {
    expect(demandsFactor({ ...rule, joined_at: daysBefore(30) }, NOON)).toBe(true);
    expect(demandsFactor({ ...rule, joined_at: daysBefore(6) }, NOON)).toBe(false);
    expect(demandsFactor({ ...rule, second_factor: 'optional', joined_at: daysBefore(30) }, NOON)).toBe(false);
  });
});

describe('isAllowed', () => {
  it.each([
    [[], '203.0.113.9', true],
    [['203.0.113.0/24'], '203.0.113.9', true],
    [['203.0.113.0/24'], '203.0.114.9', false],
    [['2001:db8::/32'], '2001:db8::1', true],
    [['2001:db8::/32'], '203.0.113.9', false],
  ])('of %j and %s: %s', (cidrs, address, allowed) => expect(isAllowed(cidrs, address)).toBe(allowed));
});
