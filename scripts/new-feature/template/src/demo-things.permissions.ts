import { PERMISSIONS } from '../platform/permissions/permissions';

declare module '../platform/permissions/permissions' {
  interface PermissionNames {
    'demo_things:read': true;
    'demo_things:write': true;
  }
}

PERMISSIONS.declare({
  'demo_things:read': { description: 'Read demo things.', roles: ['admin', 'member', 'viewer'] },
  'demo_things:write': { description: 'Create, change and delete demo things.', roles: ['admin', 'member'] },
});
