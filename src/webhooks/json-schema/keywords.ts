/** The rule of each keyword of JSON Schema, and its cost. */
import { lengthOf } from '../../platform/http/requests/text-formats';
import { fieldAt, isJsonObject } from '../../platform/http/requests/json-body';
import { FORMATS } from './formats';
import type { Schema, SchemaObject } from './validator';

const MAX_SHOWN = 200;

/** The interface of one evaluation to a rule. */
export interface Evaluation {
  /** Whether faults are of no interest now. */
  readonly isQuiet: boolean;
  /** Whether the value fits the schema. */
  apply(schema: Schema, value: unknown): boolean;
  /** The same for something in the value. */
  applyAt(key: string | number, schema: Schema, value: unknown): boolean;
  /** Whether the value fits the schema, without reporting faults. */
  isValid(schema: Schema, value: unknown): boolean;
  /** Whether all checks pass; each pays for itself, and all run if faults are reported. */
  every<T>(list: readonly T[], check: (entry: T, index: number) => boolean): boolean;
  /** The schema that a reference names. */
  target(reference: string): Schema;
  /** `message` is evaluated only for a report: most mismatches are one of several alternatives. */
  fail(code: string, message: () => string): false;
  failAt(key: string | number, code: string, message: () => string): false;
  /** Pays for so many steps; throws when the budget is used up. */
  spend(steps: number): void;
  spendOnText(text: string): void;
}

/** Whether a value satisfies a keyword of its schema; faults are reported to the evaluation. */
export type Rule = (argument: never, value: never, on: Evaluation, schema: SchemaObject) => boolean;

export type Kind = 'null' | 'boolean' | 'number' | 'string' | 'array' | 'object';

export function kindOf(value: unknown): Kind {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : (typeof value as Kind);
}

const WORDS: Readonly<Record<string, string>> = {
  null: 'null',
  boolean: 'true or false',
  integer: 'a whole number',
  number: 'a number',
  string: 'a string',
  array: 'a list',
  object: 'an object',
};

function inWords(types: string | readonly string[]): string {
  const words = [types].flat().map((type) => WORDS[type]);
  return words.join(', or ');
}

function isOfType(value: unknown, types: string | readonly string[]): boolean {
  const kind = kindOf(value);
  return [types].flat().some((type) => type === kind || (type === 'integer' && Number.isInteger(value)));
}

/** The rules of all keywords with an effect, and the type of values to which they apply, if not to any. */
export const RULES = new Map<string, { of: Kind | undefined; matches: Rule }>();

/** Adds keywords that apply to values of one type, or of any. */
function add<A, V>(
  of: Kind | undefined,
  rules: Record<string, (argument: A, value: V, on: Evaluation, schema: SchemaObject) => boolean>,
): void {
  for (const [keyword, matches] of Object.entries(rules)) RULES.set(keyword, { of, matches });
}

add<string | string[], unknown>(undefined, {
  type: (types, value, on) => isOfType(value, types) || on.fail('type', () => `must be ${inWords(types)}`),
});
add<unknown, unknown>(undefined, {
  const: (expected, value, on) =>
    isEqual(expected, value, on) || on.fail('const', () => `must be ${shown([expected])}`),
});
add<unknown[], unknown>(undefined, {
  enum: (allowed, value, on) =>
    isAmong(allowed, value, on) || on.fail('enum', () => `must be one of ${shown(allowed)}`),
});
add<string, unknown>(undefined, {
  $ref: (reference, value, on) => on.apply(on.target(reference), value),
});
add<Schema[], unknown>(undefined, {
  allOf: (schemas, value, on) => on.every(schemas, (schema) => on.apply(schema, value)),
  anyOf: (schemas, value, on) =>
    schemas.some((schema) => on.isValid(schema, value)) || failLikeliest('any_of', schemas, value, on),
  oneOf: (schemas, value, on) => {
    const fitting = schemas.filter((schema) => on.isValid(schema, value)).length;
    if (fitting > 1) return on.fail('one_of', () => 'has more than one of the forms of which it must have one');
    return fitting === 1 || failLikeliest('one_of', schemas, value, on);
  },
});
add<Schema, unknown>(undefined, {
  not: (schema, value, on) => !on.isValid(schema, value) || on.fail('not', () => 'has a form that is not allowed'),
  if: (condition, value, on, { then: yes = true, else: no = true }) =>
    on.apply((on.isValid(condition, value) ? yes : no) as Schema, value),
});

