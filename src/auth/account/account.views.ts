import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { pageOf } from '../../platform/http/responses/view-docs';

const ID = '0198c0de-7a11-7000-8000-0000000000cc';
const TIME = '2026-01-31T12:00:00.000Z';

@ApiSchema({ description: 'A session of the person, in any tenant.' })
export class PersonSessionView {
  @ApiProperty({ format: 'uuid', description: "The session's id.", example: ID })
  id: string;

  @ApiProperty({
    type: 'object',
    nullable: true,
    description: 'The tenant; null for a session without one.',
    required: ['id', 'name'],
    properties: {
      id: { type: 'string', format: 'uuid', description: "The tenant's id.", example: ID },
      name: { type: 'string', maxLength: 200, description: 'Its name.', example: 'Analytical Engines Ltd' },
    },
  })
  tenant: { id: string; name: string } | null;

  @ApiProperty({ format: 'date-time', description: 'When it began.', example: TIME })
  created_at: string;

  @ApiProperty({ format: 'date-time', description: 'When it was last continued.', example: TIME })
  last_seen_at: string;

  @ApiProperty({ type: 'string', nullable: true, maxLength: 64, description: 'The network.', example: '203.0.113.9' })
  network: string | null;

  @ApiProperty({ type: 'string', nullable: true, maxLength: 256, description: 'The browser.', example: 'curl/8.5.0' })
  user_agent: string | null;

  @ApiProperty({ type: [String], description: 'The methods used (RFC 8176).', example: ['pwd'] })
  amr: string[];

  @ApiProperty({ description: 'Whether it is the session of this request.', example: true })
  current: boolean;
}

@ApiSchema({ description: "A page of the person's sessions." })
export class PersonSessionPage extends pageOf(PersonSessionView, { description: 'The newest first.' }) {}
