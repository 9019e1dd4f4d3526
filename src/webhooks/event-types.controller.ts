import { Controller, Get } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiProperty, ApiSchema } from '@nestjs/swagger';
import { Requires } from '../platform/http/caller';
import { ApiSection } from '../platform/http/openapi-declarations';
import { EventTypes } from '../platform/outbox/event-types';
import { exampleMessage, MESSAGE_ID, MESSAGE_TIME, messageSchema } from './event-messages';

@ApiSchema({ description: 'A type of event that the service emits.' })
export class EventTypeView {
  @ApiProperty({ maxLength: 255, description: 'Its name, for `event_types` of an endpoint.', example: 'order.created' })
  name: string;

  @ApiProperty({ maxLength: 500, description: 'When it is emitted.', example: 'An order was made.' })
  description: string;

  @ApiProperty({
    type: 'object',
    additionalProperties: true,
    minProperties: 1,
    description: "JSON Schema (2020-12) of a message's body.",
    example: { $schema: 'https://json-schema.org/draft/2020-12/schema', title: 'order.created', type: 'object' },
  })
  schema: Record<string, unknown>;

  @ApiProperty({
    type: 'object',
    additionalProperties: true,
    minProperties: 4,
    maxProperties: 4,
    description: 'A body that a message of this type may have.',
    example: { id: MESSAGE_ID, type: 'order.created', timestamp: MESSAGE_TIME, data: {} },
  })
  example: Record<string, unknown>;
}

@ApiSchema({ description: 'Every type of event that the service emits.' })
export class EventTypeList {
  @ApiProperty({ type: [EventTypeView], maxItems: 1000, description: 'The types.' })
  data: EventTypeView[];

  @ApiProperty({ type: 'null', enum: [null], description: 'There is one page.', example: null })
  next_cursor: null;

  @ApiProperty({ enum: [false], description: 'There is one page.', example: false })
  has_more: false;
}

@ApiSection('Webhook events', 'What happened: our events, and those that you emit yourself.')
@Controller('webhooks/event-types')
export class EventTypesController {
  private catalogue?: EventTypeList;

  constructor(private readonly types: EventTypes) {}

  @Get()
  @Requires('webhooks:read')
  @ApiOperation({
    operationId: 'listEventTypes',
    summary: 'List event types',
    description: 'All that the service emits, with a schema and an example of the body of their messages.',
  })
  @ApiOkResponse({ type: EventTypeList, description: 'The catalogue.' })
  list(): EventTypeList {
    this.catalogue ??= {
      data: this.types.all().map((type) => ({
        name: type.name,
        description: type.description,
        schema: messageSchema(type),
        example: exampleMessage(type),
      })),
      next_cursor: null,
      has_more: false,
    };
    return this.catalogue;
  }
}
