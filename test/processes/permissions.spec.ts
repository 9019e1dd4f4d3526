type Permissions = typeof import('../../src/platform/permissions/permissions');

/** The permissions of a process after its root module is loaded, without those of another process. */
function knownTo(rootModule: string): { names: string[]; events: string[] } {
  let found: Permissions | undefined;
  jest.isolateModules(() => {
    jest.requireActual(rootModule);
    found = jest.requireActual<Permissions>('../../src/platform/permissions/permissions');
  });
  const { PERMISSIONS } = found as Permissions;
  return { names: [...PERMISSIONS.names].sort(), events: PERMISSIONS.eventsOf(() => true).sort() };
}

describe('the permissions', () => {
  it('are the same in every process: the worker must not send by * what the API keeps back', () => {
    const api = knownTo('../../src/processes/api/api.module');
    expect(api.events).toEqual(['api_key.', 'audit.', 'member.', 'session.', 'sso.', 'tenant.']);
    expect(api.names).toContain('orders:write');
    expect(knownTo('../../src/processes/worker/worker.module')).toEqual(api);
    expect(knownTo('../../src/processes/admin/admin.module')).toEqual(api);
  });
});
