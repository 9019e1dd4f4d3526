import { Injectable } from '@nestjs/common';
import { AuditDatabase } from '../../platform/database/roles/audit-database';
import { NO_TENANT } from '../../platform/database/tenant-database';
import type { Row } from '../../platform/database/sql/statement';

const ERASURES_AT_ONCE = 1_000;

interface ErasureRow extends Row {
  tenant_id: string;
  user_id: string;
}

/**
 * Executes erasures: deletes the personal values of a person, and their salts, from the log of a tenant. The entries
 * and their hashes stay: without its salt, a commitment does not reveal its value.
 */
@Injectable()
export class Erasures {
  constructor(private readonly database: AuditDatabase) {}

  async carryOut(): Promise<void> {
    const rows = await this.database.acrossTenants((tx) =>
      tx.query<ErasureRow>({
        name: 'audit_erasures_find',
        text: 'select tenant_id, user_id from audit_erasures limit $1',
        values: [ERASURES_AT_ONCE],
      }),
    );
    for (const { tenant_id: tenantId, user_id: userId } of rows) {
      await this.database.acrossTenants((tx) => {
        tx.defer(
          tenantId === NO_TENANT
            ? {
                name: 'audit_personal_erase_everywhere',
                text: 'delete from audit_personal where user_id = $1',
                values: [userId],
              }
            : {
                name: 'audit_personal_erase',
                text: 'delete from audit_personal where tenant_id = $1 and user_id = $2',
                values: [tenantId, userId],
              },
        );
        tx.defer({
          name: 'audit_erasure_done',
          text: 'delete from audit_erasures where tenant_id = $1 and user_id = $2',
          values: [tenantId, userId],
        });
        return Promise.resolve();
      });
    }
  }
}
