import { ApiProperty, type ApiPropertyOptions, ApiSchema } from '@nestjs/swagger';
import { PERMISSION_LIST_DOC } from '../../platform/http/requests/permission-list.field';
import { PERMISSIONS } from '../../platform/permissions/permissions';

const USER_ID = '0198c0de-7a11-7000-8000-0000000000aa';
export const TENANT_ID = '0198c0de-7a11-7000-8000-000000000002';
const SESSION_ID = '0198c0de-7a11-7000-8000-0000000000cc';
const TIME = '2026-01-31T12:00:00.000Z';
const ACCESS_TOKEN = 'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIwMTk4In0.c2lnbmF0dXJl';
export const REFRESH_TOKEN = 'rt_0198c0de7a1170008000000000000001_q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA';

@ApiSchema({ description: 'A person.' })
export class UserView {
  @ApiProperty({ format: 'uuid', description: "The person's id.", example: USER_ID })
  id: string;

  @ApiProperty({ format: 'email', maxLength: 254, description: 'As it was registered.', example: 'ada@example.com' })
  email: string;

  @ApiProperty({
    type: 'string',
    nullable: true,
    maxLength: 200,
    description: "The person's name, if known.",
    example: 'Ada Lovelace',
  })
  name: string | null;

  @ApiProperty({ format: 'date-time', description: 'When the person was registered.', example: TIME })
  created_at: string;
}

@ApiSchema({ description: 'A company, which owns all of its data.' })
export class TenantView {
  @ApiProperty({ format: 'uuid', description: "The tenant's id.", example: TENANT_ID })
  id: string;

  @ApiProperty({ minLength: 1, maxLength: 200, description: "The company's name.", example: 'Analytical Engines Ltd' })
  name: string;

  @ApiProperty({ format: 'date-time', description: 'When the company was registered.', example: TIME })
  created_at: string;
}

/** A tenant, or null: written out, since a reference that may be null would be a choice of schemas. */
const TENANT_OR_NONE: ApiPropertyOptions = {
  type: 'object',
  nullable: true,
  description: 'The company; null for a session without a tenant.',
  required: ['id', 'name', 'created_at'],
  properties: {
    id: { type: 'string', format: 'uuid', description: "The tenant's id.", example: TENANT_ID },
    name: { type: 'string', maxLength: 200, description: "The company's name.", example: 'Analytical Engines Ltd' },
    created_at: { type: 'string', format: 'date-time', description: 'When it was registered.', example: TIME },
  },
};

@ApiSchema({ description: 'A pair of tokens.' })
export class TokensView {
  @ApiProperty({
    minLength: 1,
    maxLength: 4096,
    description: 'A JWT, for `Authorization: Bearer`.',
    example: ACCESS_TOKEN,
  })
  access_token: string;

  @ApiProperty({ minLength: 1, maxLength: 500, description: 'For `POST /auth/refresh`, once.', example: REFRESH_TOKEN })
  refresh_token: string;

  @ApiProperty({ enum: ['Bearer'], description: 'The scheme of the access token.', example: 'Bearer' })
  token_type: 'Bearer';

  @ApiProperty({ type: 'integer', minimum: 1, description: 'Life of the access token, seconds.', example: 900 })
  expires_in: number;
}

@ApiSchema({ description: 'The tenant that refused the person, with the reason: the session then has no tenant.' })
export class RefusedView {
  @ApiProperty({ format: 'uuid', description: "The tenant's id.", example: TENANT_ID })
  tenant_id: string;

  @ApiProperty({ enum: ['sso', 'network', 'suspended'], description: 'The reason.', example: 'suspended' })
  reason: 'sso' | 'network' | 'suspended';

  @ApiProperty({ format: 'uuid', required: false, description: 'The connection to sign in by.', example: SESSION_ID })
  connection_id?: string;
}

@ApiSchema({ description: 'A new session: person, tenant, and the first pair of tokens.' })
export class SignedInView extends TokensView {
  @ApiProperty({ type: UserView })
  user: UserView;

  @ApiProperty(TENANT_OR_NONE)
  tenant: TenantView | null;

  @ApiProperty({ type: RefusedView, required: false })
  refused?: RefusedView;
}

@ApiSchema({ description: "The person's second factors." })
export class SecondFactorView {
  @ApiProperty({ description: 'Whether there is one.', example: true })
  enabled: boolean;

  @ApiProperty({ enum: ['totp', 'passkey'], isArray: true, description: 'Their kinds.', example: ['totp'] })
  methods: string[];
}

@ApiSchema({ description: 'How the person signed in.' })
export class CurrentSessionView {
  @ApiProperty({ format: 'uuid', description: "The session's id.", example: SESSION_ID })
  id: string;

  @ApiProperty({ type: [String], description: 'The methods used (RFC 8176).', example: ['pwd', 'otp'] })
  amr: string[];

  @ApiProperty({ enum: ['aal1', 'aal2'], description: 'One factor, or two.', example: 'aal2' })
  acr: string;

  @ApiProperty({ format: 'date-time', description: 'When the person last proved their identity.', example: TIME })
  auth_time: string;
}

@ApiSchema({ description: 'The API key that calls.' })
export class CallingKeyView {
  @ApiProperty({ format: 'uuid', description: "The key's id.", example: '0198c0de-7a11-7000-8000-000000000041' })
  id: string;

  @ApiProperty({ maxLength: 100, description: 'The name of the key.', example: 'Warehouse' })
  name: string;

  @ApiProperty({
    enum: ['tenant', 'personal'],
    description: 'Whether it is independent of a person.',
    example: 'tenant',
  })
  kind: string;
}

@ApiSchema({ description: 'The holder of the credential.' })
export class MeView {
  @ApiProperty({ type: UserView, required: false, description: 'The person; absent for an API key.' })
  user?: UserView;

  @ApiProperty({ type: CallingKeyView, required: false, description: 'The API key, if one calls.' })
  api_key?: CallingKeyView;

  @ApiProperty(TENANT_OR_NONE)
  tenant: TenantView | null;

  @ApiProperty({
    type: 'string',
    nullable: true,
    maxLength: 50,
    description: "The person's role in the tenant.",
    example: 'owner',
  })
  role: string | null;

  @ApiProperty({
    type: 'string',
    format: 'date-time',
    nullable: true,
    required: false,
    description: 'When the person proved the mailbox; null until then.',
    example: TIME,
  })
  email_verified_at?: string | null;

  @ApiProperty({ type: SecondFactorView, required: false })
  second_factor?: SecondFactorView;

  @ApiProperty({ type: CurrentSessionView, required: false })
  session?: CurrentSessionView;

  @ApiProperty({
    ...PERMISSION_LIST_DOC,
    description: 'The permissions of the credential, which follow from the role.',
    example: PERMISSIONS.names,
  })
  permissions: string[];
}
