import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import type { EventType } from '../../platform/outbox/event-catalogue';

const SUBJECTS = ['domain', 'connection', 'directory'] as const;
const CHANGES = ['created', 'verified', 'changed', 'lapsed', 'deleted'] as const;

@ApiSchema({ description: "A change of the tenant's single sign-on." })
class SsoChangeView {
  @ApiProperty({ enum: SUBJECTS, description: 'The kind of thing that changed.', example: 'domain' })
  subject: (typeof SUBJECTS)[number];

  @ApiProperty({ format: 'uuid', description: 'Its id.', example: '0198c0de-7a11-7000-8000-000000000051' })
  id: string;

  @ApiProperty({
    enum: CHANGES,
    description: 'The change. A domain lapses when it can no longer be verified.',
    example: 'verified',
  })
  change: (typeof CHANGES)[number];

  @ApiProperty({ format: 'date-time', description: 'When it changed.', example: '2026-01-31T12:00:00.000Z' })
  changed_at: string;
}

/** The event of single sign-on: an endpoint can ask for it before a tenant has any. */
export const SSO_EVENT_TYPES: readonly EventType[] = [
  {
    name: 'sso.changed',
    description: 'A domain, connection or directory of single sign-on changed.',
    data: SsoChangeView,
    permission: 'sso:manage',
  },
];