add<number, number>('number', {
  minimum: (least, value, on) => value >= least || on.fail('minimum', () => `must be at least ${least}`),
  maximum: (most, value, on) => value <= most || on.fail('maximum', () => `must be at most ${most}`),
  exclusiveMinimum: (limit, value, on) =>
    value > limit || on.fail('exclusive_minimum', () => `must be more than ${limit}`),
  exclusiveMaximum: (limit, value, on) =>
    value < limit || on.fail('exclusive_maximum', () => `must be less than ${limit}`),
  multipleOf: (divisor, value, on) => {
    on.spend(30);
    return isMultiple(value, divisor) || on.fail('multiple_of', () => `must be a multiple of ${divisor}`);
  },
});

add<number, string>('string', {
  minLength: (least, text, on) =>
    hasLength(text, least, Infinity, on) || on.fail('min_length', () => `must have at least ${least} characters`),
  maxLength: (most, text, on) =>
    hasLength(text, 0, most, on) || on.fail('max_length', () => `must have at most ${most} characters`),
});
add<string, string>('string', {
  format: (name, text, on) => {
    const format = FORMATS.get(name);
    if (!format) return true;
    on.spend(10 + Math.min(text.length, format.max));
    return (
      (text.length <= format.max && format.matches(text)) || on.fail('format', () => `must have the format ${name}`)
    );
  },
});

add<number, unknown[]>('array', {
  minItems: (least, list, on) =>
    list.length >= least || on.fail('min_items', () => `must have at least ${least} entries`),
  maxItems: (most, list, on) => list.length <= most || on.fail('max_items', () => `must have at most ${most} entries`),
});
add<Schema[], unknown[]>('array', {
  prefixItems: (schemas, list, on) => {
    on.spend(schemas.length);
    return on.every(schemas, (schema, index) => index >= list.length || on.applyAt(index, schema, list[index]));
  },
});
add<Schema, unknown[]>('array', {
  items: (schema, list, on, { prefixItems = [] }) => {
    const first = (prefixItems as Schema[]).length;
    on.spend(first);
    return on.every(list, (entry, index) => index < first || on.applyAt(index, schema, entry));
  },
  contains: (schema, list, on, { minContains = 1, maxContains = Infinity }) => {
    const [least, most] = [minContains as number, maxContains as number];
    const found = list.filter((entry) => on.isValid(schema, entry)).length;
    if (found < least) return on.fail('contains', () => `must have at least ${least} entries of the form asked for`);
    return found <= most || on.fail('contains', () => `must have at most ${most} entries of the form asked for`);
  },
});
add<boolean, unknown[]>('array', {
  uniqueItems: (unique, list, on) => {
    if (!unique) return true;
    // In texts that are the same for equal values: comparing each with each would cost by the square.
    const texts = new Set(list.map((entry) => canonical(entry, on)));
    return texts.size === list.length || on.fail('unique_items', () => 'must not have the same entry twice');
  },
});

add<number, SchemaObject>('object', {
  minProperties: (least, object, on) => {
    const count = keysOf(object, on).length;
    return count >= least || on.fail('min_properties', () => `must have at least ${least} fields`);
  },
  maxProperties: (most, object, on) => {
    const count = keysOf(object, on).length;
    return count <= most || on.fail('max_properties', () => `must have at most ${most} fields`);
  },
});
add<string[], SchemaObject>('object', {
  required: (names, object, on) => hasAll(names, object, on, () => 'is required'),
});
add<Record<string, string[]>, SchemaObject>('object', {
  dependentRequired: (map, object, on) =>
    on.every(
      namesIn(map, on),
      (given) =>
        !Object.hasOwn(object, given) ||
        hasAll(map[given] as string[], object, on, () => `is required beside ${fieldAt([given])}`),
    ),
});
add<Record<string, Schema>, SchemaObject>('object', {
  properties: (schemas, object, on) =>
    on.every(
      namesIn(schemas, on),
      (name) => !Object.hasOwn(object, name) || on.applyAt(name, schemas[name] as Schema, object[name]),
    ),
  dependentSchemas: (schemas, object, on) =>
    on.every(namesIn(schemas, on), (name) => !Object.hasOwn(object, name) || on.apply(schemas[name] as Schema, object)),
});
add<Schema, SchemaObject>('object', {
  additionalProperties: (schema, object, on, { properties = {} }) =>
    on.every(
      keysOf(object, on),
      (name) => Object.hasOwn(properties as object, name) || on.applyAt(name, schema, object[name]),
    ),
  propertyNames: (schema, object, on) =>
    on.every(
      keysOf(object, on),
      (name) => on.isValid(schema, name) || on.failAt(name, 'property_names', () => 'has a name that is not allowed'),
    ),
});

