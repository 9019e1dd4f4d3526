/**
 * Decorators for the fields of a request: each one is a validation rule (class-validator), a reading rule
 * (class-transformer) and a line of the OpenAPI document at once, so that the three cannot differ.
 */
import { applyDecorators } from '@nestjs/common';
import type { ApiPropertyOptions } from '@nestjs/swagger';
import { ArrayMaxSize, ArrayMinSize, IsArray, IsBoolean, IsIn, IsInt, IsString, Max, Min } from 'class-validator';
import { AsParsed, type Constructor, field, type FieldOptions, ReadAs, rule } from './field-declaration';
import { nameFault, textFault } from './json-body';
import { isEmail, isUuid, lengthOf, parseTime } from './text-formats';

const CleanText = (multiline: boolean) =>
  rule('text', (value) => (typeof value === 'string' ? textFault(value, multiline) : undefined));

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

/** An e-mail address, neither trimmed nor lower-cased. */
export function EmailField(options: FieldOptions): PropertyDecorator {
  return field(options, { type: 'string', format: 'email', maxLength: 254 }, [
    ...Length(0, 254),
    rule('email', (value) => (isEmail(String(value)) ? undefined : 'must be an e-mail address')),
  ]);
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

/** The most entries on a page. */
export const MAX_PAGE = 100;

/** The number of entries on a page of a list; give the property the default 20. */
export function PageLimitField(): PropertyDecorator {
  const description = 'Entries on a page.';
  return QueryIntegerField({ description, min: 1, max: MAX_PAGE, default: 20, optional: true, example: 20 });
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
