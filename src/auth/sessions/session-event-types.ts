import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import type { EventType } from '../../platform/outbox/event-catalogue';

/** Why sessions ended before their time. */
export const REVOCATION_REASONS = [
  'signed_out',
  'ended_by_person',
  'ended_by_member',
  'membership_ended',
  'password_changed',
  'password_reset',
  'account_claimed',
  'address_change_undone',
  'account_deleted',
  'account_restored',
  'refresh_token_reused',
] as const;
export type RevocationReason = (typeof REVOCATION_REASONS)[number];

const ID = '0198c0de-7a11-7000-8000-000000000042';

@ApiSchema({ description: 'Sessions of one person in the tenant that ended before their time.' })
export class SessionRevocationView {
  @ApiProperty({ format: 'uuid', description: 'The person.', example: ID })
  user_id: string;

  @ApiProperty({
    type: [String],
    maxItems: 1000,
    description: 'The sessions, at most 1000 of them; if more have ended, the rest is omitted.',
    example: ['0198c0de-7a11-7000-8000-000000000099'],
  })
  session_ids: string[];

  @ApiProperty({ enum: REVOCATION_REASONS, description: 'The reason of their end.', example: 'ended_by_member' })
  reason: RevocationReason;

  @ApiProperty({ format: 'date-time', description: 'The time of their end.', example: '2026-01-31T12:00:00.000Z' })
  revoked_at: string;
}

/** The events that sessions emit. */
export const SESSION_EVENT_TYPES: readonly EventType[] = [
  {
    name: 'session.revoked',
    description:
      'Sessions of a member ended before their time: by signing out, by a person, or with what they rest on.',
    data: SessionRevocationView,
    permission: 'members:read',
  },
];
