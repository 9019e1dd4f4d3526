import { PERMISSIONS } from '../platform/permissions/permissions';

declare module '../platform/permissions/permissions' {
  interface PermissionNames {
    'audit:read': true;
  }
}

PERMISSIONS.declare({
  'audit:read': { description: 'Reads and exports the audit log.', roles: ['admin'], events: ['audit'] },
});
