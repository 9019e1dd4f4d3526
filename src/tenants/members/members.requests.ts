import { ApiSchema } from '@nestjs/swagger';
import { rule } from '../../platform/http/requests/field-declaration';
import { ChoiceField, TextField } from '../../platform/http/requests/fields';
import { PageDto } from '../../platform/http/requests/page.dto';
import { MEMBER_STATUSES, type MemberStatus } from '../membership.entity';
import { ROLE_NAME } from '../roles/role-catalogue';

/** The states that others may put a member in. */
const SETTABLE_STATUSES = ['active', 'suspended'] as const;

/** A field that names a role of either kind. */
export const ROLE_FIELD = {
  description: 'A built-in role (`owner`, `admin`, `member`, `viewer`) or a custom one of the tenant.',
  min: 1,
  max: 50,
  pattern: '^[a-z][a-z0-9_-]{0,49}$',
  example: 'member',
} as const;

@ApiSchema({ description: 'Which members.' })
export class ListMembersDto extends PageDto {
  @TextField({ ...ROLE_FIELD, description: 'Members with this role.', optional: true })
  @rule('role', (value) => (ROLE_NAME.test(String(value)) ? undefined : 'is not the name of a role'))
  role?: string;

  @ChoiceField({ description: 'Members with this status.', values: MEMBER_STATUSES, optional: true, example: 'active' })
  status?: MemberStatus;

  @TextField({ description: 'The beginning of a name or address.', min: 1, max: 254, optional: true, example: 'ada' })
  q?: string;
}

@ApiSchema({ description: 'Omitted fields stay as they are.' })
export class UpdateMemberDto {
  @TextField({ ...ROLE_FIELD, optional: true })
  role?: string;

  @ChoiceField({
    description: '`suspended` ends the sessions and personal keys here; `active` allows the person to sign in again.',
    values: SETTABLE_STATUSES,
    optional: true,
    example: 'active',
  })
  status?: (typeof SETTABLE_STATUSES)[number];
}
