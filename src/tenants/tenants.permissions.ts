import { PERMISSIONS } from '../platform/permissions/permissions';

declare module '../platform/permissions/permissions' {
  interface PermissionNames {
    'members:read': true;
    'members:manage': true;
    'roles:manage': true;
    'tenant:manage': true;
    'sso:manage': true;
  }
}

PERMISSIONS.declare({
  'members:read': {
    description: 'Read members, roles and their permissions.',
    roles: ['admin', 'member', 'viewer'],
    events: ['member', 'session'],
  },
  'members:manage': { description: 'Invite, change and remove members.', roles: ['admin'], apiKeys: false },
  'roles:manage': { description: 'Create and change custom roles.', roles: ['admin'], apiKeys: false },
  'tenant:manage': {
    description: 'Change the tenant, read its policies and usage.',
    roles: ['admin'],
    events: ['tenant'],
  },
  'sso:manage': {
    description: 'Set up single sign-on and directories.',
    roles: [],
    customRoles: false,
    apiKeys: false,
    events: ['sso'],
  },
});
