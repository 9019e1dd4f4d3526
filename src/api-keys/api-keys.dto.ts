import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { ChoiceField, IntegerField, NameField, TimeField } from '../platform/http/requests/fields';
import { CidrListField } from '../platform/http/requests/cidr-list.field';
import { HAS_MORE_DOC, NEXT_CURSOR_DOC } from '../platform/http/requests/page.dto';
import { PERMISSION_LIST_DOC, PermissionListField } from '../platform/http/requests/permission-list.field';
import type { Permission } from '../platform/permissions/permissions';
import { KEY_KINDS, type KeyKind } from './api-key.entity';
import { KEY_PATTERN } from './key-format';

const KEY_ID = '0198c0de-7a11-7000-8000-000000000041';
const USER_ID = '0198c0de-7a11-7000-8000-0000000000aa';
const TIME = '2026-01-31T12:00:00.000Z';
const EXAMPLE_KEY = 'osa_030neMevZyg0J2Hi1BoDsw_6QQ9oBBAMmMDO7u3ateQ6UEUXNF09HN4Msd6PFwMhNS4Lmnc8';
const MAX_OVERLAP_SECONDS = 604_800;
export const DEFAULT_OVERLAP_SECONDS = 86_400;

const NAME_FIELD = { description: 'For people.', max: 100, example: 'Warehouse' } as const;
const SCOPES_FIELD = {
  description:
    'What the key may do; nothing that its maker may not. A personal key may at most what the role of its person allows ' +
    'at the time of a request.',
  min: 1,
  example: ['orders:read', 'orders:write'],
} as const;
const CIDRS_FIELD = {
  description: 'Networks from which the key is let in; empty: all.',
  optional: true,
  example: ['203.0.113.0/24'],
} as const;
const RATE_LIMIT_FIELD = {
  description: 'Requests a second at most, within the limit of the tenant; null for no limit of its own.',
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
      '`tenant`: outlives people, asks for `api_keys:manage`. `personal`: ends with the membership of its maker.',
    values: KEY_KINDS,
    example: 'tenant',
  })
  kind: KeyKind;

  @PermissionListField('apiKeys', SCOPES_FIELD)
  scopes: Permission[];

  @TimeField({
    description: 'When the key ends; left out, it does not, unless the tenant has a longest life of keys.',
    nullable: true,
    example: '2027-01-31T12:00:00.000Z',
  })
  expires_at?: Date | null;

  @CidrListField(CIDRS_FIELD)
  allowed_cidrs?: string[];

  @IntegerField(RATE_LIMIT_FIELD)
  rate_limit?: number | null;
}

@ApiSchema({ description: 'What is left out stays as it is; `scopes` and `allowed_cidrs` are replaced whole.' })
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

@ApiSchema({ description: 'How long the old text of the key still counts.' })
export class RotateApiKeyDto {
  @IntegerField({
    description: 'Seconds for which texts from before still count; 0 for a key that leaked.',
    min: 0,
    max: MAX_OVERLAP_SECONDS,
    optional: true,
    default: DEFAULT_OVERLAP_SECONDS,
    example: DEFAULT_OVERLAP_SECONDS,
  })
  overlap_seconds?: number;
}

const nullableTime = (description: string, example: string | null = null) =>
  ApiProperty({ type: 'string', format: 'date-time', nullable: true, description, example });

@ApiSchema({ description: 'An API key, without its text.' })
export class ApiKeyView {
  @ApiProperty({ format: 'uuid', description: "The key's id: the actor of what is done with it.", example: KEY_ID })
  id: string;

  @ApiProperty({ maxLength: 100, description: 'For people.', example: 'Warehouse' })
  name: string;

  @ApiProperty({ enum: KEY_KINDS, description: 'Whether it outlives people.', example: 'tenant' })
  kind: KeyKind;

  @ApiProperty({
    ...PERMISSION_LIST_DOC,
    description: 'What the key may do.',
    example: ['orders:read', 'orders:write'],
  })
  scopes: string[];

  @ApiProperty({
    minLength: 4,
    maxLength: 4,
    description: "The first 4 characters of the key's random part.",
    example: '6QQ9',
  })
  hint: string;

  @ApiProperty({ format: 'uuid', description: 'The person that made it.', example: USER_ID })
  created_by: string;

  @nullableTime('When it ends; null: it does not.', '2027-01-31T12:00:00.000Z')
  expires_at: string | null;

  @nullableTime('When it was last used, at most a minute late.', TIME)
  last_used_at: string | null;

  @ApiProperty({
    type: 'array',
    items: { type: 'string', maxLength: 50 },
    maxItems: 20,
    description: 'Networks from which it is let in; empty: all.',
    example: ['203.0.113.0/24'],
  })
  allowed_cidrs: string[];

  @ApiProperty({
    type: 'integer',
    nullable: true,
    minimum: 1,
    maximum: 10_000,
    description: 'Requests a second at most.',
    example: 20,
  })
  rate_limit: number | null;

  @ApiProperty({
    type: 'integer',
    minimum: 1,
    description: 'Grows with each change; the `ETag` is made of it.',
    example: 1,
  })
  version: number;

  @ApiProperty({ format: 'date-time', description: 'When it was made.', example: TIME })
  created_at: string;
}

@ApiSchema({ description: 'A key with its text, which is shown this once.' })
export class ApiKeyCreatedView extends ApiKeyView {
  @ApiProperty({
    minLength: 76,
    maxLength: 76,
    pattern: `^${KEY_PATTERN.replaceAll('\\b', '')}$`,
    description: 'The key: for `Authorization: Bearer`. The last 6 characters are a checksum.',
    example: EXAMPLE_KEY,
  })
  key: string;
}

@ApiSchema({ description: 'A page of API keys, newest first.' })
export class ApiKeyPage {
  @ApiProperty({ type: [ApiKeyView], maxItems: 100, description: 'The keys.' })
  data: ApiKeyView[];

  @ApiProperty(NEXT_CURSOR_DOC)
  next_cursor: string | null;

  @ApiProperty(HAS_MORE_DOC)
  has_more: boolean;
}
