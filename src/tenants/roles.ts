import { type Permission, PERMISSIONS } from '../platform/http/requests/caller';

/** What a member of a tenant may be, the most powerful first. */
export const TENANT_ROLES = ['owner', 'admin', 'member', 'viewer'] as const;
export type Role = (typeof TENANT_ROLES)[number];

const ALL: ReadonlySet<Permission> = new Set(PERMISSIONS);
const READING: ReadonlySet<Permission> = new Set(PERMISSIONS.filter((permission) => permission.endsWith(':read')));

/** What each role may do. */
export const PERMISSIONS_OF_ROLE: Readonly<Record<Role, ReadonlySet<Permission>>> = {
  owner: ALL,
  admin: ALL,
  member: ALL,
  viewer: READING,
};
