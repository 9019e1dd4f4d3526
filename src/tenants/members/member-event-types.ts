import type { EventType } from '../../platform/outbox/event-catalogue';
import { MemberView } from './members.views';

/** The events that members emit. */
export const MEMBER_EVENT_TYPES: readonly EventType[] = [
  { name: 'member.joined', description: 'A person joined the tenant.', data: MemberView, permission: 'members:read' },
  {
    name: 'member.changed',
    description: "A member's role or status changed.",
    data: MemberView,
    example: { role: 'admin', version: 2 },
    permission: 'members:read',
  },
  {
    name: 'member.removed',
    description: 'A member left or was removed: the member as it was.',
    data: MemberView,
    permission: 'members:read',
  },
];
