import { ApiSchema } from '@nestjs/swagger';
import { SecretField } from '../../platform/http/requests/fields';
import { TokenField } from '../registration/registration.requests';

const NEW_PASSWORD = {
  description: 'The new password, 8 to 128 characters.',
  min: 8,
  max: 128,
  example: 'a new passphrase',
};

@ApiSchema({ description: 'The current password and a new one.' })
export class ChangePasswordDto {
  @SecretField({ description: 'The current password.', min: 1, max: 128, example: 'correct horse battery' })
  current_password: string;

  @SecretField(NEW_PASSWORD)
  new_password: string;
}

@ApiSchema({ description: 'The token of a reset, and the new password.' })
export class ResetPasswordDto {
  @TokenField()
  token: string;

  @SecretField(NEW_PASSWORD)
  password: string;
}
