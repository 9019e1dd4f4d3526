import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { VERSION_DOC, pageOf } from '../../platform/http/responses/view-docs';
import { MEMBER_MANAGERS, MEMBER_STATUSES, type MemberManager, type MemberStatus } from '../membership.entity';
import type { MemberRow } from './members.queries';

const USER_ID = '0198c0de-7a11-7000-8000-0000000000aa';
const TIME = '2026-01-31T12:00:00.000Z';

@ApiSchema({ description: 'The person behind a membership.' })
export class MemberUserView {
  @ApiProperty({ format: 'uuid', description: "The person's id.", example: USER_ID })
  id: string;

  @ApiProperty({ format: 'email', maxLength: 254, description: "The person's address.", example: 'ada@example.com' })
  email: string;

  @ApiProperty({
    type: 'string',
    nullable: true,
    maxLength: 200,
    description: "The person's name, if known.",
    example: 'Ada Lovelace',
  })
  name: string | null;
}

@ApiSchema({ description: 'A membership of the tenant.' })
export class MemberView {
  @ApiProperty({ type: MemberUserView })
  user: MemberUserView;

  @ApiProperty({ maxLength: 50, description: 'A built-in role, or a custom one.', example: 'member' })
  role: string;

  @ApiProperty({
    enum: MEMBER_STATUSES,
    description:
      "A member who is `unconfirmed` must confirm the membership first: the mailbox's owner claimed the account.",
    example: 'active',
  })
  status: MemberStatus;

  @ApiProperty({ enum: MEMBER_MANAGERS, description: 'Only a `directory` manages its own members.', example: 'user' })
  managed_by: MemberManager;

  @ApiProperty({
    required: false,
    description: 'Whether the person has a second factor; shown to callers with `members:manage`.',
    example: true,
  })
  second_factor?: boolean;

  @ApiProperty({ format: 'date-time', description: 'When the person joined.', example: TIME })
  joined_at: string;

  @ApiProperty({
    type: 'string',
    format: 'date-time',
    nullable: true,
    description: 'When the person last signed in to this tenant, or renewed a session of it.',
    example: TIME,
  })
  last_seen_at: string | null;

  @ApiProperty(VERSION_DOC)
  version: number;
}

/** The member as the API shows it; without the second factor in events, and for callers who do not manage members. */
export function viewOf(row: MemberRow, secondFactor?: boolean): MemberView {
  return {
    user: { id: row.userId, email: row.email, name: row.name },
    role: row.role,
    status: row.status,
    managed_by: row.managedBy,
    ...(secondFactor === undefined ? {} : { second_factor: secondFactor }),
    joined_at: row.createdAt.toISOString(),
    last_seen_at: row.lastUsedAt.toISOString(),
    version: row.version,
  };
}

@ApiSchema({ description: 'A page of members, the newest accounts first.' })
export class MemberPage extends pageOf(MemberView, { maxItems: 100, description: 'The members.' }) {}
