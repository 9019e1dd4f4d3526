import type { ApiClient } from '../harness/client';
import { addMember, personOf } from '../harness/members';
import { expectProblem } from '../harness/problems';
import { startService, type TestService } from '../harness/service';

describe('roles', () => {
  let service: TestService;
  let owner: ApiClient;

  beforeAll(async () => {
    service = await startService();
  });
  beforeEach(async () => {
    owner = await service.tenant();
  });
  afterAll(() => service.stop());

  const make = (client: ApiClient, name: string, permissions: string[]) => client.post('/roles', { name, permissions });
  const twoSeconds = () => new Promise((resolve) => setTimeout(resolve, 2_000));

  it('are the four built in, with what the contract gives them', async () => {
    const { data } = (await owner.get('/roles')).body;
    const all = Object.fromEntries(
      data.map((role: { name: string; permissions: string[] }) => [role.name, role.permissions.sort()]),
    );
    const everything = [
      'api_keys:manage',
      'audit:read',
      'members:manage',
      'members:read',
      'orders:read',
      'orders:write',
      'roles:manage',
      'sso:manage',
      'tenant:manage',
      'webhooks:read',
      'webhooks:write',
    ];
    expect(Object.keys(all)).toEqual(['owner', 'admin', 'member', 'viewer']);
    expect(all).toEqual({
      owner: everything,
      admin: everything.filter((name) => name !== 'sso:manage'),
      member: ['members:read', 'orders:read', 'orders:write', 'webhooks:read'],
      viewer: ['members:read', 'orders:read', 'webhooks:read'],
    });
    expect(data.every((role: { built_in: boolean }) => role.built_in)).toBe(true);
    expect(data[0].member_count).toBe(1);
    for (const response of [
      await owner.patch('/roles/viewer', { description: 'mine' }),
      await owner.delete('/roles/viewer'),
    ]) {
      expectProblem(response, 'business_rule_violation');
    }
  });

  it('of the tenant are made, given to members, changed and deleted', async () => {
    const made = await owner.post('/roles', {
      name: 'support',
      description: 'Answers customers.',
      permissions: ['orders:read', 'members:read'],
    });
    expect([made.status, made.headers.get('location'), made.headers.get('etag')]).toEqual([
      201,
      '/api/v1/roles/support',
      '"1"',
    ]);
    expect(made.body).toEqual({
      name: 'support',
      description: 'Answers customers.',
      permissions: ['orders:read', 'members:read'],
      built_in: false,
      member_count: 0,
      version: 1,
    });
    expectProblem(await make(owner, 'support', ['orders:read']), 'conflict');
    const member = await addMember(service, owner, 'viewer');
    await owner.patch(`/members/${personOf(member)}`, { role: 'support' });
    await twoSeconds();
    expect((await member.get('/auth/me')).body).toMatchObject({
      role: 'support',
      permissions: expect.arrayContaining(['orders:read', 'members:read']),
    });
    expectProblem(await member.get('/webhooks/endpoints'), 'forbidden');
    expect((await owner.get('/roles/support')).body.member_count).toBe(1);
    expectProblem(await owner.delete('/roles/support'), 'conflict');
    const changed = await owner.patch('/roles/support', { permissions: ['members:read'] }, { 'if-match': '"1"' });
    expect([changed.status, changed.body.version, changed.body.permissions]).toEqual([200, 2, ['members:read']]);
    expect((await owner.patch('/roles/support', { permissions: ['members:read'] })).body.version).toBe(2);
    expectProblem(await owner.patch('/roles/support', {}, { 'if-match': '"1"' }), 'version_conflict');
    await twoSeconds();
    expectProblem(await member.get('/orders'), 'forbidden');
    await owner.patch(`/members/${personOf(member)}`, { role: 'viewer' });
    expect((await owner.delete('/roles/support')).status).toBe(204);
    expectProblem(await owner.get('/roles/support'), 'not_found');
  });

  it('hold no more than their maker has', async () => {
    await make(owner, 'people', ['roles:manage', 'members:manage', 'members:read']);
    await make(owner, 'keys', ['api_keys:manage']);
    const manager = await addMember(service, owner, 'people');
    expectProblem(await make(manager, 'better', ['orders:read']), 'forbidden');
    expectProblem(await manager.patch('/roles/people', { permissions: ['roles:manage', 'orders:write'] }), 'forbidden');
    expectProblem(await manager.patch('/roles/keys', { permissions: ['members:read'] }), 'forbidden');
    expectProblem(await manager.delete('/roles/keys'), 'forbidden');
    expectProblem(await manager.patch(`/members/${personOf(manager)}`, { role: 'keys' }), 'forbidden');
    expect((await make(manager, 'readers', ['members:read'])).status).toBe(201);
  });

  it('have names of one form, and permissions that are for them', async () => {
    for (const name of ['owner', 'Upper', '1st', '', 'a'.repeat(51), 'with space', 'x.y']) {
      expectProblem(await make(owner, name, ['orders:read']), 'validation_error');
    }
    for (const permissions of [[], ['sso:manage'], ['nothing:read'], ['orders:read', 'orders:read'], 'orders:read']) {
      expectProblem(await owner.post('/roles', { name: 'x', permissions }), 'validation_error');
    }
    expectProblem(
      await owner.post('/roles', { name: 'x', permissions: ['orders:read'], built_in: true }),
      'validation_error',
    );
    expectProblem(await owner.patch('/roles/x', { name: 'y' }), 'validation_error');
  });

  it('are at most 50, also of those made at once, and are listed by page', async () => {
    const responses = await Promise.all(Array.from({ length: 55 }, (_, at) => make(owner, `r${at}`, ['orders:read'])));
    expect(responses.filter(({ status }) => status === 201)).toHaveLength(50);
    for (const response of responses) if (response.status !== 201) expectProblem(response, 'business_rule_violation');
    const names: string[] = [];
    for (let cursor = ''; ;) {
      const page = (await owner.get(`/roles?limit=20${cursor}`)).body;
      names.push(...page.data.map((role: { name: string }) => role.name));
      if (!page.has_more) break;
      cursor = `&cursor=${page.next_cursor}`;
    }
    expect(names).toHaveLength(54);
    expect(new Set(names).size).toBe(54);
    expect(names.slice(-4)).toEqual(['owner', 'admin', 'member', 'viewer']);
  });

  it('of another tenant are not there', async () => {
    await make(owner, 'support', ['orders:read']);
    const stranger = await service.tenant();
    for (const response of [
      await stranger.get('/roles/support'),
      await stranger.patch('/roles/support', { permissions: ['orders:read'] }),
      await stranger.delete('/roles/support'),
    ]) {
      expectProblem(response, 'not_found');
    }
  });
});
