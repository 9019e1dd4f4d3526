import { parseCidr } from '../../net/cidrs';
import type { FieldOptions } from './field-declaration';
import { ValueField } from './fields';

/** The longest list of ranges that a request may give. */
export const MAX_CIDRS = 20;

/** A list of ranges of addresses, such as `203.0.113.0/24`. */
export function CidrListField(options: FieldOptions): PropertyDecorator {
  return ValueField({
    ...options,
    api: { type: 'array', items: { type: 'string', maxLength: 50 }, maxItems: MAX_CIDRS },
    code: 'cidrs',
    check: cidrListFault,
  });
}

/** The fault in a list of ranges, or undefined. */
export function cidrListFault(value: unknown): string | undefined {
  if (!Array.isArray(value)) return 'must be a list';
  if (value.length > MAX_CIDRS) return `must have at most ${MAX_CIDRS} entries`;
  for (const entry of value) {
    if (typeof entry !== 'string' || entry.length > 50) return 'must contain ranges such as 203.0.113.0/24';
    try {
      parseCidr(entry);
    } catch (error) {
      return (error as RangeError).message;
    }
  }
  return undefined;
}
