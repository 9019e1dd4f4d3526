import type { TenantTransaction } from '../../platform/database/tenant-database';
import {
  BUILT_IN_ROLES,
  type BuiltInRole,
  isBuiltInRole,
  type Permission,
  permissionsOfRole,
} from '../../platform/permissions/permissions';
import { findCustomRole, type RoleRow } from './roles.queries';

/** A role of either kind. */
export interface Role {
  name: string;
  /** The position in the list, newest first: built-in roles come last. */
  id: string;
  description: string | null;
  permissions: ReadonlySet<Permission>;
  builtIn: boolean;
  version: number;
}

const DESCRIPTIONS: Readonly<Record<BuiltInRole, string>> = {
  owner: 'Everything.',
  admin: 'Everything but single sign-on.',
  member: 'Works with orders.',
  viewer: 'Reads.',
};

/** The form of a role's name, of either kind. */
export const ROLE_NAME = /^[a-z][a-z0-9_-]{0,49}$/;

/** The roles that every tenant has. */
export function builtInRoles(): Role[] {
  return BUILT_IN_ROLES.map((name, at) => ({
    name,
    id: `00000000-0000-0000-0000-00000000000${BUILT_IN_ROLES.length - at}`,
    description: DESCRIPTIONS[name],
    permissions: permissionsOfRole(name, null),
    builtIn: true,
    version: 1,
  }));
}

export function customRole(row: RoleRow): Role {
  const { name, id, description, permissions, version } = row;
  return { name, id, description, permissions: permissionsOfRole(name, permissions), builtIn: false, version };
}

/** The role of this name in the transaction's tenant, if there is one. */
export async function findRole(tx: TenantTransaction, name: string): Promise<Role | undefined> {
  if (isBuiltInRole(name)) return builtInRoles().find((role) => role.name === name);
  const [row] = ROLE_NAME.test(name) ? await tx.query<RoleRow>(findCustomRole(tx.tenantId, name)) : [];
  return row && customRole(row);
}

/** The permissions of a role; none if the tenant has no such role. */
export async function permissionsOf(tx: TenantTransaction, name: string): Promise<ReadonlySet<Permission>> {
  return (await findRole(tx, name))?.permissions ?? new Set();
}
