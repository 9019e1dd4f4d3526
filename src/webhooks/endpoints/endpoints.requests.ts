import { ApiSchema } from '@nestjs/swagger';
import type { FieldFault } from '../../platform/errors';
import type { CrossChecked } from '../../platform/http/requests/field-declaration';
import { BooleanField, ChoiceField, IntegerField, TextField, ValueField } from '../../platform/http/requests/fields';
import { validateEndpointHeaders } from '../http-client/custom-headers';
import { eventTypesFaults } from '../event-types/event-type-names';
import { ORDERINGS, type Ordering, type Signature, SIGNATURES } from './webhook-endpoint.entity';
import {
  MAX_DESCRIPTION,
  MAX_RATE_LIMIT,
  URL_FIELD,
  EVENT_TYPES_API,
  HEADERS_API,
  HEADERS_EXAMPLE,
  ORDERING_DOC,
  SIGNATURE_DOC,
} from './endpoints.views';

const EVENT_TYPES_FIELD = {
  description:
    'The subscribed events: exact names, `order.*` for all with this prefix, or `*` for all. Names of your ' +
    'own events are allowed. Duplicate entries are removed.',
  example: ['order.*', 'invoice.paid'],
  api: EVENT_TYPES_API,
} as const;

const HEADERS_FIELD = {
  description:
    'Your own headers for each message; at most 20. Names that frame the message, control the connection or ' +
    'begin with `webhook-` are refused, as are `traceparent` and `tracestate`. The values are stored ' +
    'encrypted and shown as `***`; a value `***` in a request keeps the stored value.',
  example: HEADERS_EXAMPLE,
  optional: true,
  api: HEADERS_API,
} as const;

const DESCRIPTION_FIELD = {
  description: 'A name for people.',
  max: MAX_DESCRIPTION,
  multiline: true,
  nullable: true,
  example: 'Warehouse',
} as const;

const RATE_LIMIT_FIELD = {
  description: 'Maximum messages per second, over all workers; null for no limit.',
  min: 1,
  max: MAX_RATE_LIMIT,
  nullable: true,
  example: 50,
} as const;

/** Rules over several fields. */
function shapeFaults(input: UpdateEndpointDto): FieldFault[] {
  return [
    ...(input.event_types === undefined ? [] : eventTypesFaults(input.event_types)),
    ...(input.headers === undefined ? [] : validateEndpointHeaders(input.headers)),
  ];
}

@ApiSchema({ description: 'A new endpoint.' })
export class CreateEndpointDto implements CrossChecked {
  @TextField(URL_FIELD)
  url: string;

  @TextField(DESCRIPTION_FIELD)
  description?: string | null;

  @ValueField(EVENT_TYPES_FIELD)
  event_types: string[];

  @ValueField(HEADERS_FIELD)
  headers?: Record<string, string>;

  @IntegerField(RATE_LIMIT_FIELD)
  rate_limit?: number | null;

  @ChoiceField({ description: ORDERING_DOC, values: ORDERINGS, optional: true, default: 'none', example: 'none' })
  ordering?: Ordering;

  @ChoiceField({ description: SIGNATURE_DOC, values: SIGNATURES, optional: true, default: 'v1', example: 'v1' })
  signature?: Signature;

  @BooleanField({ description: '`false` makes it disabled.', optional: true, default: true, example: true })
  enabled?: boolean;

  crossCheck(): FieldFault[] {
    return shapeFaults(this);
  }
}

@ApiSchema({ description: 'Omitted fields stay as they are; `event_types` and `headers` are replaced as a whole.' })
export class UpdateEndpointDto implements CrossChecked {
  @TextField({ ...URL_FIELD, optional: true })
  url?: string;

  @TextField(DESCRIPTION_FIELD)
  description?: string | null;

  @ValueField({ ...EVENT_TYPES_FIELD, optional: true })
  event_types?: string[];

  @ValueField(HEADERS_FIELD)
  headers?: Record<string, string>;

  @IntegerField(RATE_LIMIT_FIELD)
  rate_limit?: number | null;

  @ChoiceField({ description: ORDERING_DOC, values: ORDERINGS, optional: true, example: 'by_aggregate' })
  ordering?: Ordering;

  @ChoiceField({
    description: `${SIGNATURE_DOC} A change creates a new secret; the old one also signs for a day.`,
    values: SIGNATURES,
    optional: true,
    example: 'v1',
  })
  signature?: Signature;

  @BooleanField({
    description:
      '`false` disables it: waiting deliveries are kept as `disabled`. `true` enables it and clears ' +
      '`disabled_reason`; recovery sends the kept ones.',
    optional: true,
    example: true,
  })
  enabled?: boolean;

  crossCheck(): FieldFault[] {
    return shapeFaults(this);
  }
}
