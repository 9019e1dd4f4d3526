import { ApiProperty, ApiPropertyOptional, ApiSchema } from '@nestjs/swagger';
import type { FieldFault } from '../../platform/errors';
import { TextField, ValueField } from '../../platform/http/requests/fields';

const CODES = Array.from({ length: 10 }, (_, place) => `${place}-MFRG-GZDF-MZTW-Q2LK`);

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

@ApiSchema({ description: 'What an authenticator app is set up with. It is shown once.' })
export class TotpOfferView {
  @ApiProperty({
    minLength: 32,
    maxLength: 32,
    description: 'The secret, base32.',
    example: 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ',
  })
  secret: string;

  @ApiProperty({
    maxLength: 2_000,
    description: 'The same as a link for the app.',
    example: 'otpauth://totp/Orders:ada%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Orders',
  })
  otpauth_uri: string;

  @ApiProperty({
    maxLength: 100_000,
    description: 'The link as a QR code.',
    example: '<svg xmlns="http://www.w3.org/2000/svg"/>',
  })
  qr_svg: string;
}

const CODES_DOC = {
  type: 'array',
  items: { type: 'string', minLength: 21, maxLength: 21 },
  minItems: 10,
  maxItems: 10,
  example: CODES,
} as const;

@ApiSchema({ description: 'Recovery codes. They are shown once.' })
export class RecoveryCodesView {
  @ApiProperty({ ...CODES_DOC, description: 'Each is good for one sign-in.' } as never)
  recovery_codes: string[];
}

@ApiSchema({ description: 'A second factor that counts now.' })
export class FactorAddedView {
  @ApiPropertyOptional({
    ...CODES_DOC,
    description: 'With the first factor: each is good for one sign-in. They are shown once.',
  } as never)
  recovery_codes?: string[];
}
