import { ApiProperty, ApiPropertyOptional, ApiSchema } from '@nestjs/swagger';
import { pageOf } from '../../platform/http/responses/view-docs';

export const ID = '0198c0de-7a11-7000-8000-000000000002';
const TIME = '2026-01-31T12:00:00.000Z';

@ApiSchema({ description: 'The contents of a tenant, for a person who has not confirmed the membership yet.' })
export class MembershipContentsView {
  @ApiProperty({ type: 'integer', minimum: 0, description: 'Members besides the person.', example: 3 })
  other_members: number;

  @ApiProperty({ type: 'integer', minimum: 0, description: "The tenant's API keys.", example: 1 })
  tenant_keys: number;

  @ApiProperty({ type: 'integer', minimum: 0, description: 'Webhook endpoints.', example: 0 })
  endpoints: number;

  @ApiProperty({ type: 'integer', minimum: 0, description: 'Invitations that wait.', example: 0 })
  pending_invitations: number;
}

@ApiSchema({ description: 'The membership of the person in a tenant.' })
export class MembershipView {
  @ApiProperty({ format: 'uuid', description: "The tenant's id.", example: ID })
  id: string;

  @ApiProperty({ maxLength: 200, description: "The company's name.", example: 'Analytical Engines Ltd' })
  name: string;

  @ApiProperty({ maxLength: 50, description: "The person's role there.", example: 'owner' })
  role: string;

  @ApiProperty({
    enum: ['active', 'suspended', 'unconfirmed'],
    description: '`unconfirmed` until the person confirms or declines it.',
    example: 'active',
  })
  status: string;

  @ApiProperty({ format: 'date-time', description: 'When the person last signed in there.', example: TIME })
  last_used_at: string;

  @ApiPropertyOptional({ type: MembershipContentsView })
  contents?: MembershipContentsView;
}

@ApiSchema({ description: "A page of the person's tenants." })
export class MembershipPage extends pageOf(MembershipView, { description: 'The newest first.' }) {}
