import { Injectable } from '@nestjs/common';
import { Core } from '../connections/connection-manager';
import { idSetting } from '../connections/transaction-settings';
import { ROLES } from '../sql/db-roles';
import type { Row, Statement } from '../sql/statement';
import type { TenantScope } from '../tenant-database';

/**
 * For the names and addresses of a tenant's members. The role sees the memberships of the tenant in `app.tenant_id`, and of people
 * their id, address and name: every statement joins the two.
 */
@Injectable()
export class MembersDatabase {
  constructor(private readonly core: Core) {}

  /** Runs one statement that reads, in one round trip. */
  read<R extends Row>({ tenantId }: TenantScope, statement: Statement): Promise<R[]> {
    return this.core.read<R>(
      this.core.prologue(ROLES.members, [idSetting('app.tenant_id', tenantId)], true),
      statement,
    );
  }
}
