import { Injectable } from '@nestjs/common';
import { ConnectionManager } from '../connections/connection-manager';
import { idSetting } from '../connections/transaction-settings';
import { DB_ROLES } from '../sql/db-roles';
import { runTransaction, type TenantScope, TenantTransaction } from '../tenant-database';
import { Transaction } from '../transaction';

/**
 * For building the trees of the audit logs: its role reads entries, appends to the tree of the given tenant, and
 * discovers the tenants with work. It can change or delete no entry.
 */
@Injectable()
export class AuditDatabase {
  constructor(private readonly connections: ConnectionManager) {}

  /** A transaction on one tenant's log and tree. */
  transaction<T>(scope: TenantScope, work: (tx: TenantTransaction) => Promise<T>): Promise<T> {
    const settings = this.connections.transactionSettings(DB_ROLES.audit, [idSetting('app.tenant_id', scope.tenantId)]);
    return runTransaction(new TenantTransaction(this.connections, settings, scope.tenantId), work);
  }

  /** A transaction without a tenant, or for discovery across all tenants. */
  acrossTenants<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    return runTransaction(
      new Transaction(this.connections, this.connections.transactionSettings(DB_ROLES.audit, [])),
      work,
    );
  }

  /** The tenants with entries outside the tree: by a loose index scan if the tables are on one server. */
  async tenantsWithPending(limit: number): Promise<string[]> {
    const statement = this.connections.isDistributed
      ? {
          name: 'audit_tenants_spread',
          text: 'select tenant_id from audit_pending group by tenant_id limit $1',
          values: [limit],
        }
      : {
          name: 'audit_tenants',
          text: `with recursive tenant as (
                   (select tenant_id from audit_pending order by tenant_id limit 1)
                   union all
                   select (select p.tenant_id from audit_pending p where p.tenant_id > tenant.tenant_id
                            order by p.tenant_id limit 1)
                     from tenant where tenant.tenant_id is not null
                 ) select tenant_id from tenant where tenant_id is not null limit $1`,
          values: [limit],
        };
    const rows = await this.connections.query<{ tenant_id: string }>(
      this.connections.transactionSettings(DB_ROLES.audit, [], true),
      statement,
    );
    return rows.map((row) => row.tenant_id);
  }
}
