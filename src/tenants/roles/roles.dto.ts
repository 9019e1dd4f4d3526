import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { rule, TextField } from '../../platform/http/requests/fields';
import { HAS_MORE_DOC, NEXT_CURSOR_DOC } from '../../platform/http/requests/page.dto';
import { PERMISSION_LIST_DOC, PermissionListField } from '../../platform/http/requests/permission-list.field';
import { isBuiltInRole, type Permission } from '../../platform/permissions/permissions';
import { ROLE_NAME } from './role-catalogue';

const DESCRIPTION_FIELD = {
  description: 'For people.',
  max: 500,
  multiline: true,
  nullable: true,
  example: 'Answers customers.',
} as const;

const PERMISSIONS_FIELD = {
  description: 'What members with the role may do; nothing that the caller may not.',
  min: 1,
  example: ['orders:read', 'orders:write'],
} as const;

const NameForm = () =>
  rule('role_name', (value) => {
    if (typeof value !== 'string' || !ROLE_NAME.test(value)) return `must match ${ROLE_NAME.source}`;
    return isBuiltInRole(value) ? 'is the name of a built-in role' : undefined;
  });

@ApiSchema({ description: 'A new role of the tenant.' })
export class CreateRoleDto {
  @TextField({
    description: 'Fixed once made; none of the built-in names.',
    min: 1,
    max: 50,
    pattern: ROLE_NAME.source,
    example: 'support',
  })
  @NameForm()
  name: string;

  @TextField(DESCRIPTION_FIELD)
  description?: string | null;

  @PermissionListField('customRoles', PERMISSIONS_FIELD)
  permissions: Permission[];
}

@ApiSchema({ description: 'What is left out stays as it is; `permissions` are replaced whole.' })
export class UpdateRoleDto {
  @TextField(DESCRIPTION_FIELD)
  description?: string | null;

  @PermissionListField('customRoles', { ...PERMISSIONS_FIELD, optional: true })
  permissions?: Permission[];
}

@ApiSchema({ description: 'A named set of permissions.' })
export class RoleView {
  @ApiProperty({ maxLength: 50, pattern: ROLE_NAME.source, description: 'The name.', example: 'support' })
  name: string;

  @ApiProperty({
    type: 'string',
    nullable: true,
    maxLength: 500,
    description: 'For people.',
    example: 'Answers customers.',
  })
  description: string | null;

  @ApiProperty({
    ...PERMISSION_LIST_DOC,
    description: 'What members with the role may do.',
    example: ['orders:read', 'orders:write'],
  })
  permissions: Permission[];

  @ApiProperty({ description: 'Whether every tenant has it; such a role cannot be changed.', example: false })
  built_in: boolean;

  @ApiProperty({ type: 'integer', minimum: 0, description: 'How many members have it.', example: 3 })
  member_count: number;

  @ApiProperty({
    type: 'integer',
    minimum: 1,
    description: 'Grows with each change; the `ETag` is made of it.',
    example: 1,
  })
  version: number;
}

@ApiSchema({ description: 'A page of roles: custom ones newest first, then those built in.' })
export class RolePage {
  @ApiProperty({ type: [RoleView], maxItems: 100, description: 'The roles.' })
  data: RoleView[];

  @ApiProperty(NEXT_CURSOR_DOC)
  next_cursor: string | null;

  @ApiProperty(HAS_MORE_DOC)
  has_more: boolean;
}
