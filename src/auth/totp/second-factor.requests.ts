import { ApiSchema } from '@nestjs/swagger';
import type { FieldFault } from '../../platform/errors';
import { TextField } from '../../platform/http/requests/fields';
import { CodeField, exactlyOne, PasskeyField } from '../proofs/proof-fields';
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

  @CodeField()
  code?: string;

  @TextField({ description: 'A recovery code.', min: 1, max: 40, example: CODES[0], optional: true })
  recovery_code?: string;

  @PasskeyField()
  passkey?: unknown;

  crossCheck(): FieldFault[] {
    return exactlyOne(this, ['code', 'recovery_code', 'passkey']);
  }
}

@ApiSchema({ description: 'A code of the authenticator app.' })
export class TotpCodeDto {
  @TextField({ description: 'Six digits.', min: 1, max: 20, example: '492039' })
  code: string;
}
