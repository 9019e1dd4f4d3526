/** The parts of the decorators in `fields.ts`: the declaration of a field, its rules and its documentation. */
import { applyDecorators } from '@nestjs/common';
import { ApiProperty, type ApiPropertyOptions } from '@nestjs/swagger';
import { Transform } from 'class-transformer';
import { IsOptional, ValidateBy, ValidateIf } from 'class-validator';
import type { FieldFault } from '../../errors';

/** The class of a DTO. */
export type Constructor = new () => object;

/** Options of every field. */
export interface FieldOptions {
  description: string;
  example?: unknown;
  optional?: boolean;
  /** An optional field that may also be null. */
  nullable?: boolean;
  /** Shown in the document; fields of a body have none. */
  default?: unknown;
}

/** A DTO with rules over several fields; its faults are reported together with those of its fields. */
export interface CrossChecked {
  crossCheck(): FieldFault[];
}

interface KnownField {
  nested?: { type: Constructor; max: number };
  /** A time, in whose offset a bare `+` of a query arrives as a space. */
  time?: boolean;
  /** Reads the value before the rules see it. */
  read?: (value: unknown) => unknown;
  /** The value may be an object or a list, and stays as it was parsed. */
  asParsed?: boolean;
}

const fieldsOfClass = new WeakMap<object, Map<string, KnownField>>();

/** Adds the declarations of one decorator to those of the others. */
function declare(known: KnownField): PropertyDecorator {
  return (target, name) => {
    const fields = fieldsOfClass.get(target) ?? new Map<string, KnownField>();
    fieldsOfClass.set(target, fields.set(String(name), { ...fields.get(String(name)), ...known }));
  };
}

/** The fields a DTO declares, its parents' included. */
export function knownFields(dto: Constructor): Map<string, KnownField> {
  const own = fieldsOfClass.get(dto.prototype as object) ?? new Map<string, KnownField>();
  const parent = Object.getPrototypeOf(dto) as Constructor | null;
  return parent?.prototype ? new Map([...knownFields(parent), ...own]) : own;
}

/** Combines the documentation, the presence and the rules of a field. */
export function field(
  options: FieldOptions,
  api: ApiPropertyOptions,
  rules: PropertyDecorator[],
  known: KnownField = {},
) {
  const presence = options.nullable
    ? [IsOptional()]
    : options.optional
      ? [ValidateIf((_: object, value: unknown) => value !== undefined)]
      : [rule('required', (value) => (value === undefined ? 'is required' : undefined))];
  const documented = ApiProperty({
    description: options.description,
    ...(options.example !== undefined ? { example: options.example } : {}),
    ...(options.default !== undefined ? { default: options.default } : {}),
    required: !(options.optional || options.nullable),
    ...(options.nullable ? { nullable: true } : {}),
    ...api,
  } as ApiPropertyOptions);
  // Of several faults of a field the first is reported, in the order of the rules here.
  return applyDecorators(declare(known), documented, ...presence, ...rules);
}

/** A custom rule: `check` returns the fault, or undefined. */
export function rule(code: string, check: (value: unknown, object: object) => string | undefined): PropertyDecorator {
  return ValidateBy({
    name: code,
    validator: {
      validate: (value, args) => check(value, args?.object ?? {}) === undefined,
      defaultMessage: (args) => check(args?.value, args?.object ?? {}) ?? '',
    },
  });
}

/**
 * Wraps an object or list so that class-transformer does not rebuild it: that would drop keys such as `__proto__`, and
 * fail on a key `constructor`.
 */
export class Parsed {
  readonly #value: unknown;

  constructor(value?: unknown) {
    this.#value = value;
  }

  static unwrap(value: unknown): unknown {
    return value instanceof Parsed ? value.#value : value;
  }
}

/** Takes the value exactly as it was parsed. */
export const AsParsed = () =>
  applyDecorators(
    Transform(({ obj, key }: { obj: Record<string, unknown>; key: string }) => Parsed.unwrap(obj[key])),
    declare({ asParsed: true }),
  );

/** Reads a field's value, one that is no object, before its rules see it. */
export function ReadAs(read: (value: unknown) => unknown): PropertyDecorator {
  return applyDecorators(
    Transform(({ value }: { value: unknown }) => read(value)),
    declare({ read }),
  );
}
