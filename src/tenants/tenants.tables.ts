import type { Filling, PersonTable, Placements, RetentionRule, TenantTable } from '../platform/database/sql/tables';

export const TENANTS_PLACEMENTS: Placements = {
  tenants: 'reference',
  user_tenants: 'reference',
  memberships: 'distributed',
  roles: 'distributed',
  invitations: 'distributed',
  tenant_exports: 'distributed',
};

export const TENANTS_FILLINGS: readonly Filling[] = [
  {
    table: 'user_tenants',
    from: 'memberships',
    text: `insert into user_tenants (tenant_id, user_id) select tenant_id, user_id from memberships
           on conflict do nothing`,
  },
];

const EXPIRED_INVITATIONS_MS = 30 * 24 * 60 * 60 * 1000;

/** An expired invitation can be sent again for 30 days; an export goes when its archive can no longer be read. */
export const TENANTS_RETENTION: readonly RetentionRule[] = [
  { table: 'invitations', key: 'tenant_id, id', column: 'expires_at', period: () => EXPIRED_INVITATIONS_MS },
  { table: 'tenant_exports', key: 'tenant_id, id', column: 'expires_at' },
];

/** Members are in a part of the archive of their own, with names and addresses: see `archive/archive-parts.ts`. */
export const TENANTS_TENANT_TABLES: readonly TenantTable[] = [
  {
    table: 'invitations',
    key: { id: 'uuid' },
    archived: ['id', 'email', 'role', 'invited_by', 'version', 'created_at', 'expires_at'],
    omitted: ['email_key', 'token_hash'],
  },
  {
    table: 'tenant_exports',
    key: { id: 'uuid' },
    archived: ['id', 'created_by', 'created_at', 'expires_at', 'version'],
    omitted: [],
  },
  {
    table: 'roles',
    key: { name: 'text' },
    archived: ['name', 'description', 'permissions', 'version', 'created_at', 'updated_at'],
    omitted: ['id'],
  },
  { table: 'user_tenants', key: { user_id: 'uuid' }, archived: [], omitted: '*' },
  { table: 'memberships', key: { user_id: 'uuid' }, archived: [], omitted: '*' },
];

/** A membership from after the deletion of the account. */
export const TENANTS_PERSON_TABLES: readonly PersonTable[] = [
  { table: 'user_tenants', column: 'user_id' },
  { table: 'memberships', column: 'user_id' },
];
