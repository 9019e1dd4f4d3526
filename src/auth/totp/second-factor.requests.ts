import { ApiSchema } from '@nestjs/swagger';
import type { FieldFault } from '../../platform/errors';
import { TextField, ValueField } from '../../platform/http/requests/fields';
import { CODES } from './second-factor.views';

@ApiSchema({ description: 'A challenge of a sign-in, and one second factor.' })
export class AnswerChallengeDto {
  @TextField({
    description: '`challenge` of the refusal.',
    min: 1,
    max: 200,
    example: 'sfc_0198c0de7a11700080000000000000aa_q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA',
  })
  challenge: string;

  @TextField({ description: 'A code of the authenticator app.', min: 1, max: 20, example: '492039', optional: true })
  code?: string;

  @TextField({ description: 'A recovery code.', min: 1, max: 40, example: CODES[0], optional: true })
  recovery_code?: string;

  @ValueField({
    description: 'The response of the browser to `passkey_options`.',
    optional: true,
    api: { type: 'object', additionalProperties: true },
  })
  passkey?: unknown;

  crossCheck(): FieldFault[] {
    const given = [this.code, this.recovery_code, this.passkey].filter((proof) => proof !== undefined);
    if (given.length === 1) return [];
    return [{ field: 'code', message: 'send one of code, recovery_code and passkey', code: 'one_of' }];
  }
}

@ApiSchema({ description: 'A code of the authenticator app.' })
export class TotpCodeDto {
  @TextField({ description: 'Six digits.', min: 1, max: 20, example: '492039' })
  code: string;
}
