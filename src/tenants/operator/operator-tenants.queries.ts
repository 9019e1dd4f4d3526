/** Statements of the operator's commands; those of the list of tenants run as the operator's role. */
import type { Row, Statement } from '../../platform/database/sql/statement';

/** A tenant as the list of tenants has it. */
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

/** Suspends or resumes; no row without a change. */
export function markSuspended(id: string, at: Date | null): Statement {
  return {
    name: 'tenant_mark_suspended',
    text: `update tenants set suspended_at = $2
            where id = $1 and (suspended_at is null) <> ($2::timestamptz is null) returning ${COLUMNS}`,
    values: [id, at],
  };
}

/** A member as the operator sees it. */
export interface ListedMember extends Row {
  id: string;
  role: string;
  email: string;
}

/** The members of a tenant, owners first; as the role that sees members' addresses. */
export function listMembers(tenantId: string, limit: number): Statement {
  return {
    name: 'members_list',
    text: `select m.user_id as id, m.role, u.email from memberships m join users u on u.id = m.user_id
            where m.tenant_id = $1 order by m.role = 'owner' desc, m.created_at, m.user_id limit $2`,
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
