import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { CREATED_AT_DOC, pageOf } from '../../platform/http/responses/view-docs';
import type { InvitationRow } from './invitations.queries';

const INVITATION_ID = '0198c0de-7a11-7000-8000-000000000051';
const USER_ID = '0198c0de-7a11-7000-8000-0000000000aa';
const TIME = '2026-01-31T12:00:00.000Z';

@ApiSchema({ description: 'An invitation into the tenant, without its token.' })
export class InvitationView {
  @ApiProperty({ format: 'uuid', description: "The invitation's id.", example: INVITATION_ID })
  id: string;

  @ApiProperty({ format: 'email', maxLength: 254, description: 'The invited address.', example: 'grace@example.com' })
  email: string;

  @ApiProperty({ maxLength: 50, description: 'The role that the person will have.', example: 'member' })
  role: string;

  @ApiProperty({
    format: 'uuid',
    description: 'The person that created the invitation, or sent it again.',
    example: USER_ID,
  })
  invited_by: string;

  @ApiProperty({ format: 'date-time', description: 'The end of its validity.', example: TIME })
  expires_at: string;

  @ApiProperty(CREATED_AT_DOC)
  created_at: string;

  @ApiProperty({
    type: 'integer',
    minimum: 1,
    description: 'Grows each time it is sent; the `ETag` is derived from it.',
    example: 1,
  })
  version: number;
}

/** The invitation as the API shows it, without its token. */
export function viewOf(row: InvitationRow): InvitationView {
  return {
    id: row.id,
    email: row.email,
    role: row.role,
    invited_by: row.invitedBy,
    expires_at: row.expiresAt.toISOString(),
    created_at: row.createdAt.toISOString(),
    version: row.version,
  };
}

@ApiSchema({ description: 'A page of invitations, newest first.' })
export class InvitationPage extends pageOf(InvitationView, { maxItems: 100, description: 'The invitations.' }) {}
