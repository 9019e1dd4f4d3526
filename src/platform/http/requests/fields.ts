/**
 * Decorators for the fields of a request: each one is a validation rule (class-validator), a reading rule
 * (class-transformer) and a line of the OpenAPI document at once, so that the three cannot differ.
 */
import { applyDecorators } from '@nestjs/common';
import { ApiProperty, type ApiPropertyOptions } from '@nestjs/swagger';
import { Transform } from 'class-transformer';
import {
  ArrayMaxSize,
  ArrayMinSize,
  IsArray,
  IsBoolean,
  IsIn,
  IsInt,
  IsOptional,
  IsString,
  Max,
  Min,
  ValidateBy,
  ValidateIf,
} from 'class-validator';
import type { FieldFault } from '../../errors';
import { nameFault, textFault } from './json-body';

type Constructor = new () => object;

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
function note(known: KnownField): PropertyDecorator {
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

function field(options: FieldOptions, api: ApiPropertyOptions, rules: PropertyDecorator[], known: KnownField = {}) {
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
  return applyDecorators(note(known), documented, ...presence, ...rules);
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
const AsParsed = () =>
  applyDecorators(
    Transform(({ obj, key }: { obj: Record<string, unknown>; key: string }) => Parsed.unwrap(obj[key])),
    note({ asParsed: true }),
  );

/** Reads a field's value, one that is no object, before its rules see it. */
export function ReadAs(read: (value: unknown) => unknown): PropertyDecorator {
  return applyDecorators(
    Transform(({ value }: { value: unknown }) => read(value)),
    note({ read }),
  );
}

const CleanText = (multiline: boolean) =>
  rule('text', (value) => (typeof value === 'string' ? textFault(value, multiline) : undefined));

/** The length of a text in code points, as JSON Schema counts. */
export function lengthOf(text: string): number {
  let length = text.length;
  for (let i = 1; i < text.length; i++) {
    if ((text.charCodeAt(i) & 0xfc00) === 0xdc00 && (text.charCodeAt(i - 1) & 0xfc00) === 0xd800) length--;
  }
  return length;
}

const Length = (min: number, max: number) => [
  IsString({ message: 'must be a string' }),
  // A character takes one unit or two: most texts are long or short enough without counting.
  rule('min_length', (value) =>
    typeof value === 'string' && value.length < 2 * min && lengthOf(value) < min
      ? `must have at least ${plural(min, 'character')}`
      : undefined,
  ),
  rule('max_length', (value) =>
    typeof value === 'string' && value.length > max && lengthOf(value) > max
      ? `must have at most ${plural(max, 'character')}`
      : undefined,
  ),
];

function plural(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

/** The part of `CleanText` that a schema can express. */
const LINE_PATTERN = '^[^\\u0000-\\u001f\\u007f-\\u009f]*$';
const LINES_PATTERN = '^[^\\u0000-\\u0008\\u000b\\u000c\\u000e-\\u001f\\u007f-\\u009f]*$';

/** Text with a length in characters, without control characters. `format` and `pattern` are only for the document. */
export function TextField(
  options: FieldOptions & { min?: number; max: number; multiline?: boolean; format?: string; pattern?: string },
): PropertyDecorator {
  const { min = 0, max, format, pattern = options.multiline ? LINES_PATTERN : LINE_PATTERN } = options;
  return field(options, { type: 'string', minLength: min, maxLength: max, format, pattern }, [
    ...Length(min, max),
    CleanText(options.multiline ?? false),
  ]);
}

/** A name for people: one line with a visible character. */
export function NameField(options: FieldOptions & { max: number; pattern?: string }): PropertyDecorator {
  return applyDecorators(
    TextField({ ...options, min: 1 }),
    rule('name', (value) => (typeof value === 'string' && value !== '' ? nameFault(value) : undefined)),
  );
}

/** A secret: any text of the length, control characters included, since a passphrase may hold any character. */
export function SecretField(options: FieldOptions & { min: number; max: number }): PropertyDecorator {
  return field(options, { type: 'string', format: 'password', minLength: options.min, maxLength: options.max }, [
    ...Length(options.min, options.max),
  ]);
}

const EMAIL =
  /^[^\s@"(),:;<>[\\\]\p{Cc}]{1,64}@(?=.{1,253}$)([\p{L}\p{N}]([\p{L}\p{N}-]{0,61}[\p{L}\p{N}])?\.)+[\p{L}\p{N}-]{2,63}$/u;

/** An e-mail address, neither trimmed nor lower-cased. */
export function EmailField(options: FieldOptions): PropertyDecorator {
  return field(options, { type: 'string', format: 'email', maxLength: 254 }, [
    ...Length(0, 254),
    rule('email', (value) => (isEmail(String(value)) ? undefined : 'must be an e-mail address')),
  ]);
}

/** Whether the text, of 254 characters at most, is an e-mail address. */
export function isEmail(text: string): boolean {
  return EMAIL.test(text) && !/\.\.|^\.|\.@/.test(text);
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Whether the text is a UUID by RFC 9562's grammar, of any version and variant, in lower case. */
export function isUuid(text: string): boolean {
  return UUID.test(text);
}

/** A UUID of any version, read without case and kept in lower case. */
export function UuidField(options: FieldOptions): PropertyDecorator {
  return applyDecorators(
    ReadAs((value) => (typeof value === 'string' ? value.toLowerCase() : value)),
    field(options, { type: 'string', format: 'uuid' }, [
      IsString({ message: 'must be a string' }),
      rule('uuid', (value) => (isUuid(String(value)) ? undefined : 'must be a UUID')),
    ]),
  );
}

/** A JSON `true` or `false`. */
export function BooleanField(options: FieldOptions): PropertyDecorator {
  return field(options, { type: 'boolean' }, [IsBoolean({ message: 'must be true or false' })]);
}

/** A whole JSON number: the string `"1"` is refused. */
export function IntegerField(options: FieldOptions & { min: number; max: number }): PropertyDecorator {
  return field(options, { type: 'integer', minimum: options.min, maximum: options.max }, [
    IsInt({ message: 'must be a whole number in plain digits' }),
    Min(options.min, { message: `must be at least ${options.min}` }),
    Max(options.max, { message: `must be at most ${options.max}` }),
  ]);
}

/** A page's cursor: any single text, since only the list can verify it. */
export function CursorField(): PropertyDecorator {
  return field({ description: '`next_cursor` of the page before.', optional: true }, { type: 'string' }, [
    IsString({ message: 'must be a string' }),
  ]);
}

/** A whole number in a query string. */
export function QueryIntegerField(options: FieldOptions & { min: number; max: number }): PropertyDecorator {
  return applyDecorators(
    ReadAs((value) =>
      typeof value === 'string' && /^\d{1,16}$/.test(value) ? Number(value) : value === undefined ? undefined : NaN,
    ),
    IntegerField(options),
  );
}

/** `true` or `false` in a query string. */
export function QueryBooleanField(options: FieldOptions): PropertyDecorator {
  return applyDecorators(
    ReadAs((value) => (value === 'true' ? true : value === 'false' ? false : value)),
    BooleanField(options),
  );
}

/** One of a list of words. */
export function ChoiceField(options: FieldOptions & { values: readonly string[] }): PropertyDecorator {
  return field(options, { type: 'string', enum: [...options.values] }, [
    IsIn([...options.values], { message: `must be one of ${options.values.join(', ')}` }),
  ]);
}

/**
 * The part of such a time that a schema can express besides its format: no leap second, and at most nine digits of a
 * second.
 */
const TIME_PATTERN =
  '^\\d{4}-\\d{2}-\\d{2}[Tt ]([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(\\.\\d{1,9})?([Zz]|[+-]([01]\\d|2[0-3]):[0-5]\\d)$';
const RFC3339 = /^(\d{4})-(\d{2})-(\d{2})[Tt ](\d{2}):(\d{2}):(\d{2})(\.\d{1,9})?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)$/;

/** A time of RFC 3339, with any offset; becomes a Date, truncated to milliseconds. */
export function TimeField(options: FieldOptions): PropertyDecorator {
  return applyDecorators(
    ReadAs((value) => (typeof value === 'string' ? (parseTime(value) ?? value) : value)),
    field(
      options,
      { type: 'string', format: 'date-time', pattern: TIME_PATTERN },
      [
        rule('time', (value) =>
          value instanceof Date ? undefined : 'must be a time of RFC 3339, such as 2026-01-31T12:00:00.000Z',
        ),
      ],
      { time: true },
    ),
  );
}

function parseTime(text: string): Date | undefined {
  const match = RFC3339.exec(text);
  if (!match) return undefined;
  const [, year, month, day, hour, minute, second] = match.map(Number) as [number, ...number[]] as number[];
  const lastDay = new Date(Date.UTC(year as number, month as number, 0)).getUTCDate();
  const inRange =
    (month as number) >= 1 &&
    (month as number) <= 12 &&
    (day as number) >= 1 &&
    (day as number) <= lastDay &&
    (hour as number) <= 23 &&
    (minute as number) <= 59 &&
    (second as number) <= 59;
  if (!inRange) return undefined;
  const date = new Date(
    text
      .replace(' ', 'T')
      .replace(/(\.\d{3})\d+/, '$1')
      .toUpperCase(),
  );
  return Number.isNaN(date.getTime()) ? undefined : date;
}

/** Anything, checked by `check` where given; the value stays as it was parsed. */
export function ValueField(
  options: FieldOptions & {
    api: ApiPropertyOptions;
    code?: string;
    check?: (value: unknown, object: object) => string | undefined;
  },
): PropertyDecorator {
  const { code = 'value', check } = options;
  return applyDecorators(AsParsed(), field(options, options.api, check ? [rule(code, check)] : []));
}

/** A list of objects, each of which the validation pipe reads as one of the DTO's class. */
export function ListField(options: FieldOptions & { type: Constructor; min: number; max: number }): PropertyDecorator {
  return applyDecorators(
    AsParsed(),
    field(
      options,
      {
        type: 'array',
        items: { $ref: `#/components/schemas/${options.type.name}` },
        minItems: options.min,
        maxItems: options.max,
      } as ApiPropertyOptions,
      [
        IsArray({ message: 'must be a list' }),
        ArrayMinSize(options.min, { message: `must have at least ${plural(options.min, 'entry', 'entries')}` }),
        ArrayMaxSize(options.max, { message: `must have at most ${plural(options.max, 'entry', 'entries')}` }),
      ],
      { nested: { type: options.type, max: options.max } },
    ),
  );
}
