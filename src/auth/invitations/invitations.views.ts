import { ApiProperty, ApiSchema } from '@nestjs/swagger';

@ApiSchema({ description: 'The tenant that invites.' })
export class InvitingTenantView {
  @ApiProperty({ minLength: 1, maxLength: 200, description: 'The name.', example: 'Analytical Engines Ltd' })
  name: string;
}

@ApiSchema({ description: 'The content of an invitation.' })
export class InvitationPreviewView {
  @ApiProperty({ type: InvitingTenantView })
  tenant: InvitingTenantView;

  @ApiProperty({ format: 'email', maxLength: 254, description: 'The invited address.', example: 'grace@example.com' })
  email: string;

  @ApiProperty({ maxLength: 50, description: 'The role that the person will have.', example: 'member' })
  role: string;

  @ApiProperty({
    format: 'date-time',
    description: 'The end of its validity.',
    example: '2026-02-07T12:00:00.000Z',
  })
  expires_at: string;
}
