import { ApiProperty, type ApiPropertyOptions, ApiSchema } from '@nestjs/swagger';

const TIME = '2026-01-31T12:00:00.000Z';
export const MAX_DESCRIPTION = 500;
export const EXAMPLE = { invoice: 'INV-2041', amount: '120.00' };
export const SCHEMA = {
  type: 'object',
  required: ['invoice', 'amount'],
  properties: { invoice: { type: 'string' }, amount: { type: 'string', maxLength: 20 } },
};

// More members than 16 KiB of JSON can have.
export const OBJECT = { type: 'object', additionalProperties: true, maxProperties: 4096 } satisfies ApiPropertyOptions;

@ApiSchema({ description: 'A type of event: one of the service, or your own.' })
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
      "The subject of `schema` and `example`: the whole body of a message for the service's own types, or its " +
      '`data` for your registered ones.',
    example: 'data',
  })
  schema_of: 'message' | 'data';

  @ApiProperty({ ...OBJECT, description: 'JSON Schema (2020-12).', example: SCHEMA })
  schema: Record<string, unknown>;

  @ApiProperty({ ...OBJECT, nullable: true, description: 'An example that satisfies the schema.', example: EXAMPLE })
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

@ApiSchema({ description: 'All event types that are available to you.' })
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
