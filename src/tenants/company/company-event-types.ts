import type { EventType } from '../../platform/outbox/event-catalogue';
import { OwnTenantView } from './company.views';

/** The events that a tenant emits about itself. */
export const COMPANY_EVENT_TYPES: readonly EventType[] = [
  {
    name: 'tenant.changed',
    description: 'The name, a policy or the status of the tenant changed.',
    data: OwnTenantView,
    example: { version: 2 },
    permission: 'tenant:manage',
  },
];
