import { ApiProperty } from '@nestjs/swagger';
import { EmailField, SecretField, TextField, UuidField } from '../platform/http/fields';
import { PERMISSIONS } from '../platform/http/caller';
import { TENANT_ROLES } from '../tenants/roles';

const ID = '0198c0de-7a11-7000-8000-000000000001';
const TIME = '2026-01-31T12:00:00.000Z';
const ACCESS_TOKEN = 'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIwMTk4In0.c2lnbmF0dXJl';
const REFRESH_TOKEN = 'rt_0198c0de7a1170008000000000000001_q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA';

export class RegisterDto {
  @EmailField({ description: 'Signs the person in; compared without case.', example: 'ada@example.com' })
  email: string;

  @SecretField({ description: '8 to 128 characters.', min: 8, max: 128, example: 'correct horse battery' })
  password: string;

  @TextField({ description: "The person's name.", min: 1, max: 200, example: 'Ada Lovelace', nullable: true })
  name?: string | null;

  @TextField({ description: "The company's name.", min: 1, max: 200, example: 'Analytical Engines Ltd' })
  tenant_name: string;
}

export class LoginDto {
  @EmailField({ description: 'As at registration; case makes no difference.', example: 'ada@example.com' })
  email: string;

  @SecretField({ description: 'The password.', min: 1, max: 128, example: 'correct horse battery' })
  password: string;

  @UuidField({ description: 'Which tenant to sign in to; left out, the one last used.', example: ID, optional: true })
  tenant_id?: string;
}

export class RefreshDto {
  @TextField({
    description: 'The newest refresh token of the session.',
    min: 1,
    max: 500,
    example: REFRESH_TOKEN,
  })
  refresh_token: string;
}

export class UserView {
  @ApiProperty({ format: 'uuid', example: ID })
  id: string;

  @ApiProperty({ format: 'email', example: 'ada@example.com' })
  email: string;

  @ApiProperty({ type: 'string', nullable: true, example: 'Ada Lovelace' })
  name: string | null;

  @ApiProperty({ format: 'date-time', example: TIME })
  created_at: string;
}

export class TenantView {
  @ApiProperty({ format: 'uuid', example: ID })
  id: string;

  @ApiProperty({ example: 'Analytical Engines Ltd' })
  name: string;

  @ApiProperty({ format: 'date-time', example: TIME })
  created_at: string;
}

export class TokensView {
  @ApiProperty({ description: 'A JWT, for `Authorization: Bearer`.', example: ACCESS_TOKEN })
  access_token: string;

  @ApiProperty({ description: 'For `POST /auth/refresh`, once.', example: REFRESH_TOKEN })
  refresh_token: string;

  @ApiProperty({ enum: ['Bearer'], example: 'Bearer' })
  token_type: 'Bearer';

  @ApiProperty({ type: 'integer', description: 'Life of the access token, seconds.', example: 900 })
  expires_in: number;
}

export class SignedInView extends TokensView {
  @ApiProperty({ type: UserView })
  user: UserView;

  @ApiProperty({ type: TenantView })
  tenant: TenantView;
}

export class MeView {
  @ApiProperty({ type: UserView })
  user: UserView;

  @ApiProperty({ type: TenantView })
  tenant: TenantView;

  @ApiProperty({ enum: TENANT_ROLES, example: 'owner' })
  role: string;

  @ApiProperty({ enum: PERMISSIONS, isArray: true, example: [...PERMISSIONS] })
  permissions: string[];
}
