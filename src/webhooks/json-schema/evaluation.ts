/**
 * Validates the data of events against a tenant's JSON Schema (draft 2020-12). The schema is interpreted, and each step
 * is paid from a fixed budget: schemas that multiply through `anyOf` and `$ref` can be exponential, so the work is
 * bounded and not the form.
 */
import type { FieldFault } from '../../platform/errors';
import { fieldAt } from '../../platform/http/requests/json-body';
import { resolveReference, type Schema, type SchemaObject } from './validator';
import { type Evaluation, type Kind, kindOf, RULES, type Rule } from './keywords';

/** Steps that one check may take; ADR 0032 has the cost of the worst of them. */
const MAX_STEPS = 100_000;
const MAX_FAULTS = 100;
/** Characters that are compared in the time of a step. */
const CHARACTERS_A_STEP = 32;
/** The cost of reporting a fault, in steps. */
const STEPS_OF_A_FAULT = 100;

/**
 * The violations of a schema without faults in the data, as faults of `field` and below; at most one for each place.
 * @param onCost receives the number of steps of the check
 */
export function dataFaults(
  schema: SchemaObject,
  data: unknown,
  field = 'data',
  onCost?: (steps: number) => void,
): FieldFault[] {
  const check = new Evaluator(schema, field);
  try {
    check.apply(schema, data);
  } catch (error) {
    if (error === TOO_COSTLY) {
      const message = 'takes too many steps to check against the schema of its type';
      return [{ field, message, code: 'too_costly' }];
    }
    if (error !== ENOUGH_FAULTS) throw error;
  } finally {
    onCost?.(check.stepsTaken);
  }
  return check.faults;
}

const TOO_COSTLY = Symbol('the steps are used up');
const ENOUGH_FAULTS = Symbol('there is no room for more faults');

class Evaluator implements Evaluation {
  readonly faults: FieldFault[] = [];
  private readonly seen = new Set<string>();
  private readonly targets = new Map<string, Schema>();
  private readonly path: (string | number)[];
  private steps = MAX_STEPS;
  /** Above 0 no fault is reported, and the first mismatch decides. */
  private quiet = 0;

  constructor(
    readonly root: SchemaObject,
    field: string,
  ) {
    this.path = [field];
  }

  get stepsTaken(): number {
    return Math.min(MAX_STEPS, MAX_STEPS - this.steps);
  }

  get isQuiet(): boolean {
    return this.quiet > 0;
  }

  apply(schema: Schema, value: unknown): boolean {
    if (typeof schema === 'boolean') {
      this.spend(1);
      return schema || this.fail('not_allowed', () => 'is not allowed here');
    }
    const rules = rulesOf(schema);
    this.spend(1 + rules.length);
    const kind = kindOf(value);
    return this.every(rules, ({ of, matches: isValid, argument }) => {
      if (of !== undefined && of !== kind) return true;
      return isValid(argument as never, value as never, this, schema);
    });
  }

  applyAt(key: string | number, schema: Schema, value: unknown): boolean {
    this.path.push(key);
    const isValid = this.apply(schema, value);
    this.path.pop();
    return isValid;
  }

  isValid(schema: Schema, value: unknown): boolean {
    this.quiet++;
    const isValid = this.apply(schema, value);
    this.quiet--;
    return isValid;
  }

  every<T>(list: readonly T[], check: (entry: T, index: number) => boolean): boolean {
    let isValid = true;
    for (let index = 0; index < list.length; index++) {
      if (check(list[index] as T, index)) continue;
      isValid = false;
      if (this.isQuiet) break;
    }
    return isValid;
  }

  target(reference: string): Schema {
    let target = this.targets.get(reference);
    if (target === undefined) {
      target = resolveReference(this.root, reference) ?? true;
      this.targets.set(reference, target);
    }
    return target;
  }

  fail(code: string, message: () => string): false {
    if (this.isQuiet) return false;
    this.spend(STEPS_OF_A_FAULT);
    const field = fieldAt(this.path);
    // Of several faults of a place the first is reported, as everywhere.
    if (this.seen.has(field)) return false;
    this.seen.add(field);
    this.faults.push({ field, message: message(), code });
    if (this.faults.length >= MAX_FAULTS) throw ENOUGH_FAULTS;
    return false;
  }

  failAt(key: string | number, code: string, message: () => string): false {
    this.path.push(key);
    this.fail(code, message);
    this.path.pop();
    return false;
  }

  spend(steps: number): void {
    this.steps -= steps;
    if (this.steps < 0) throw TOO_COSTLY;
  }

  spendOnText(text: string): void {
    this.spend(1 + Math.floor(text.length / CHARACTERS_A_STEP));
  }
}

type BoundRule = { of: Kind | undefined; matches: Rule; argument: unknown };
/** Kept as long as the schema, since every check reads it. */
const rulesOfSchema = new WeakMap<SchemaObject, readonly BoundRule[]>();

function rulesOf(schema: SchemaObject): readonly BoundRule[] {
  const known = rulesOfSchema.get(schema);
  if (known) return known;
  const rules = Object.keys(schema).flatMap((keyword) => {
    const rule = RULES.get(keyword);
    return rule ? [{ of: rule.of, matches: rule.matches, argument: schema[keyword] }] : [];
  });
  rulesOfSchema.set(schema, rules);
  return rules;
}
