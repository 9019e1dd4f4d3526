import { Injectable } from '@nestjs/common';
import { ConnectionManager } from '../connections/connection-manager';
import { idSetting } from '../connections/transaction-settings';
import { DB_ROLES } from '../sql/db-roles';
import type { Row, Statement } from '../sql/statement';
import type { TenantScope } from '../tenant-database';

/**
 * The names and addresses of a tenant's members. The role sees the memberships of the tenant in `app.tenant_id`, and of
 * users their id, address and name: every statement joins the two.
 */
@Injectable()
export class MembersDatabase {
  constructor(private readonly connections: ConnectionManager) {}

  /** Runs one statement that reads, in one round trip. */
  query<R extends Row>({ tenantId }: TenantScope, statement: Statement): Promise<R[]> {
    return this.connections.query<R>(
      this.connections.transactionSettings(DB_ROLES.members, [idSetting('app.tenant_id', tenantId)], true),
      statement,
    );
  }
}
