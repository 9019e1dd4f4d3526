import { ApiSchema } from '@nestjs/swagger';
import { rule } from '../../platform/http/requests/field-declaration';
import { TextField } from '../../platform/http/requests/fields';
import { PermissionListField } from '../../platform/http/requests/permission-list.field';
import { isBuiltInRole, type Permission } from '../../platform/permissions/permissions';
import { ROLE_NAME } from './role-catalogue';

const DESCRIPTION_FIELD = {
  description: 'A name for people.',
  max: 500,
  multiline: true,
  nullable: true,
  example: 'Answers customers.',
} as const;

const PERMISSIONS_FIELD = {
  description: 'The permissions of members with the role, at most those of the caller.',
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
    description: 'Cannot be changed later; not a built-in name.',
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

@ApiSchema({ description: 'Omitted fields stay as they are; `permissions` are replaced as a whole.' })
export class UpdateRoleDto {
  @TextField(DESCRIPTION_FIELD)
  description?: string | null;

  @PermissionListField('customRoles', { ...PERMISSIONS_FIELD, optional: true })
  permissions?: Permission[];
}
