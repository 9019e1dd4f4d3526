import type { EventType } from '../../platform/outbox/event-catalogue';
import { ENDPOINT_DISABLED_EVENT } from './endpoint-disabling';
import { EndpointView } from './endpoints.views';
import { ChallengeView } from './endpoint-consent';
import { CHALLENGE_EVENT, TEST_EVENT } from '../event-types/event-type-names';

/** The events that webhooks emit about themselves. In `data` an endpoint is masked as in the API. */
export const WEBHOOK_EVENT_TYPES: readonly EventType[] = [
  {
    name: TEST_EVENT,
    description: 'A person tries an endpoint out. It goes to that endpoint alone, and means nothing.',
    data: EndpointView,
  },
  {
    name: CHALLENGE_EVENT,
    description:
      'A receiver is asked whether it wants to be one. It agrees by 200 and `{ "challenge": "…" }` with the same value; before ' +
      'that its endpoint is sent nothing else. It goes to that endpoint alone, and only where the operator asks for consent.',
    data: ChallengeView,
  },
  {
    name: ENDPOINT_DISABLED_EVENT,
    description:
      'An endpoint does not work and was disabled: it answered 410 Gone, or every delivery has failed for five days. ' +
      'Not emitted where a person disables it.',
    data: EndpointView,
    example: {
      enabled: false,
      disabled_reason: 'The endpoint answered 410 Gone.',
      version: 2,
      updated_at: '2026-01-31T12:05:00.000Z',
    },
  },
];
