import type { EventType } from '../../platform/outbox/event-catalogue';
import { ENDPOINT_DISABLED_EVENT } from './endpoint-disabling';
import { EndpointView } from './endpoints.views';
import { ChallengeView } from './endpoint-consent';
import { CHALLENGE_EVENT, TEST_EVENT } from '../event-types/event-type-names';

/** The events that webhooks emit about themselves. In `data` an endpoint is masked as in the API. */
export const WEBHOOK_EVENT_TYPES: readonly EventType[] = [
  {
    name: TEST_EVENT,
    description: 'A test of an endpoint by a user. Only that endpoint gets it; it describes no change.',
    data: EndpointView,
  },
  {
    name: CHALLENGE_EVENT,
    description:
      'A request for a receiver\'s consent. It consents by 200 and `{ "challenge": "…" }` with the same value; ' +
      'before that its endpoint gets nothing else. Only that endpoint gets it, and only if the operator ' +
      'requires consent.',
    data: ChallengeView,
  },
  {
    name: ENDPOINT_DISABLED_EVENT,
    description:
      'A failing endpoint was disabled: it returned 410 Gone, or every delivery has failed for five days. Not ' +
      'emitted if a user disables it.',
    data: EndpointView,
    example: {
      enabled: false,
      disabled_reason: 'The endpoint answered 410 Gone.',
      version: 2,
      updated_at: '2026-01-31T12:05:00.000Z',
    },
  },
];
