import { ApiProperty, ApiPropertyOptional, type ApiPropertyOptions, ApiSchema } from '@nestjs/swagger';
import { CREATED_AT_DOC, UPDATED_AT_DOC, VERSION_DOC, pageOf } from '../../platform/http/responses/view-docs';
import { MAX_EVENT_TYPES, MAX_TYPE_NAME, PATTERN } from '../event-types/event-type-names';
import { ORDERINGS, type Ordering, type Signature, SIGNATURES } from './webhook-endpoint.entity';

export const ENDPOINT_ID = '0198c0de-7a11-7000-8000-000000000031';
const MAX_URL = 2048;
export const MAX_DESCRIPTION = 500;
export const MAX_RATE_LIMIT = 10_000;

export const URL_FIELD = {
  description:
    'The address of the receiver: `https`, on port 443, 80 or one above 1023, to a host on the public internet, without ' +
    'user info and fragment. The name is resolved and checked for each message.',
  min: 1,
  max: MAX_URL,
  format: 'uri',
  example: 'https://example.com/webhooks/orders',
} as const;

export const EVENT_TYPES_API = {
  type: 'array',
  items: { type: 'string', maxLength: MAX_TYPE_NAME, pattern: PATTERN.source },
  minItems: 1,
  maxItems: MAX_EVENT_TYPES,
} satisfies ApiPropertyOptions;

export const HEADERS_API = {
  type: 'object',
  additionalProperties: { type: 'string', maxLength: 1024, pattern: '^[\\x20-\\x7e]*$' },
  maxProperties: 20,
} satisfies ApiPropertyOptions;

export const HEADERS_EXAMPLE = { Authorization: 'Bearer of-your-own' } as const;

/** The masked form of a URL and headers. */
export const URL_DOC = { format: 'uri', maxLength: MAX_URL, example: URL_FIELD.example } as const;
export const HEADERS_DOC = { ...HEADERS_API, example: { ...HEADERS_EXAMPLE } } satisfies ApiPropertyOptions;

export const ORDERING_DOC =
  '`by_aggregate`: events of one order arrive in their sequence, each after the previous one has arrived or has failed; ' +
  '`none`: as fast as possible.';

export const SIGNATURE_DOC =
  'As in Standard Webhooks: `v1` is HMAC-SHA256 with a shared secret, `v1a` ed25519, whose public key is ' +
  'also at `GET /webhooks/jwks`.';

@ApiSchema({ description: 'Where you receive events.' })
export class EndpointView {
  @ApiProperty({ format: 'uuid', description: "The endpoint's id.", example: ENDPOINT_ID })
  id: string;

  @ApiProperty({
    ...URL_DOC,
    description: 'The address of the receiver. A query is shown as `?***`; `GET …/secret` shows it.',
  })
  url: string;

  @ApiProperty({
    type: 'string',
    nullable: true,
    maxLength: MAX_DESCRIPTION,
    description: 'A name for people.',
    example: 'Warehouse',
  })
  description: string | null;

  @ApiProperty({ ...EVENT_TYPES_API, description: 'The subscribed events.', example: ['order.*', 'invoice.paid'] })
  event_types: string[];

  @ApiProperty({
    ...HEADERS_API,
    description: 'Headers of your own. Each value is shown as `***`; `GET …/secret` shows it.',
    example: { Authorization: '***' },
  })
  headers: Record<string, string>;

  @ApiProperty({
    type: 'integer',
    nullable: true,
    minimum: 1,
    maximum: MAX_RATE_LIMIT,
    description: 'Maximum messages per second.',
    example: 50,
  })
  rate_limit: number | null;

  @ApiProperty({ enum: ORDERINGS, description: ORDERING_DOC, example: 'none' })
  ordering: Ordering;

  @ApiProperty({ enum: SIGNATURES, description: SIGNATURE_DOC, example: 'v1' })
  signature: Signature;

  @ApiProperty({ description: 'Whether it gets messages.', example: true })
  enabled: boolean;

  @ApiPropertyOptional({
    enum: ['pending'],
    description:
      'Present until the receiver has consented: it got `webhook.challenge`, and gets no other event before it ' +
      'has responded with 200 and `{ "challenge": "<the same>" }`. Events in this time are kept as `disabled`. ' +
      'Only if the operator requires consent.',
    example: 'pending',
  })
  consent?: 'pending';

  @ApiProperty({
    type: 'string',
    nullable: true,
    maxLength: 500,
    description: 'Why it is disabled: a user, 410 Gone, or five days of failures.',
    example: null,
  })
  disabled_reason: string | null;

  @ApiProperty(VERSION_DOC)
  version: number;

  @ApiProperty(CREATED_AT_DOC)
  created_at: string;

  @ApiProperty(UPDATED_AT_DOC)
  updated_at: string;
}

@ApiSchema({ description: 'A page of endpoints, newest first.' })
export class EndpointPage extends pageOf(EndpointView, { maxItems: 100, description: 'The endpoints.' }) {}
