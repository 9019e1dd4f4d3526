import { PermissionRegistry } from './permissions';

const of = (registry: PermissionRegistry, role: 'owner' | 'admin' | 'member' | 'viewer') => [...registry.ofRole(role)];

describe('PermissionRegistry', () => {
  const declared = () => {
    const registry = new PermissionRegistry();
    registry.declare({ 'orders:read': { description: 'Reads.', roles: ['admin', 'member', 'viewer'] } });
    return registry;
  };

  it('gives the owner every permission, also one declared after the first query', () => {
    const registry = declared();
    expect(of(registry, 'owner')).toEqual(['orders:read']);
    registry.declare({ 'sso:manage': { description: 'Manages.', roles: [], customRoles: false, apiKeys: false } });
    expect(of(registry, 'owner')).toEqual(['orders:read', 'sso:manage']);
    expect(of(registry, 'admin')).toEqual(['orders:read']);
  });

  it('excludes permissions that no custom role and no API key may have', () => {
    const registry = declared();
    registry.declare({ 'sso:manage': { description: 'Manages.', roles: [], customRoles: false, apiKeys: false } });
    expect(registry.allowedIn('customRoles')).toEqual(['orders:read']);
    expect(registry.allowedIn('apiKeys')).toEqual(['orders:read']);
  });

  it('knows the permission of events by their first word', () => {
    const registry = declared();
    registry.declare({ 'members:read': { description: 'Reads.', roles: [], events: ['member', 'session'] } });
    expect(
      ['member.joined', 'session.', 'order.created', 'member', 'members.x'].map((type) => registry.ofEvent(type)),
    ).toEqual(['members:read', 'members:read', undefined, undefined, undefined]);
    expect(registry.eventsOf((permission) => permission === 'members:read')).toEqual(['member.', 'session.']);
    expect(registry.eventsOf(() => false)).toEqual([]);
    expect(() => registry.declare({ 'sso:manage': { description: '', roles: [], events: ['member'] } })).toThrow(
      'two permissions',
    );
  });

  it('refuses a permission that is declared twice', () => {
    const registry = declared();
    expect(() => registry.declare({ 'orders:read': { description: 'Again.', roles: [] } })).toThrow('declared twice');
  });
});
