import type { EventType } from '../../platform/outbox/event-catalogue';
import { InvitationView } from './invitations.views';

/** The events that invitations emit. */
export const INVITATION_EVENT_TYPES: readonly EventType[] = [
  { name: 'member.invited', description: 'A person was invited.', data: InvitationView, permission: 'members:read' },
];
