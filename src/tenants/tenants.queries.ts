/** The list of tenants for the operator's role. */
import type { Row, Statement } from '../platform/database/sql/statement';

export interface TenantRow extends Row {
  id: string;
  name: string;
  created_at: Date;
  suspended_at: Date | null;
}

const COLUMNS = 'id, name, created_at, suspended_at';
const FIRST = '00000000-0000-0000-0000-000000000000';

/** The page after a tenant, oldest first. */
export function listTenants(after: string | undefined, limit: number, onlySuspended: boolean): Statement {
  return {
    name: 'tenants_list',
    text: `select ${COLUMNS} from tenants where id > $1 and (suspended_at is not null or not $3) order by id limit $2`,
    values: [after ?? FIRST, limit, onlySuspended],
  };
}

export function findTenant(id: string): Statement {
  return { name: 'tenant_find', text: `select ${COLUMNS} from tenants where id = $1`, values: [id] };
}

/** A tenant's name; within the tenant. */
export function findTenantName(id: string): Statement {
  return { name: 'tenant_find_name', text: 'select name from tenants where id = $1', values: [id] };
}

/** Suspends or resumes; no row without a change. */
export function markSuspended(id: string, at: Date | null): Statement {
  return {
    name: 'tenant_mark_suspended',
    text: `update tenants set suspended_at = $2
            where id = $1 and (suspended_at is null) <> ($2::timestamptz is null) returning ${COLUMNS}`,
    values: [id, at],
  };
}

/** The members of a tenant, owners first; within the tenant. */
export function listMembers(tenantId: string, limit: number): Statement {
  return {
    name: 'members_list',
    text: `select user_id, role from memberships where tenant_id = $1
            order by role = 'owner' desc, created_at, user_id limit $2`,
    values: [tenantId, limit],
  };
}

export function countMembers(tenantId: string): Statement {
  return {
    name: 'members_count',
    text: 'select count(*)::int as count from memberships where tenant_id = $1',
    values: [tenantId],
  };
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
