import { PERMISSIONS } from '../platform/permissions/permissions';

declare module '../platform/permissions/permissions' {
  interface PermissionNames {
    'api_keys:manage': true;
  }
}

PERMISSIONS.declare({
  'api_keys:manage': {
    description: "Manage the tenant's API keys.",
    roles: ['admin'],
    apiKeys: false,
    events: ['api_key'],
  },
});
