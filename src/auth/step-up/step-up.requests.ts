import { ApiSchema } from '@nestjs/swagger';
import type { FieldFault } from '../../platform/errors';
import { SecretField } from '../../platform/http/requests/fields';
import { CodeField, exactlyOne, PasskeyField } from '../proofs/proof-fields';

@ApiSchema({ description: 'One proof: the password, a code, or a passkey.' })
export class StepUpDto {
  @SecretField({ description: 'The password.', min: 1, max: 128, example: 'correct horse battery', optional: true })
  password?: string;

  @CodeField()
  code?: string;

  @PasskeyField()
  passkey?: unknown;

  crossCheck(): FieldFault[] {
    return exactlyOne(this, ['password', 'code', 'passkey']);
  }
}
