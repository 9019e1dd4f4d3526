import { Injectable } from '@nestjs/common';
import { ConnectionManager } from '../connections/connection-manager';
import { idSetting } from '../connections/transaction-settings';
import { DB_ROLES } from '../sql/db-roles';
import { NO_TENANT, runTransaction, type TenantScope } from '../tenant-database';
import { Transaction } from '../transaction';

/**
 * For the erasure of closed tenants: its role sees the tenants that closed 30 days ago, and deletes rows of the tenant
 * in `app.tenant_id` that the role of requests may only insert.
 */
@Injectable()
export class EraserDatabase {
  constructor(private readonly connections: ConnectionManager) {}

  /** Runs `work` bound to a tenant, or to none without a scope. */
  transaction<T>(
    work: (tx: Transaction) => Promise<T>,
    { tenantId }: TenantScope = { tenantId: NO_TENANT },
  ): Promise<T> {
    const settings = this.connections.transactionSettings(DB_ROLES.eraser, [idSetting('app.tenant_id', tenantId)]);
    return runTransaction(new Transaction(this.connections, settings), work);
  }
}
