import { Controller, Get, Header } from '@nestjs/common';
import { ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import { NO_TENANT, TenantDatabase } from '../platform/database/tenant-database';
import { ApiSection } from '../platform/http/openapi/declarations';
import { Public } from '../platform/http/requests/caller';
import { AuditKeysView } from './audit.views';
import { listPublicKeys, type PublicKeyRow } from './audit.queries';

@ApiSection(
  'Audit log',
  'The actions in the tenant, which its administrators can read, export, and verify for completeness.',
)
@Controller('.well-known')
export class AuditKeysController {
  constructor(private readonly database: TenantDatabase) {}

  @Get('audit-keys.json')
  @Public()
  @Header('Cache-Control', 'public, max-age=300')
  @ApiOperation({
    operationId: 'getAuditKeys',
    summary: 'Get the public keys of audit logs',
    description: 'The keys that sign checkpoints, newest first; empty until the first signature.',
  })
  @ApiOkResponse({ type: AuditKeysView, description: 'The keys.' })
  async keys(): Promise<AuditKeysView> {
    const rows = await this.database.query<PublicKeyRow>({ tenantId: NO_TENANT, central: true }, listPublicKeys());
    return {
      keys: rows.map((row) => ({
        kid: row.id,
        kty: 'OKP',
        crv: 'Ed25519',
        x: row.public_key.toString('base64url'),
        use: 'sig',
        alg: 'EdDSA',
      })),
    };
  }
}
