import { PERMISSIONS } from '../platform/permissions/permissions';

declare module '../platform/permissions/permissions' {
  interface PermissionNames {
    'webhooks:read': true;
    'webhooks:write': true;
  }
}

PERMISSIONS.declare({
  'webhooks:read': { description: 'Read endpoints, events and deliveries.', roles: ['admin', 'member', 'viewer'] },
  'webhooks:write': {
    description: 'Create and change endpoints, read their secrets, send events, retry deliveries.',
    roles: ['admin'],
  },
});
