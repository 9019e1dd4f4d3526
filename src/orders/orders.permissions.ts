import { PERMISSIONS } from '../platform/permissions/permissions';

declare module '../platform/permissions/permissions' {
  interface PermissionNames {
    'orders:read': true;
    'orders:write': true;
  }
}

PERMISSIONS.declare({
  'orders:read': { description: 'Read orders, their history and exports.', roles: ['admin', 'member', 'viewer'] },
  'orders:write': { description: 'Create and change orders.', roles: ['admin', 'member'] },
});
