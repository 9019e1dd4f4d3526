import { ApiProperty, ApiSchema } from '@nestjs/swagger';

const ENTRY_ID = '0198c0de-7a11-7000-8000-0000000000e1';
const USER_ID = '0198c0de-7a11-7000-8000-0000000000aa';
const ENDPOINT_ID = '0198c0de-7a11-7000-8000-0000000000b1';
const TIME = '2026-01-31T12:00:00.000Z';

@ApiSchema({ description: 'The actor of an entry.' })
export class AuditActorView {
  @ApiProperty({
    maxLength: 512,
    description: '`user`, `api_key`, `operator`, `system`, or `anonymous` for a caller without a credential.',
    example: 'user',
  })
  type: string;

  @ApiProperty({
    type: 'string',
    nullable: true,
    maxLength: 512,
    description: 'Its id, if it has one.',
    example: USER_ID,
  })
  id: string | null;

  @ApiProperty({
    maxLength: 512,
    required: false,
    description: "The person's address at that time, if it was known and is not erased.",
    example: 'ada@example.com',
  })
  email?: string;

  @ApiProperty({ maxLength: 512, required: false, description: 'By which connection or directory.', example: 'scim' })
  via?: string;
}

@ApiSchema({ description: 'The target of the action.' })
export class AuditTargetView {
  @ApiProperty({ maxLength: 512, description: 'The kind of resource.', example: 'webhook_endpoint' })
  type: string;

  @ApiProperty({
    type: 'string',
    nullable: true,
    maxLength: 512,
    description: 'Its id, if it has one.',
    example: ENDPOINT_ID,
  })
  id: string | null;
}

@ApiSchema({ description: 'An entry of the audit log.' })
export class AuditEntryView {
  @ApiProperty({ format: 'uuid', description: "The entry's id.", example: ENTRY_ID })
  id: string;

  @ApiProperty({ format: 'date-time', description: 'When it happened.', example: TIME })
  occurred_at: string;

  @ApiProperty({ type: AuditActorView })
  actor: AuditActorView;

  @ApiProperty({ maxLength: 512, description: 'The action.', example: 'webhook_endpoint.updated' })
  action: string;

  @ApiProperty({ type: AuditTargetView })
  target: AuditTargetView;

  @ApiProperty({
    type: 'object',
    additionalProperties: true,
    maxProperties: 100,
    description:
      'Each changed field, as a list of two: before and after; for a secret only the fact of the change, as `•`.',
    example: { enabled: [true, false] },
  })
  changes: Record<string, unknown>;

  @ApiProperty({
    type: 'string',
    nullable: true,
    maxLength: 64,
    description: 'The origin of the request: an IPv4 address, or the /64 of an IPv6 address.',
    example: '203.0.113.9',
  })
  network: string | null;

  @ApiProperty({
    type: 'string',
    nullable: true,
    maxLength: 512,
    description: 'The `User-Agent` of the request.',
    example: 'curl/8.5.0',
  })
  user_agent: string | null;

  @ApiProperty({
    type: 'string',
    nullable: true,
    maxLength: 512,
    description: 'The id of the request.',
    example: '7f5b3c1e-0d2a-4c6b-9e8f-1a2b3c4d5e6f',
  })
  request_id: string | null;

  @ApiProperty({
    type: 'string',
    format: 'uuid',
    nullable: true,
    description: 'The session of the person.',
    example: '0198c0de-7a11-7000-8000-0000000000c1',
  })
  session_id: string | null;

  @ApiProperty({
    enum: ['success', 'denied', 'failure'],
    description: 'Whether the action was done, refused, or attempted with a wrong credential.',
    example: 'success',
  })
  outcome: string;

  @ApiProperty({
    type: 'integer',
    minimum: 1,
    description: 'The number of times: more than one for refusals, which are counted per hour.',
    example: 1,
  })
  count: number;
}
