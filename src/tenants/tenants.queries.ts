/** Statements on a tenant's own row and its owners. */
import type { Statement } from '../platform/database/sql/statement';

/** A tenant's name; within the tenant. */
export function findTenantName(id: string): Statement {
  return { name: 'tenant_find_name', text: 'select name from tenants where id = $1', values: [id] };
}

/**
 * Locks the tenant's row against other changes of members and roles; foreign keys to it can still be checked. Within
 * the tenant.
 */
export function lockTenant(tenantId: string): Statement {
  return { name: 'tenant_lock', text: 'select 1 from tenants where id = $1 for no key update', values: [tenantId] };
}

/** An active owner besides this user, if there is one; within the tenant. */
export function otherActiveOwner(tenantId: string, userId: string): Statement {
  return {
    name: 'owners_other_active',
    text: `select 1 from memberships
            where tenant_id = $1 and user_id <> $2 and role = 'owner' and status = 'active' limit 1`,
    values: [tenantId, userId],
  };
}
