import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { pageOf } from '../../platform/http/responses/view-docs';
import { DeliveryView } from '../deliveries/deliveries.views';
import { MAX_TYPE_NAME } from '../event-types/event-type-names';

const EVENT_ID = '0198c0de-7a11-7000-8000-000000000041';
/** Maximum deliveries shown with an event. */
export const SHOWN_DELIVERIES = 100;
const TIME = '2026-01-31T12:00:00.000Z';
export const DATA = { invoice: 'INV-2041', amount: '120.00' };

@ApiSchema({ description: 'An event, and its receivers.' })
export class EventView {
  @ApiProperty({ format: 'uuid', description: "The event's id.", example: EVENT_ID })
  id: string;

  @ApiProperty({ maxLength: MAX_TYPE_NAME, description: 'The type of the event.', example: 'invoice.paid' })
  type: string;

  @ApiProperty({ format: 'date-time', description: 'When it happened.', example: TIME })
  timestamp: string;

  @ApiProperty({
    type: 'object',
    additionalProperties: true,
    description:
      "For the service's own types the resource as the API showed it at that moment, for yours the data that " +
      'you sent.',
    example: DATA,
  })
  data: Record<string, unknown>;

  @ApiProperty({
    type: 'string',
    format: 'uuid',
    nullable: true,
    description: 'The resource that changed, such as an order.',
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
    description: 'The number of endpoints that filtered it. The first 100 of them have a delivery that shows it.',
    example: 0,
  })
  filtered_count: number;

  @ApiProperty({
    type: [DeliveryView],
    maxItems: SHOWN_DELIVERIES,
    description: `Its deliveries, the first ${SHOWN_DELIVERIES} of them, unsent ones last; they are created within moments.`,
  })
  deliveries: DeliveryView[];

  @ApiProperty({
    description: 'Whether there are more: `GET /webhooks/deliveries?event_id=…` lists all.',
    example: false,
  })
  has_more_deliveries: boolean;
}

@ApiSchema({ description: 'A page of events, newest first.' })
export class EventPage extends pageOf(EventView, { maxItems: 100, description: 'The events.' }) {}
