import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { pageOf } from '../../platform/http/responses/view-docs';
import { ENDPOINT_ID } from '../endpoints/endpoints.views';
import { MAX_TYPE_NAME } from '../event-types/event-type-names';

const DELIVERY_ID = '0198c0de-7a11-7000-8000-000000000051';
export const EVENT_ID = '0198c0de-7a11-7000-8000-000000000041';
const TIME = '2026-01-31T12:00:00.000Z';
/** Attempts that a delivery is shown with: more than the longest schedule has. */
export const SHOWN_ATTEMPTS = 100;

export const DELIVERY_STATUSES = [
  'pending',
  'succeeded',
  'retrying',
  'failed',
  'cancelled',
  'filtered',
  'disabled',
] as const;
export type DeliveryStatus = (typeof DELIVERY_STATUSES)[number];

@ApiSchema({ description: 'One event for one endpoint.' })
export class DeliveryView {
  @ApiProperty({
    format: 'uuid',
    description: "The delivery's id: the `webhook-id` of each of its attempts.",
    example: DELIVERY_ID,
  })
  id: string;

  @ApiProperty({ format: 'uuid', description: 'The endpoint, which may have been removed.', example: ENDPOINT_ID })
  endpoint_id: string;

  @ApiProperty({ format: 'uuid', description: 'The event.', example: EVENT_ID })
  event_id: string;

  @ApiProperty({ maxLength: MAX_TYPE_NAME, description: "The event's type.", example: 'order.created' })
  event_type: string;

  @ApiProperty({
    enum: DELIVERY_STATUSES,
    description:
      '`pending`: no attempt yet; `retrying`: attempted, with a retry ahead; `succeeded`: a 2xx response; ' +
      '`failed`: every attempt failed; `cancelled`: its endpoint was removed. Never sent: `filtered`, since ' +
      'the endpoint does not subscribe to such events; `disabled`, since the endpoint was disabled, which can ' +
      'be recovered.',
    example: 'succeeded',
  })
  status: DeliveryStatus;

  @ApiProperty({ type: 'integer', minimum: 0, description: 'The number of attempts.', example: 1 })
  attempt_count: number;

  @ApiProperty({
    type: 'string',
    format: 'date-time',
    nullable: true,
    description: 'The time of the next attempt; null without one.',
    example: null,
  })
  next_attempt_at: string | null;

  @ApiProperty({ format: 'date-time', description: 'When the event happened.', example: TIME })
  created_at: string;

  @ApiProperty({
    type: 'string',
    format: 'date-time',
    nullable: true,
    description: 'The time of its end; null while it waits.',
    example: TIME,
  })
  completed_at: string | null;
}

@ApiSchema({ description: 'One attempt of a delivery.' })
export class AttemptView {
  @ApiProperty({ type: 'integer', minimum: 1, description: 'Its number, from 1.', example: 1 })
  number: number;

  @ApiProperty({ format: 'date-time', description: 'When it began.', example: TIME })
  started_at: string;

  @ApiProperty({ type: 'integer', minimum: 0, description: 'How long it took, milliseconds.', example: 87 })
  duration_ms: number;

  @ApiProperty({
    type: 'integer',
    nullable: true,
    minimum: 100,
    maximum: 999,
    description: 'The status of the response; null without one.',
    example: 200,
  })
  response_status: number | null;

  @ApiProperty({
    type: 'string',
    nullable: true,
    maxLength: 4096,
    description: 'The first 4 KiB of the response, as text.',
    example: 'ok',
  })
  response_body: string | null;

  @ApiProperty({
    type: 'string',
    nullable: true,
    maxLength: 500,
    description: 'The reason of the failure; null for a success.',
    example: null,
  })
  error: string | null;
}

@ApiSchema({ description: 'A delivery with its attempts.' })
export class DeliveryDetailView extends DeliveryView {
  @ApiProperty({
    type: [AttemptView],
    maxItems: SHOWN_ATTEMPTS,
    description: `Its attempts, the first one first; of more than ${SHOWN_ATTEMPTS} the last ones.`,
  })
  attempts: AttemptView[];
}

@ApiSchema({ description: 'A page of deliveries, newest first.' })
export class DeliveryPage extends pageOf(DeliveryView, { maxItems: 100, description: 'The deliveries.' }) {}
