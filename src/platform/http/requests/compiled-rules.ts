/**
 * The rules of a DTO as a flat list of functions, made once from class-validator's metadata. The library looks its
 * metadata up and builds an error object for each field of each request, which costs more than all else that a create
 * does before its statement. The functions are the library's own, so the verdict is the same; only the words of a
 * refusal are left to it (see `validation.pipe.ts`).
 */
import {
  getMetadataStorage,
  type ValidationArguments,
  type ValidatorConstraintInterface,
  ValidationTypes,
} from 'class-validator';
import { knownFields } from './field-declaration';

type Constructor = new () => object;
type Fields = Record<string, unknown>;
type Condition = (object: object, value: unknown) => boolean;

/** A rule with the arguments that the library would call it with; `object` and `value` are set for each call. */
interface Rule {
  constraint: ValidatorConstraintInterface;
  args: ValidationArguments;
}

interface CheckedField {
  name: string;
  conditions: readonly Condition[];
  rules: readonly Rule[];
}

/** Reads an object of fields as an instance of the DTO; undefined if a rule refuses it, or may refuse it. */
export type CompiledReader = (fields: Fields) => object | undefined;

/** Compiles the reading of a DTO. Lists of objects in it are left as they are: their items have DTOs of their own. */
export function compileReader(dto: Constructor): CompiledReader {
  const known = knownFields(dto);
  const checked = checkedFields(dto);
  return (fields) => {
    const instance = new dto() as Fields;
    for (const name of Object.keys(fields)) {
      const field = known.get(name);
      if (!field) return undefined;
      const value = fields[name];
      // An unexpected object: the library's way, which decomposes it safely.
      if (typeof value === 'object' && value !== null && !field.asParsed) return undefined;
      instance[name] = field.read ? field.read(value) : value;
    }
    return checked.every((field) => isValid(field, instance)) ? instance : undefined;
  };
}

function isValid({ name, conditions, rules }: CheckedField, instance: Fields): boolean {
  const value = instance[name];
  for (const condition of conditions) if (!condition(instance, value)) return true;
  for (const { constraint, args } of rules) {
    args.object = instance;
    args.value = value;
    if (constraint.validate(value, args) !== true) return false;
  }
  return true;
}

function checkedFields(dto: Constructor): CheckedField[] {
  const storage = getMetadataStorage();
  const byName = storage.groupByPropertyName(storage.getTargetValidationMetadatas(dto, '', false, false));
  return Object.entries(byName).map(([name, metadata]) => {
    const conditions: Condition[] = [];
    const rules: Rule[] = [];
    for (const { type, constraints, constraintCls } of metadata) {
      if (type === ValidationTypes.CONDITIONAL_VALIDATION) {
        conditions.push(constraints[0] as Condition);
        continue;
      }
      if (type !== ValidationTypes.CUSTOM_VALIDATION) throw new Error(`${dto.name}.${name}: no rule of ours`);
      const args = { targetName: dto.name, property: name, object: {}, value: undefined, constraints };
      for (const { instance } of storage.getTargetValidatorConstraints(constraintCls)) {
        rules.push({ constraint: instance, args });
      }
    }
    return { name, conditions, rules };
  });
}
