/** The policies of a tenant, as they act on a session. */
import { contains, parseAddress, parseCidr } from '../../platform/net/cidrs';

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

/** A tenant's requirements for sessions, as in a row; null without a tenant. */
export interface TenantRules {
  session_idle_minutes: number | null;
  session_max_days: number | null;
}

/** A tenant's requirements for the second factor, and the start of the person's membership. */
export interface FactorRule {
  second_factor: 'optional' | 'required' | null;
  second_factor_grace_days: number | null;
  second_factor_since: Date | null;
  joined_at: Date | null;
}

/** When a session ends by the rules of its tenant: idle for too long, or too long after the first sign-in. */
export function endByRules(rules: TenantRules, seenAt: Date, signedInAt: Date): Date | undefined {
  const ends = [
    rules.session_idle_minutes === null ? undefined : seenAt.getTime() + rules.session_idle_minutes * MINUTE_MS,
    rules.session_max_days === null ? undefined : signedInAt.getTime() + rules.session_max_days * DAY_MS,
  ].filter((end) => end !== undefined);
  return ends.length === 0 ? undefined : new Date(Math.min(...ends));
}

/**
 * Whether the tenant demands a second factor of the person by now: after the grace, from the later of policy and
 * joining.
 */
export function demandsFactor(rule: FactorRule, now: Date): boolean {
  if (rule.second_factor !== 'required') return false;
  const since = Math.max(rule.second_factor_since?.getTime() ?? 0, rule.joined_at?.getTime() ?? 0);
  return now.getTime() >= since + (rule.second_factor_grace_days ?? 0) * DAY_MS;
}

/** Whether an address is in one of the ranges; without ranges every address is. */
export function isAllowed(cidrs: readonly string[], address: string): boolean {
  if (cidrs.length === 0) return true;
  const parsed = parseAddress(address);
  return parsed !== undefined && cidrs.some((cidr) => contains(parseCidr(cidr), parsed));
}