/** Whether two JSON values are equal; the order of keys does not matter. */
function isEqual(a: unknown, b: unknown, on: Evaluation): boolean {
  on.spend(1);
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) {
    if (typeof a === 'string' && typeof b === 'string' && a.length === b.length) on.spendOnText(a);
    return a === b;
  }
  if (Array.isArray(a) || Array.isArray(b)) {
    if (!Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return false;
    return a.every((entry, index) => isEqual(entry, b[index], on));
  }
  const [keys, others] = [Object.keys(a), Object.keys(b)];
  on.spend(keys.length + others.length);
  if (keys.length !== others.length) return false;
  return keys.every((key) => Object.hasOwn(b, key) && isEqual((a as SchemaObject)[key], (b as SchemaObject)[key], on));
}

/**
 * Whether a text has so many characters, of one or two UTF-16 units each; they are counted only if the length does not
 * decide.
 */
function hasLength(text: string, least: number, most: number, on: Evaluation): boolean {
  if (text.length < least || text.length > 2 * most) return false;
  if (text.length >= 2 * least && text.length <= most) return true;
  on.spendOnText(text);
  const length = lengthOf(text);
  return length >= least && length <= most;
}

function isAmong(allowed: readonly unknown[], value: unknown, on: Evaluation): boolean {
  if (typeof value === 'object' && value !== null) return allowed.some((entry) => isEqual(entry, value, on));
  // Finding a word in a long list is much faster than finding an object.
  on.spend(Math.ceil(allowed.length / 16));
  return allowed.includes(value);
}

function hasAll(names: readonly string[], object: SchemaObject, on: Evaluation, message: () => string): boolean {
  spendOnNames(names, on);
  return on.every(names, (name) => Object.hasOwn(object, name) || on.failAt(name, 'required', message));
}

/** Names that a schema lists are few, and looked up quickly. */
function spendOnNames(names: readonly string[], on: Evaluation): void {
  on.spend(Math.ceil(names.length / 4));
}

function namesIn(map: SchemaObject, on: Evaluation): string[] {
  const names = Object.keys(map);
  spendOnNames(names, on);
  return names;
}

function keysOf(object: SchemaObject, on: Evaluation): string[] {
  const keys = Object.keys(object);
  on.spend(2 * keys.length);
  return keys;
}

/**
 * Fails without a matching alternative. If only one of them is for values of this type, as in "an address, or null",
 * its own faults are reported.
 */
function failLikeliest(code: string, schemas: readonly Schema[], value: unknown, on: Evaluation): false {
  if (on.isQuiet) return false;
  const likely = schemas.filter((schema) => {
    const target = isJsonObject(schema) && typeof schema.$ref === 'string' ? on.target(schema.$ref) : schema;
    on.spend(1);
    return !isJsonObject(target) || target.type === undefined || isOfType(value, target.type as string | string[]);
  });
  if (likely.length === 1) on.apply(likely[0] as Schema, value);
  else on.fail(code, () => 'has none of the forms that are allowed here');
  return false;
}

/** Values in a form for people, cut short. */
function shown(values: readonly unknown[]): string {
  const text = values.map((value) => JSON.stringify(value)).join(', ');
  return text.length <= MAX_SHOWN ? text : `${text.slice(0, MAX_SHOWN).replace(/[\ud800-\udbff]$/, '')}…`;
}

/** A text that two values of JSON have in common exactly if they are equal. */
function canonical(value: unknown, on: Evaluation): string {
  on.spend(2);
  if (typeof value === 'string') on.spendOnText(value);
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  // Not by join(), which copies nested parts once per level.
  let text = '';
  if (Array.isArray(value)) {
    for (const entry of value) text += `${canonical(entry, on)},`;
    return `[${text}]`;
  }
  for (const key of keysOf(value as SchemaObject, on).sort()) {
    on.spendOnText(key);
    text += `${JSON.stringify(key)}:${canonical((value as SchemaObject)[key], on)},`;
  }
  return `{${text}}`;
}

/** Whether one number is a multiple of another, as the decimals that they are written as: 0.3 is one of 0.1. */
function isMultiple(value: number, divisor: number): boolean {
  if (Number.isSafeInteger(value) && Number.isSafeInteger(divisor)) return value % divisor === 0;
  const [a, b] = [decimalOf(value), decimalOf(divisor)];
  const shift = (exponent: number) => 10n ** BigInt(exponent - Math.min(a.exponent, b.exponent));
  return (a.digits * shift(a.exponent)) % (b.digits * shift(b.exponent)) === 0n;
}

function decimalOf(number: number): { digits: bigint; exponent: number } {
  const [mantissa = '', exponent = ''] = number.toExponential().split('e');
  const [whole = '', fraction = ''] = mantissa.split('.');
  return { digits: BigInt(whole + fraction), exponent: Number(exponent) - fraction.length };
}
