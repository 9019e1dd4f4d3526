import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { VERSION_DOC, pageOf } from '../../platform/http/responses/view-docs';
import { PERMISSION_LIST_DOC } from '../../platform/http/requests/permission-list.field';
import { type Permission } from '../../platform/permissions/permissions';
import { ROLE_NAME } from './role-catalogue';
import type { Role } from './role-catalogue';

@ApiSchema({ description: 'A named set of permissions.' })
export class RoleView {
  @ApiProperty({ maxLength: 50, pattern: ROLE_NAME.source, description: 'The name.', example: 'support' })
  name: string;

  @ApiProperty({
    type: 'string',
    nullable: true,
    maxLength: 500,
    description: 'A name for people.',
    example: 'Answers customers.',
  })
  description: string | null;

  @ApiProperty({
    ...PERMISSION_LIST_DOC,
    description: 'The permissions of members with the role.',
    example: ['orders:read', 'orders:write'],
  })
  permissions: Permission[];

  @ApiProperty({ description: 'Whether every tenant has it; such a role cannot be changed.', example: false })
  built_in: boolean;

  @ApiProperty({ type: 'integer', minimum: 0, description: 'How many members have it.', example: 3 })
  member_count: number;

  @ApiProperty(VERSION_DOC)
  version: number;
}

/** The role as the API shows it. */
export function viewOf(role: Role, memberCount = 0): RoleView {
  return {
    name: role.name,
    description: role.description,
    permissions: [...role.permissions],
    built_in: role.builtIn,
    member_count: memberCount,
    version: role.version,
  };
}

@ApiSchema({ description: 'A page of roles: custom ones newest first, then those built in.' })
export class RolePage extends pageOf(RoleView, { maxItems: 100, description: 'The roles.' }) {}
