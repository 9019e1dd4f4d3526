import { ApiSchema } from '@nestjs/swagger';
import type { FieldFault } from '../../platform/errors';
import { SecretField, TextField, ValueField } from '../../platform/http/requests/fields';

@ApiSchema({ description: 'One proof: the password, a code, or a passkey.' })
export class StepUpDto {
  @SecretField({ description: 'The password.', min: 1, max: 128, example: 'correct horse battery', optional: true })
  password?: string;

  @TextField({ description: 'A code of the authenticator app.', min: 1, max: 20, example: '492039', optional: true })
  code?: string;

  @ValueField({
    description: 'The response of the browser to `passkey_options`.',
    optional: true,
    api: { type: 'object', additionalProperties: true },
  })
  passkey?: unknown;

  crossCheck(): FieldFault[] {
    const given = [this.password, this.code, this.passkey].filter((proof) => proof !== undefined);
    if (given.length === 1) return [];
    return [{ field: 'password', message: 'send one of password, code and passkey', code: 'one_of' }];
  }
}
