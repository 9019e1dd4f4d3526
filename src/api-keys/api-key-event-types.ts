import type { EventType } from '../platform/outbox/event-catalogue';
import { ApiKeyView } from './api-keys.views';

/** The events that keys emit. */
export const API_KEY_EVENT_TYPES: readonly EventType[] = [
  { name: 'api_key.created', description: 'An API key was created.', data: ApiKeyView, permission: 'api_keys:manage' },
  {
    name: 'api_key.revoked',
    description: 'An API key was revoked, by a person or with the membership of its person.',
    data: ApiKeyView,
    permission: 'api_keys:manage',
  },
];
