/** The rules of a tenant for the sessions and keys that reach it: their form, and the checks of a change. */
import type { FieldFault } from '../../platform/errors';
import { SECOND_FACTOR_RULES, type SecondFactorRule } from '../tenant.entity';
import { cidrListFault } from '../../platform/http/requests/cidr-list.field';

/** The policies as the API shows them. */
export interface Policies {
  second_factor: SecondFactorRule;
  second_factor_grace_days: number;
  session_idle_minutes: number | null;
  session_max_days: number | null;
  allowed_cidrs: string[];
  api_key_max_days: number | null;
}

/** The ranges of the numbers; null, if allowed, means no limit. */
export const POLICY_RANGES = {
  second_factor_grace_days: { min: 0, max: 90, nullable: false },
  session_idle_minutes: { min: 5, max: 43_200, nullable: true },
  session_max_days: { min: 1, max: 365, nullable: true },
  api_key_max_days: { min: 1, max: 3_650, nullable: true },
} as const;

const NAMES = ['second_factor', 'allowed_cidrs', ...Object.keys(POLICY_RANGES)];

/** Everything that is wrong with a change of policies, by fields under `policies`. */
export function policyFaults(value: unknown): FieldFault[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return [{ field: 'policies', message: 'must be an object', code: 'object' }];
  }
  return Object.entries(value).flatMap(([name, entry]) => {
    const fault = faultOf(name, entry);
    return fault ? [{ field: `policies.${name}`, ...fault }] : [];
  });
}

function faultOf(name: string, value: unknown): Omit<FieldFault, 'field'> | undefined {
  if (!NAMES.includes(name)) return { message: 'is not a field of this request', code: 'unknown_field' };
  if (name === 'second_factor') {
    const known = (SECOND_FACTOR_RULES as readonly unknown[]).includes(value);
    return known ? undefined : { message: `must be one of ${SECOND_FACTOR_RULES.join(', ')}`, code: 'isIn' };
  }
  if (name === 'allowed_cidrs') {
    const message = cidrListFault(value);
    return message === undefined ? undefined : { message, code: 'cidrs' };
  }
  const { min, max, nullable } = POLICY_RANGES[name as keyof typeof POLICY_RANGES];
  if (value === null && nullable) return undefined;
  const fits = Number.isInteger(value) && (value as number) >= min && (value as number) <= max;
  return fits ? undefined : { message: `must be a whole number from ${min} to ${max}`, code: 'range' };
}
