import type { EventType } from '../../platform/outbox/event-catalogue';
import { OwnTenantView } from './company.views';

/** What a tenant emits of itself. */
export const COMPANY_EVENT_TYPES: readonly EventType[] = [
  {
    name: 'tenant.changed',
    description: 'The name, a policy or the status of the tenant changed.',
    data: OwnTenantView,
    example: { version: 2 },
    permission: 'tenant:manage',
  },
];
