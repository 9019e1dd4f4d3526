import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { CREATED_AT_DOC, VERSION_DOC, pageOf } from '../platform/http/responses/view-docs';
import { PERMISSION_LIST_DOC } from '../platform/http/requests/permission-list.field';
import { KEY_KINDS, type KeyKind } from './api-key.entity';
import { KEY_PATTERN } from './key-format';
import type { KeyRow } from './api-keys.queries';

const KEY_ID = '0198c0de-7a11-7000-8000-000000000041';
const USER_ID = '0198c0de-7a11-7000-8000-0000000000aa';
const TIME = '2026-01-31T12:00:00.000Z';
const EXAMPLE_KEY = 'osa_030neMevZyg0J2Hi1BoDsw_6QQ9oBBAMmMDO7u3ateQ6UEUXNF09HN4Msd6PFwMhNS4Lmnc8';

const nullableTime = (description: string, example: string | null = null) =>
  ApiProperty({ type: 'string', format: 'date-time', nullable: true, description, example });

@ApiSchema({ description: 'An API key, without its text.' })
export class ApiKeyView {
  @ApiProperty({ format: 'uuid', description: "The key's id: the actor of its actions.", example: KEY_ID })
  id: string;

  @ApiProperty({ maxLength: 100, description: 'A name for people.', example: 'Warehouse' })
  name: string;

  @ApiProperty({ enum: KEY_KINDS, description: 'Whether it is independent of a person.', example: 'tenant' })
  kind: KeyKind;

  @ApiProperty({
    ...PERMISSION_LIST_DOC,
    description: 'The permissions of the key.',
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

  @ApiProperty({ format: 'uuid', description: 'Its creator.', example: USER_ID })
  created_by: string;

  @nullableTime('The time of its end; null: none.', '2027-01-31T12:00:00.000Z')
  expires_at: string | null;

  @nullableTime('When it was last used, at most a minute late.', TIME)
  last_used_at: string | null;

  @ApiProperty({
    type: 'array',
    items: { type: 'string', maxLength: 50 },
    maxItems: 20,
    description: 'Networks from which it may be used; empty: all.',
    example: ['203.0.113.0/24'],
  })
  allowed_cidrs: string[];

  @ApiProperty({
    type: 'integer',
    nullable: true,
    minimum: 1,
    maximum: 10_000,
    description: 'Maximum requests per second.',
    example: 20,
  })
  rate_limit: number | null;

  @ApiProperty(VERSION_DOC)
  version: number;

  @ApiProperty(CREATED_AT_DOC)
  created_at: string;
}

/** The key as the API shows it. */
export function viewOf(row: KeyRow): ApiKeyView {
  return {
    id: row.id,
    name: row.name,
    kind: row.kind,
    scopes: row.scopes,
    hint: row.hint,
    created_by: row.createdBy,
    expires_at: row.expiresAt?.toISOString() ?? null,
    last_used_at: row.lastUsedAt?.toISOString() ?? null,
    allowed_cidrs: row.allowedCidrs,
    rate_limit: row.rateLimit,
    version: row.version,
    created_at: row.createdAt.toISOString(),
  };
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
export class ApiKeyPage extends pageOf(ApiKeyView, { maxItems: 100, description: 'The keys.' }) {}
