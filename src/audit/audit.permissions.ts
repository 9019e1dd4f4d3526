import { PERMISSIONS } from '../platform/permissions/permissions';

declare module '../platform/permissions/permissions' {
  interface PermissionNames {
    'audit:read': true;
  }
}

PERMISSIONS.declare({
  'audit:read': { description: 'Read and verify the audit log.', roles: ['admin'] },
});
