import { ApiProperty, ApiPropertyOptional, ApiSchema } from '@nestjs/swagger';

export const CODES = Array.from({ length: 10 }, (_, place) => `${place}-MFRG-GZDF-MZTW-Q2LK`);

@ApiSchema({ description: 'The setup data of an authenticator app, shown once.' })
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
  @ApiProperty({ ...CODES_DOC, description: 'Each is valid for one sign-in.' } as never)
  recovery_codes: string[];
}

@ApiSchema({ description: 'A second factor that is now active.' })
export class FactorAddedView {
  @ApiPropertyOptional({
    ...CODES_DOC,
    description: 'With the first factor: each is valid for one sign-in. They are shown once.',
  } as never)
  recovery_codes?: string[];
}
