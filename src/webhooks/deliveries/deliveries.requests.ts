import { ChoiceField, TextField, UuidField } from '../../platform/http/requests/fields';
import { PageDto } from '../../platform/http/requests/page.dto';
import { ENDPOINT_ID } from '../endpoints/endpoints.views';
import { MAX_TYPE_NAME } from '../event-types/event-type-names';
import { EVENT_ID, DELIVERY_STATUSES, type DeliveryStatus } from './deliveries.views';

export class ListDeliveriesDto extends PageDto {
  @UuidField({ description: 'Only deliveries to this endpoint.', optional: true, example: ENDPOINT_ID })
  endpoint_id?: string;

  @UuidField({ description: 'Only deliveries of this event.', optional: true, example: EVENT_ID })
  event_id?: string;

  @TextField({
    description: 'Only deliveries of events of this type.',
    min: 1,
    max: MAX_TYPE_NAME,
    optional: true,
    example: 'order.created',
  })
  event_type?: string;

  @ChoiceField({
    description: 'Only deliveries in this status.',
    values: DELIVERY_STATUSES,
    optional: true,
    example: 'failed',
  })
  status?: DeliveryStatus;
}
