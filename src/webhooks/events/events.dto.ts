import { applyDecorators } from '@nestjs/common';
import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import type { FieldFault } from '../../platform/errors';
import { type CrossChecked, rule, TextField, ValueField } from '../../platform/http/requests/fields';
import { isJsonObject, parseJsonBody } from '../../platform/http/requests/json-body';
import { toSourceText } from '../../platform/http/requests/source-text';
import { HAS_MORE_DOC, NEXT_CURSOR_DOC, PageDto } from '../../platform/http/requests/page.dto';
import { DeliveryView } from '../deliveries/deliveries.dto';
import { MAX_TYPE_NAME, TYPE_NAME } from '../event-types/event-type-names';
import { jsonFaults } from '../json-schema/json-faults';

const EVENT_ID = '0198c0de-7a11-7000-8000-000000000041';
/** Maximum deliveries shown with an event. */
export const SHOWN_DELIVERIES = 100;
const TIME = '2026-01-31T12:00:00.000Z';
const DATA = { invoice: 'INV-2041', amount: '120.00' };
const MAX_DATA_KIB = 256;

function TypeNameField(options: { description: string; example: string }): PropertyDecorator {
  return applyDecorators(
    TextField({ ...options, min: 1, max: MAX_TYPE_NAME, pattern: TYPE_NAME.source }),
    rule('event_type', (value) =>
      typeof value !== 'string' || TYPE_NAME.test(value) ? undefined : 'must be a dotted name such as invoice.paid',
    ),
  );
}

@ApiSchema({ description: 'An event of your own.' })
export class EmitEventDto implements CrossChecked {
  @TypeNameField({
    description: 'Words of `a-z0-9_` with dots between them; not below `order.` or `webhook.`, which are ours.',
    example: 'invoice.paid',
  })
  type: string;

  @ValueField({
    description: `What happened; at most ${MAX_DATA_KIB} KiB of JSON. Numbers are sent on in the characters in which they came, and checked as doubles. Checked against the schema of its type, if one is registered.`,
    example: DATA,
    code: 'is_object',
    check: (value) => (isJsonObject(value) ? undefined : 'must be an object'),
    api: { type: 'object', additionalProperties: true },
  })
  data: Record<string, unknown>;

  @TextField({
    description:
      'Your own id of the event. A second event with the same id is not emitted: the answer is the first one.',
    min: 1,
    max: 255,
    optional: true,
    example: 'invoice-2041-paid',
  })
  event_id?: string;

  /** `data` as JSON, with its numbers in the characters in which they were sent. */
  dataText: string;

  /** For the comparison of two requests: numbers count by the characters in which they were sent. */
  canonicalForm(): unknown {
    const { type, event_id, dataText } = this;
    return { type, event_id, data: parseJsonBody(Buffer.from(dataText)) };
  }

  crossCheck(): FieldFault[] {
    if (isJsonObject(this.data)) this.dataText = toSourceText(this.data);
    return jsonFaults('data', this.data, MAX_DATA_KIB);
  }
}

export class ListEventsDto extends PageDto {
  @TextField({
    description: 'Only events of this type.',
    min: 1,
    max: MAX_TYPE_NAME,
    optional: true,
    example: 'order.created',
  })
  type?: string;
}

@ApiSchema({ description: 'Something that happened, and whom it was sent to.' })
export class EventView {
  @ApiProperty({ format: 'uuid', description: "The event's id.", example: EVENT_ID })
  id: string;

  @ApiProperty({ maxLength: MAX_TYPE_NAME, description: 'What kind of event it is.', example: 'invoice.paid' })
  type: string;

  @ApiProperty({ format: 'date-time', description: 'When it happened.', example: TIME })
  timestamp: string;

  @ApiProperty({
    type: 'object',
    additionalProperties: true,
    description: 'For our own types the resource as the API showed it at that moment, for yours what you sent.',
    example: DATA,
  })
  data: Record<string, unknown>;

  @ApiProperty({
    type: 'string',
    format: 'uuid',
    nullable: true,
    description: 'What it happened to, such as an order.',
    example: null,
  })
  aggregate_id: string | null;

  @ApiProperty({
    type: 'integer',
    nullable: true,
    minimum: 1,
    description: "The event's number among those of its aggregate.",
    example: null,
  })
  sequence: number | null;

  @ApiProperty({
    type: 'string',
    nullable: true,
    maxLength: 255,
    description: 'Your own id of it.',
    example: 'invoice-2041-paid',
  })
  event_id: string | null;

  @ApiProperty({
    type: 'integer',
    minimum: 0,
    description: 'How many endpoints did not want it. The first 100 of them have a delivery that says so.',
    example: 0,
  })
  filtered_count: number;

  @ApiProperty({
    type: [DeliveryView],
    maxItems: SHOWN_DELIVERIES,
    description: `Its deliveries, the first ${SHOWN_DELIVERIES} of them, those that were not sent last; they are made within moments.`,
  })
  deliveries: DeliveryView[];

  @ApiProperty({
    description: 'Whether there are more: `GET /webhooks/deliveries?event_id=…` lists all.',
    example: false,
  })
  has_more_deliveries: boolean;
}

@ApiSchema({ description: 'A page of events, newest first.' })
export class EventPage {
  @ApiProperty({ type: [EventView], maxItems: 100, description: 'The events.' })
  data: EventView[];

  @ApiProperty(NEXT_CURSOR_DOC)
  next_cursor: string | null;

  @ApiProperty(HAS_MORE_DOC)
  has_more: boolean;
}
