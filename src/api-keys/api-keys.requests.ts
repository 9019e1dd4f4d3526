import { ApiSchema } from '@nestjs/swagger';
import { ChoiceField, IntegerField, NameField, TimeField } from '../platform/http/requests/fields';
import { CidrListField } from '../platform/http/requests/cidr-list.field';
import { PermissionListField } from '../platform/http/requests/permission-list.field';
import type { Permission } from '../platform/permissions/permissions';
import { KEY_KINDS, type KeyKind } from './api-key.entity';

const MAX_OVERLAP_SECONDS = 604_800;
export const DEFAULT_OVERLAP_SECONDS = 86_400;

const NAME_FIELD = { description: 'A name for people.', max: 100, example: 'Warehouse' } as const;
const SCOPES_FIELD = {
  description:
    'The permissions of the key, at most those of its creator. A personal key is also limited to the ' +
    'permissions of its person at the time of a request.',
  min: 1,
  example: ['orders:read', 'orders:write'],
} as const;
const CIDRS_FIELD = {
  description: 'Networks from which the key may be used; empty: all.',
  optional: true,
  example: ['203.0.113.0/24'],
} as const;
const RATE_LIMIT_FIELD = {
  description: 'Requests a second at most, within the limit of the tenant; null for no separate limit.',
  min: 1,
  max: 10_000,
  nullable: true,
  example: 20,
} as const;

@ApiSchema({ description: 'A new API key.' })
export class CreateApiKeyDto {
  @NameField(NAME_FIELD)
  name: string;

  @ChoiceField({
    description:
      '`tenant`: independent of persons, requires `api_keys:manage`. `personal`: ends with the membership of its creator.',
    values: KEY_KINDS,
    example: 'tenant',
  })
  kind: KeyKind;

  @PermissionListField('apiKeys', SCOPES_FIELD)
  scopes: Permission[];

  @TimeField({
    description: 'The end of the key; by default none, unless the tenant has a maximum life of keys.',
    nullable: true,
    example: '2027-01-31T12:00:00.000Z',
  })
  expires_at?: Date | null;

  @CidrListField(CIDRS_FIELD)
  allowed_cidrs?: string[];

  @IntegerField(RATE_LIMIT_FIELD)
  rate_limit?: number | null;
}

@ApiSchema({ description: 'Omitted fields stay as they are; `scopes` and `allowed_cidrs` are replaced as a whole.' })
export class UpdateApiKeyDto {
  @NameField({ ...NAME_FIELD, optional: true })
  name?: string;

  @PermissionListField('apiKeys', { ...SCOPES_FIELD, optional: true })
  scopes?: Permission[];

  @TimeField({
    description: 'When the key ends; null: it does not.',
    nullable: true,
    example: '2027-01-31T12:00:00.000Z',
  })
  expires_at?: Date | null;

  @CidrListField(CIDRS_FIELD)
  allowed_cidrs?: string[];

  @IntegerField(RATE_LIMIT_FIELD)
  rate_limit?: number | null;
}

@ApiSchema({ description: 'The validity of the old text of the key.' })
export class RotateApiKeyDto {
  @IntegerField({
    description: 'Seconds for which earlier texts stay valid; 0 for a leaked key.',
    min: 0,
    max: MAX_OVERLAP_SECONDS,
    optional: true,
    default: DEFAULT_OVERLAP_SECONDS,
    example: DEFAULT_OVERLAP_SECONDS,
  })
  overlap_seconds?: number;
}
