import { Injectable } from '@nestjs/common';
import { AuditLog } from '../platform/audit/audit-log';
import { TenantDatabase } from '../platform/database/tenant-database';
import { NotFound } from '../platform/errors';
import { Outbox } from '../platform/outbox/outbox';
import { Epochs } from '../platform/revocation/epochs';
import { viewOf } from './api-keys.views';
import { ApiKey } from './api-key.entity';
import * as queries from './api-keys.queries';
import type { ApiKeyView } from './api-keys.views';

const MAX_LISTED = 1_000;

/** The API keys of a tenant, as the operator sees and ends them. */
@Injectable()
export class OperatorKeys {
  constructor(
    private readonly database: TenantDatabase,
    private readonly audit: AuditLog,
    private readonly outbox: Outbox,
    private readonly epochs: Epochs,
  ) {}

  /** All keys of the tenant, newest first. */
  async list(tenantId: string): Promise<ApiKeyView[]> {
    const statement = queries.listKeys(tenantId, null, undefined, MAX_LISTED);
    return (await this.database.query<queries.KeyRow>({ tenantId }, statement)).map(viewOf);
  }

  /** Ends a key permanently. @throws NotFound */
  async revoke(tenantId: string, id: string): Promise<void> {
    await this.database.transaction({ tenantId }, async (tx) => {
      const [row] = await tx.query<queries.KeyRow>(queries.findKey(tenantId, id));
      const { affected } = await tx.repository(ApiKey).delete({ tenantId, id });
      if (!row || affected === 0) throw new NotFound('API key', id);
      tx.defer(queries.deleteKeyEpoch(tenantId, id));
      this.epochs.raiseTenant(tx);
      this.audit.record(
        tx,
        { tenantId, actor: { type: 'operator', id: null } },
        { action: 'api_key.revoked', target: { type: 'api_key', id }, changes: { name: [row.name, null] } },
      );
      const data = JSON.stringify(viewOf(row));
      this.outbox.publish(tx, [{ type: 'api_key.revoked', data, aggregateId: id }]);
    });
  }
}
