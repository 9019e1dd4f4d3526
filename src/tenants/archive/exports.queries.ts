/** Exports of a tenant, within it. */
import type { Row, Statement } from '../../platform/database/sql/statement';

export interface TenantExportRow extends Row {
  id: string;
  created_by: string;
  created_at: Date;
  expires_at: Date;
  version: number;
}

const COLUMNS = 'id, created_by, created_at, expires_at, version';

export function insertExport(tenantId: string, row: TenantExportRow): Statement {
  return {
    name: 'tenant_export_insert',
    text: `insert into tenant_exports (tenant_id, ${COLUMNS}) values ($1, $2, $3, $4, $5, $6)`,
    values: [tenantId, row.id, row.created_by, row.created_at, row.expires_at, row.version],
  };
}

/** An export whose archive can still be read. */
export function findExport(tenantId: string, id: string, now: Date): Statement {
  return {
    name: 'tenant_export_find',
    text: `select ${COLUMNS} from tenant_exports where tenant_id = $1 and id = $2 and expires_at > $3`,
    values: [tenantId, id, now],
  };
}

export function countExports(tenantId: string, now: Date): Statement {
  return {
    name: 'tenant_exports_count',
    text: 'select count(*)::int as count from tenant_exports where tenant_id = $1 and expires_at > $2',
    values: [tenantId, now],
  };
}

/** A row if the person is an active owner of the tenant, and the tenant is open. */
export function findOpenOwner(tenantId: string, userId: string): Statement {
  return {
    name: 'tenant_export_owner',
    text: `select 1 from memberships m join tenants t on t.id = m.tenant_id
            where m.tenant_id = $1 and m.user_id = $2 and m.role = 'owner' and m.status = 'active'
              and t.closed_at is null and t.suspended_at is null`,
    values: [tenantId, userId],
  };
}
