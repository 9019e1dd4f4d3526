import { ApiProperty, ApiPropertyOptional, ApiSchema } from '@nestjs/swagger';
import { ENDPOINT_ID, EndpointView, HEADERS_DOC, URL_DOC } from './endpoints.views';

const SECRET_DOC = {
  maxLength: 200,
  pattern: '^wh(sec|pk)_[A-Za-z0-9+/]+=*$',
  description:
    'The key for verifying signatures: the shared secret `whsec_…`, or for `v1a` the public key `whpk_…`, ' +
    'whose private half is never shown.',
  example: 'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDazfYh4oMUrk=',
} as const;

@ApiSchema({ description: 'A new endpoint, with its secret.' })
export class EndpointCreatedView extends EndpointView {
  @ApiProperty(SECRET_DOC)
  secret: string;
}

@ApiSchema({ description: 'The secret of an endpoint.' })
export class EndpointSecretView {
  @ApiProperty(SECRET_DOC)
  secret: string;
}

@ApiSchema({ description: 'The secret of an endpoint, and the values that are masked elsewhere.' })
export class EndpointSecretsView extends EndpointSecretView {
  @ApiPropertyOptional({ ...URL_DOC, description: 'The whole URL, if a part is masked elsewhere.' })
  url?: string;

  @ApiPropertyOptional({
    ...HEADERS_DOC,
    description: 'The headers with their values, if a part is masked elsewhere.',
  })
  headers?: Record<string, string>;
}

@ApiSchema({ description: 'A public key (RFC 8037).' })
export class PublicKeyView {
  @ApiProperty({ enum: ['OKP'], description: 'The kind of key.', example: 'OKP' })
  kty: 'OKP';

  @ApiProperty({ enum: ['Ed25519'], description: 'The curve.', example: 'Ed25519' })
  crv: 'Ed25519';

  @ApiProperty({
    pattern: '^[A-Za-z0-9_-]{43}$',
    maxLength: 43,
    description: 'The key, 32 bytes in base64url.',
    example: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo',
  })
  x: string;

  @ApiProperty({ enum: ['sig'], description: 'The use of the key.', example: 'sig' })
  use: 'sig';

  @ApiProperty({ enum: ['EdDSA'], description: 'The algorithm.', example: 'EdDSA' })
  alg: 'EdDSA';

  @ApiProperty({
    maxLength: 50,
    description: "The endpoint's id; with `/previous` after it for the key that a rotation replaced, while both sign.",
    example: ENDPOINT_ID,
  })
  kid: string;
}

@ApiSchema({ description: 'A JSON Web Key Set (RFC 7517).' })
export class JwksView {
  @ApiProperty({ type: [PublicKeyView], maxItems: 2000, description: 'The keys.' })
  keys: PublicKeyView[];
}
