import { columnsOf, type RowOf } from '../../platform/database/columns';
import type { Row, Statement } from '../../platform/database/sql/statement';
import { CustomRole } from './role.entity';

/** A custom role. */
export type RoleRow = RowOf<CustomRole>;

export interface RoleCount extends Row {
  role: string;
  count: number;
}

const COLUMNS = columnsOf(CustomRole);

/** All custom roles of a tenant, of which there are 50 at most. */
export function listCustomRoles(tenantId: string): Statement {
  return {
    name: 'roles_list',
    text: `select ${COLUMNS} from roles where tenant_id = $1 order by id desc`,
    values: [tenantId],
  };
}

export function findCustomRole(tenantId: string, name: string): Statement {
  return {
    name: 'role_find',
    text: `select ${COLUMNS} from roles where tenant_id = $1 and name = $2`,
    values: [tenantId, name],
  };
}

/** The number of members of each role that has any. */
export function countMembersByRole(tenantId: string): Statement {
  return {
    name: 'roles_member_counts',
    text: 'select role, count(*)::int as count from memberships where tenant_id = $1 group by role',
    values: [tenantId],
  };
}

/** Whether a member or a pending invitation has the role. */
export function findUseOfRole(tenantId: string, name: string, now: Date): Statement {
  return {
    name: 'role_use_find',
    text: `select 'member' as kind from memberships where tenant_id = $1 and role = $2
           union all
           select 'invitation' from invitations where tenant_id = $1 and role = $2 and expires_at > $3
           limit 1`,
    values: [tenantId, name, now],
  };
}
