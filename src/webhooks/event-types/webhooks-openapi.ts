/** The messages that the service sends, for the OpenAPI document's `webhooks`. */
import { getSchemaPath } from '@nestjs/swagger';
import type { DocumentPart, PathItem } from '../../platform/http/openapi/declarations';
import type { EventType, EventCatalogue } from '../../platform/outbox/event-catalogue';
import { exampleMessage, messageOf } from './event-messages';

const SECTION = {
  name: 'Webhook messages',
  description:
    'The messages of the service to your endpoints, as in Standard Webhooks: a POST that you answer with 2xx ' +
    'within the time limit. A message may come more than once, with the same `webhook-id`.',
};

/** The document's part on messages, one for each type of event. */
export function webhooksDocument(types: EventCatalogue): DocumentPart {
  return () => ({
    sections: [SECTION],
    messages: Object.fromEntries(types.all().map((type) => [type.name, messageItem(type)])),
    models: types.all().map((type) => type.data),
  });
}

function messageItem(type: EventType): PathItem {
  const response = (description: string) => ({ description });
  return {
    post: {
      tags: [SECTION.name],
      summary: type.name,
      description: type.description,
      operationId: operationId(type.name),
      security: [],
      parameters: [
        header('webhook-id', "The delivery's id: the same each time it is tried.", {
          type: 'string',
          format: 'uuid',
        }),
        header(
          'webhook-timestamp',
          'When this attempt was made, unix seconds. Refuse a message older than five minutes.',
          {
            type: 'integer',
            minimum: 0,
          },
        ),
        header(
          'webhook-signature',
          '`v1,<base64>` (HMAC-SHA256) or `v1a,<base64>` (ed25519) of `<id>.<timestamp>.<body>`; several, separated by ' +
            'spaces, while a secret rotates.',
          { type: 'string', maxLength: 1000 },
        ),
      ],
      requestBody: {
        required: true,
        description: 'The event. Verify the signature over these very bytes.',
        content: {
          'application/json': {
            schema: messageOf(type.name, { $ref: getSchemaPath(type.data) }),
            example: exampleMessage(type),
          },
        },
      },
      responses: {
        '2XX': response('Received: it is not sent again.'),
        '410': response('Gone: the endpoint is disabled, and gets no more messages.'),
        '4XX': response('Not received: it is tried again by the schedule; after 429 not before `Retry-After`.'),
        '5XX': response('Not received: it is tried again by the schedule; after 503 not before `Retry-After`.'),
      },
    },
  };
}

function header(name: string, description: string, schema: object) {
  return { name, in: 'header' as const, required: true, description, schema };
}

/** `order.created` is `onOrderCreated`. */
function operationId(type: string): string {
  return `on${type.replace(/(^|[._])([a-z0-9])/g, (_, _gap, letter: string) => letter.toUpperCase())}`;
}
