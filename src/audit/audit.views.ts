import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { pageOf } from '../platform/http/responses/view-docs';
import { AuditEntryView } from './audit-entry.views';

const HASH = 'q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=';
export const MOST = Number.MAX_SAFE_INTEGER;
const HASH_DOC = { minLength: 44, maxLength: 44, pattern: '^[A-Za-z0-9+/]{43}=$', example: HASH } as const;
const HASHES_DOC = {
  type: 'array',
  items: { type: 'string', minLength: 44, maxLength: 44, pattern: '^[A-Za-z0-9+/]{43}=$' },
  maxItems: 128,
  example: [HASH],
} as const;

@ApiSchema({ description: 'A page of the audit log.' })
export class AuditPage extends pageOf(AuditEntryView, { maxItems: 100, description: 'The entries, newest first.' }) {}

@ApiSchema({ description: 'The signed head of the tree of an audit log.' })
export class AuditCheckpointView {
  @ApiProperty({
    maxLength: 200,
    description: 'The name of the log.',
    example: 'orders-saas-api/audit-log/0198c0de-7a11-7000-8000-000000000002',
  })
  origin: string;

  @ApiProperty({
    type: 'integer',
    minimum: 1,
    maximum: MOST,
    description: 'How many entries the tree has.',
    example: 42,
  })
  size: number;

  @ApiProperty({ ...HASH_DOC, description: "The tree's root (RFC 6962), base64." })
  root_hash: string;

  @ApiProperty({ format: 'date-time', description: 'When it was signed.', example: '2026-01-31T12:00:00.000Z' })
  signed_at: string;

  @ApiProperty({
    maxLength: 2_000,
    description: 'The head as a C2SP `tlog-checkpoint`: a note signed with Ed25519.',
    example:
      'orders-saas-api/audit-log/0198c0de-7a11-7000-8000-000000000002\n42\nq83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=\n\n— orders-saas-api/audit-log/0198c0de-7a11-7000-8000-000000000002 Zm9vYg==\n',
  })
  note: string;
}

@ApiSchema({ description: 'That an entry is in the tree (RFC 6962, section 2.1.1). Hashes are base64.' })
export class AuditProofView {
  @ApiProperty({
    type: 'integer',
    minimum: 0,
    maximum: MOST,
    description: "The entry's place in the tree.",
    example: 41,
  })
  leaf_index: number;

  @ApiProperty({ type: 'integer', minimum: 1, maximum: MOST, description: 'The size of the tree.', example: 42 })
  size: number;

  @ApiProperty({ ...HASH_DOC, description: 'SHA-256 of a zero byte and the canonical bytes.' })
  leaf_hash: string;

  @ApiProperty({ ...HASHES_DOC, description: 'From the leaf upwards.' } as never)
  hashes: string[];

  @ApiProperty({
    maxLength: 200_000,
    description: 'The canonical bytes of the entry, base64; `docs/audit-log.md` has the encoding.',
    example: 'AAAAB3ZlcnNpb24=',
  })
  canonical: string;

  @ApiProperty({
    type: 'object',
    additionalProperties: { type: 'string' },
    description: 'The salt of each personal value, base64; none for an erased value.',
    example: { network: HASH },
  })
  salts: Record<string, string>;
}

@ApiSchema({
  description: 'That the later tree begins with the earlier one (RFC 6962, section 2.1.2). Hashes are base64.',
})
export class AuditConsistencyProofView {
  @ApiProperty({
    type: 'integer',
    minimum: 0,
    maximum: MOST,
    description: 'The size of the earlier tree.',
    example: 41,
  })
  from: number;

  @ApiProperty({ type: 'integer', minimum: 0, maximum: MOST, description: 'The size of the later tree.', example: 42 })
  to: number;

  @ApiProperty({ ...HASHES_DOC, description: 'As RFC 6962 orders them.' } as never)
  hashes: string[];
}

@ApiSchema({ description: 'A public key of the signatures on audit logs (RFC 8037).' })
export class AuditKeyView {
  @ApiProperty({ format: 'uuid', description: "The key's id.", example: '0198c0de-7a11-7000-8000-0000000000d1' })
  kid: string;

  @ApiProperty({ enum: ['OKP'], description: 'The kind of key.', example: 'OKP' })
  kty: string;

  @ApiProperty({ enum: ['Ed25519'], description: 'Its curve.', example: 'Ed25519' })
  crv: string;

  @ApiProperty({
    minLength: 43,
    maxLength: 43,
    description: 'Its 32 bytes, base64url.',
    example: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo',
  })
  x: string;

  @ApiProperty({ enum: ['sig'], description: 'The algorithm of the key.', example: 'sig' })
  use: string;

  @ApiProperty({ enum: ['EdDSA'], description: 'The algorithm.', example: 'EdDSA' })
  alg: string;
}

@ApiSchema({ description: 'The public keys of the signatures on audit logs, the newest first.' })
export class AuditKeysView {
  @ApiProperty({ type: [AuditKeyView], maxItems: 100, description: 'As a JSON Web Key Set.' })
  keys: AuditKeyView[];
}
