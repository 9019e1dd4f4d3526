import { UnsafeNumber } from './json-body';

/**
 * A text that is equal for two values exactly if they have the same meaning: members in the order of their names. In an
 * object that a DTO describes, null means the same as an absent member; in free-form data it does not. A number that a
 * double may not hold counts by its source text.
 */
export function canonicalJson(value: unknown): string {
  if (value === undefined) return 'null';
  if (value instanceof UnsafeNumber) return value.source;
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value !== 'object' || value === null || value instanceof Date) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  const { canonicalForm } = value as { canonicalForm?: unknown };
  if (typeof canonicalForm === 'function') return canonicalJson(canonicalForm.call(value));
  const described = Object.getPrototypeOf(value) !== Object.prototype;
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined && !(described && member === null))
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonicalJson(member)}`).join(',')}}`;
}
