import { ApiSchema } from '@nestjs/swagger';
import { EmailField, NameField, SecretField, TextField, UuidField } from '../../platform/http/requests/fields';
import { TENANT_ID, REFRESH_TOKEN } from './auth.views';

@ApiSchema({ description: 'A company and its first person.' })
export class RegisterDto {
  @EmailField({ description: 'Signs the person in; compared without case.', example: 'ada@example.com' })
  email: string;

  @SecretField({ description: '8 to 128 characters.', min: 8, max: 128, example: 'correct horse battery' })
  password: string;

  @NameField({ description: "The person's name.", max: 200, example: 'Ada Lovelace', nullable: true })
  name?: string | null;

  @NameField({ description: "The company's name.", max: 200, example: 'Analytical Engines Ltd' })
  tenant_name: string;
}

@ApiSchema({ description: 'The person who signs in, and the tenant.' })
export class LoginDto {
  @EmailField({ description: 'As at registration; case makes no difference.', example: 'ada@example.com' })
  email: string;

  @SecretField({ description: 'The password.', min: 1, max: 128, example: 'correct horse battery' })
  password: string;

  @UuidField({
    description: 'The tenant of the session (default: the last used one).',
    example: TENANT_ID,
    optional: true,
  })
  tenant_id?: string;
}

@ApiSchema({ description: 'A refresh token.' })
export class RefreshDto {
  @TextField({
    description: 'The newest refresh token of the session.',
    min: 1,
    max: 2000,
    example: REFRESH_TOKEN,
  })
  refresh_token: string;
}
