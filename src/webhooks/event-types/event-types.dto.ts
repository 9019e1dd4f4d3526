import { ApiProperty, type ApiPropertyOptions, ApiSchema } from '@nestjs/swagger';
import type { FieldFault } from '../../platform/errors';
import { type CrossChecked, TextField, ValueField } from '../../platform/http/requests/fields';
import { isJsonObject } from '../../platform/http/requests/json-body';
import { jsonFaults } from '../json-schema/json-faults';
import { dataFaults } from '../json-schema/evaluation';
import { schemaFaults } from '../json-schema/validator';

const TIME = '2026-01-31T12:00:00.000Z';
const MAX_DESCRIPTION = 500;
const MAX_KIB = 16;
const EXAMPLE = { invoice: 'INV-2041', amount: '120.00' };
const SCHEMA = {
  type: 'object',
  required: ['invoice', 'amount'],
  properties: { invoice: { type: 'string' }, amount: { type: 'string', maxLength: 20 } },
};

// More members than 16 KiB of JSON can have.
const OBJECT = { type: 'object', additionalProperties: true, maxProperties: 4096 } satisfies ApiPropertyOptions;
const isObject = (value: unknown) => (isJsonObject(value) ? undefined : 'must be an object');

@ApiSchema({ description: 'What events of a type of your own look like.' })
export class RegisterEventTypeDto implements CrossChecked {
  @TextField({
    description: 'When it is emitted.',
    max: MAX_DESCRIPTION,
    multiline: true,
    nullable: true,
    example: 'An invoice was paid in full.',
  })
  description?: string | null;

  @ValueField({
    description:
      `JSON Schema (2020-12) of \`data\`, at most ${MAX_KIB} KiB. Every keyword of the draft but \`pattern\`, ` +
      '`patternProperties`, `unevaluated…`, `contentSchema`, `$id`, `$anchor` and `$dynamic…`; `$ref` to `#` and ' +
      '`#/$defs/…`; the formats `date`, `time`, `date-time`, `email`, `hostname`, `ipv4`, `ipv6`, `uri` and `uuid`, which ' +
      'are checked. A keyword that is not known is refused, unless it begins with `x-`.',
    example: SCHEMA,
    code: 'is_object',
    check: isObject,
    api: OBJECT,
  })
  schema: Record<string, unknown>;

  @ValueField({
    description: `\`data\` that fits the schema, at most ${MAX_KIB} KiB.`,
    example: EXAMPLE,
    nullable: true,
    code: 'is_object',
    check: isObject,
    api: OBJECT,
  })
  example?: Record<string, unknown> | null;

  /** Makes numbers plain, checks sizes, the schema, and that the example fits it. */
  crossCheck(): FieldFault[] {
    const unread = [...jsonFaults('schema', this.schema, MAX_KIB), ...jsonFaults('example', this.example, MAX_KIB)];
    if (unread.length > 0 || !isJsonObject(this.schema)) return unread;
    const faults = schemaFaults(this.schema);
    if (faults.length > 0 || !isJsonObject(this.example)) return faults;
    return dataFaults(this.schema, this.example, 'example');
  }
}

@ApiSchema({ description: 'A type of event: one that the service emits, or one of your own.' })
export class EventTypeView {
  @ApiProperty({ maxLength: 255, description: 'Its name, for `event_types` of an endpoint.', example: 'invoice.paid' })
  name: string;

  @ApiProperty({
    type: 'string',
    nullable: true,
    maxLength: MAX_DESCRIPTION,
    description: 'When it is emitted.',
    example: 'An invoice was paid in full.',
  })
  description: string | null;

  @ApiProperty({
    enum: ['message', 'data'],
    description:
      "What `schema` and `example` describe: the whole body of a message, for the service's own types, or its `data`, for " +
      'yours, as you registered them.',
    example: 'data',
  })
  schema_of: 'message' | 'data';

  @ApiProperty({ ...OBJECT, description: 'JSON Schema (2020-12).', example: SCHEMA })
  schema: Record<string, unknown>;

  @ApiProperty({ ...OBJECT, nullable: true, description: 'What fits the schema.', example: EXAMPLE })
  example: Record<string, unknown> | null;

  @ApiProperty({
    type: 'integer',
    nullable: true,
    minimum: 1,
    description: "Grows with each change of a type of your own; null for the service's.",
    example: 1,
  })
  version: number | null;

  @ApiProperty({
    type: 'string',
    format: 'date-time',
    nullable: true,
    description: "When it was registered; null for the service's own.",
    example: TIME,
  })
  created_at: string | null;

  @ApiProperty({
    type: 'string',
    format: 'date-time',
    nullable: true,
    description: "When it was last changed; null for the service's own.",
    example: TIME,
  })
  updated_at: string | null;
}

@ApiSchema({ description: 'Every type of event that there is for you.' })
export class EventTypeList {
  @ApiProperty({
    type: [EventTypeView],
    maxItems: 1000,
    description: "The service's types, then yours by their names.",
  })
  data: EventTypeView[];

  @ApiProperty({ type: 'null', enum: [null], description: 'There is one page.', example: null })
  next_cursor: null;

  @ApiProperty({ enum: [false], description: 'There is one page.', example: false })
  has_more: false;
}
