import { Client } from 'pg';
import { randomUUID } from 'node:crypto';
import type { ApiClient } from '../harness/client';
import { addMember, makeKey, personOf } from '../harness/members';
import { expectProblem } from '../harness/problems';
import { startService, type TestService } from '../harness/service';
import { until } from '../harness/until';

describe('members', () => {
  let service: TestService;
  let owner: ApiClient;

  beforeAll(async () => {
    service = await startService();
  });
  beforeEach(async () => {
    owner = await service.tenant();
  });
  afterAll(() => service.stop());

  const statusOf = (client: ApiClient) => client.get('/orders').then(({ status }) => status);
  /** Waits the time that the contract gives a change to reach every credential. */
  const twoSeconds = () => new Promise((resolve) => setTimeout(resolve, 2_000));

  it('are listed with their names and addresses, by page and filter', async () => {
    const viewer = await addMember(service, owner, 'viewer');
    const member = await addMember(service, owner, 'member');
    await service.tenant('Somebody else');
    const all = (await owner.get('/members')).body;
    expect(all.data).toHaveLength(3);
    expect(all.data.map((one: { role: string }) => one.role).sort()).toEqual(['member', 'owner', 'viewer']);
    const one = all.data.find((shown: { user: { id: string } }) => shown.user.id === personOf(viewer));
    expect(one).toEqual({
      user: { id: personOf(viewer), email: viewer.session?.user.email, name: null },
      role: 'viewer',
      status: 'active',
      managed_by: 'user',
      second_factor: false,
      joined_at: expect.any(String),
      last_seen_at: expect.any(String),
      version: 1,
    });
    const first = (await owner.get('/members?limit=2')).body;
    const second = (await owner.get(`/members?limit=2&cursor=${first.next_cursor}`)).body;
    expect([...first.data, ...second.data]).toEqual(all.data);
    expect((await owner.get('/members?role=member')).body.data.map((m: { user: { id: string } }) => m.user.id)).toEqual(
      [personOf(member)],
    );
    expect((await owner.get('/members?status=suspended')).body.data).toEqual([]);
    const beginning = (viewer.session?.user.email as string).slice(0, 20).toUpperCase();
    expect((await owner.get(`/members?q=${beginning}`)).body.data).toEqual([one]);
    expect((await owner.get('/members?q=%25')).body.data).toEqual([]);
    // Only callers who manage members see whether a colleague has a second factor.
    expect((await viewer.get('/members')).body.data[0]).not.toHaveProperty('second_factor');
    expectProblem(await viewer.get(`/members/${personOf(owner)}`), 'forbidden');
  });

  it('change role, with a version and an entry in the log and an event', async () => {
    const member = await addMember(service, owner, 'member');
    const path = `/members/${personOf(member)}`;
    const before = await owner.get(path);
    expect(before.headers.get('etag')).toBe('"1"');
    expectProblem(await owner.patch(path, { role: 'viewer' }, { 'if-match': '"7"' }), 'version_conflict');
    const changed = await owner.patch(path, { role: 'viewer' }, { 'if-match': '"1"' });
    expect([changed.status, changed.body.role, changed.headers.get('etag')]).toEqual([200, 'viewer', '"2"']);
    const again = await owner.patch(path, { role: 'viewer' });
    expect([again.status, again.body.version]).toEqual([200, 2]);
    const events = await service.database.sql<{ data: { role: string } }>(
      `select data from events where tenant_id = $1 and type = 'member.changed'`,
      [owner.tenantId],
    );
    const { second_factor: _notInEvents, ...told } = changed.body;
    expect(events.map(({ data }) => data)).toEqual([told]);
    const log = await service.database.sql<{ changes: unknown }>(
      `select changes, actor_id from audit_log where tenant_id = $1 and action = 'member.changed'`,
      [owner.tenantId],
    );
    expect(log).toEqual([{ changes: { role: ['member', 'viewer'] }, actor_id: personOf(owner) }]);
    await twoSeconds();
    expectProblem(await member.post('/orders', {}), 'forbidden');
  });

  it('that are suspended lose their sessions for good, and may come back', async () => {
    const member = await addMember(service, owner, 'member');
    const key = await makeKey(member, { kind: 'personal' });
    expect([await statusOf(member), await statusOf(key.client)]).toEqual([200, 200]);
    expect((await owner.patch(`/members/${personOf(member)}`, { status: 'suspended' })).status).toBe(200);
    await twoSeconds();
    expect([await statusOf(member), await statusOf(key.client)]).toEqual([401, 401]);
    expect((await owner.patch(`/members/${personOf(member)}`, { status: 'active' })).status).toBe(200);
    await twoSeconds();
    expect([await statusOf(member), await statusOf(key.client)]).toEqual([401, 401]);
  });

  it('that are removed are gone within two seconds, and may leave by themselves', async () => {
    const removed = await addMember(service, owner, 'member');
    const leaving = await addMember(service, owner, 'viewer');
    expectProblem(await leaving.delete(`/members/${personOf(removed)}`), 'forbidden');
    expect((await owner.delete(`/members/${personOf(removed)}`)).status).toBe(204);
    expect((await leaving.delete(`/members/${personOf(leaving)}`)).status).toBe(204);
    await twoSeconds();
    expect([await statusOf(removed), await statusOf(leaving)]).toEqual([401, 401]);
    expectProblem(await owner.delete(`/members/${personOf(removed)}`), 'not_found');
    expect((await owner.get('/members')).body.data).toHaveLength(1);
  });

  it('lose their sessions here alone when those are ended', async () => {
    const member = await addMember(service, owner, 'member');
    expect((await owner.delete(`/members/${personOf(member)}/sessions`)).status).toBe(204);
    await twoSeconds();
    expect(await statusOf(member)).toBe(401);
  });

  it('are not changed above the caller, nor given what the caller lacks', async () => {
    const admin = await addMember(service, owner, 'admin');
    const member = await addMember(service, owner, 'member');
    for (const response of [
      await admin.patch(`/members/${personOf(owner)}`, { role: 'viewer' }),
      await admin.patch(`/members/${personOf(owner)}`, { status: 'suspended' }),
      await admin.delete(`/members/${personOf(owner)}`),
      await admin.delete(`/members/${personOf(owner)}/sessions`),
      await admin.patch(`/members/${personOf(member)}`, { role: 'owner' }),
      await admin.patch(`/members/${personOf(admin)}`, { role: 'owner' }),
      await member.patch(`/members/${personOf(member)}`, { role: 'admin' }),
    ]) {
      expectProblem(response, 'forbidden');
    }
    expect((await admin.patch(`/members/${personOf(member)}`, { role: 'admin' })).status).toBe(200);
  });

  it('of another tenant are not there', async () => {
    const stranger = await service.tenant();
    const path = `/members/${personOf(stranger)}`;
    for (const response of [
      await owner.get(path),
      await owner.patch(path, { role: 'viewer' }),
      await owner.delete(path),
      await owner.delete(`${path}/sessions`),
      await owner.get(`/members/${randomUUID()}`),
    ]) {
      expectProblem(response, 'not_found');
    }
  });

  it('take no field but role and status', async () => {
    const member = await addMember(service, owner, 'member');
    for (const field of ['tenant_id', 'email_verified_at', 'permissions', 'managed_by', 'user', 'version']) {
      expectProblem(await owner.patch(`/members/${personOf(member)}`, { [field]: 'owner' }), 'validation_error');
    }
    expectProblem(await owner.patch(`/members/${personOf(member)}`, { role: 'unknown' }), 'validation_error');
    expectProblem(await owner.patch(`/members/${personOf(member)}`, { status: 'unconfirmed' }), 'validation_error');
  });

  it('with an unconfirmed membership cannot be changed by others, but may be removed', async () => {
    const member = await addMember(service, owner, 'member');
    await service.database.sql(`update memberships set status = 'unconfirmed' where user_id = $1 and tenant_id = $2`, [
      personOf(member),
      owner.tenantId,
    ]);
    expectProblem(await owner.patch(`/members/${personOf(member)}`, { status: 'active' }), 'conflict');
    expect((await owner.delete(`/members/${personOf(member)}`)).status).toBe(204);
  });

  it('that a directory manages are locked', async () => {
    const member = await addMember(service, owner, 'member');
    await service.database.sql(
      `update memberships set managed_by = 'directory' where user_id = $1 and tenant_id = $2`,
      [personOf(member), owner.tenantId],
    );
    expectProblem(await owner.patch(`/members/${personOf(member)}`, { role: 'admin' }), 'conflict');
    expectProblem(await owner.delete(`/members/${personOf(member)}`), 'conflict');
  });

  /** Sends requests, and lets them go on once each of them waits for the tenant: none was refused before. */
  async function bothAtTheLock<T>(send: () => Promise<T>[]): Promise<T[]> {
    const holder = new Client({ connectionString: service.database.ownerUrl });
    await holder.connect();
    try {
      await holder.query('begin');
      await holder.query('select 1 from tenants where id = $1 for update', [owner.tenantId]);
      const sent = send();
      await until('all of them wait', async () => {
        const { rows } = await holder.query<{ count: number }>(
          `select count(*)::int as count from pg_stat_activity
            where datname = current_database() and wait_event_type = 'Lock'`,
        );
        return (rows[0]?.count ?? 0) >= sent.length;
      });
      await holder.query('commit');
      return await Promise.all(sent);
    } finally {
      await holder.end();
    }
  }

  it('always have an active owner, in 50 races', async () => {
    const other = await addMember(service, owner, 'owner');
    const owners = [owner, other] as const;
    const moves: ((by: ApiClient, whom: ApiClient) => Promise<{ status: number }>)[] = [
      (by, whom) => by.patch(`/members/${personOf(whom)}`, { role: 'admin' }),
      (by, whom) => by.patch(`/members/${personOf(whom)}`, { role: 'viewer' }),
      (by) => by.patch(`/members/${personOf(by)}`, { role: 'admin' }),
    ];
    for (let round = 0; round < 50; round++) {
      const move = moves[round % moves.length] as (typeof moves)[number];
      const responses = await bothAtTheLock(() => [move(owner, other), move(other, owner)]);
      const left = await service.database.sql(
        `select 1 from memberships where tenant_id = $1 and role = 'owner' and status = 'active'`,
        [owner.tenantId],
      );
      const statuses = responses.map(({ status }) => status).sort();
      expect([round, ...statuses, left.length]).toEqual([round, 200, 422, 1]);
      await service.database.sql(`update memberships set role = 'owner' where tenant_id = $1`, [owner.tenantId]);
      // The counters move with every change made behind the service's back, as a change through it would move them.
      await service.database.sql(`update tenant_auth_state set epoch = epoch + 1 where tenant_id = $1`, [
        owner.tenantId,
      ]);
      for (const client of owners) {
        while ((await client.get('/auth/me')).body.role !== 'owner') await new Promise((next) => setTimeout(next, 50));
      }
    }
  });

  it('cannot be left by the last owner', async () => {
    const member = await addMember(service, owner, 'member');
    for (const response of [
      await owner.delete(`/members/${personOf(owner)}`),
      await owner.patch(`/members/${personOf(owner)}`, { role: 'admin' }),
      await owner.patch(`/members/${personOf(owner)}`, { status: 'suspended' }),
    ]) {
      expectProblem(response, 'business_rule_violation');
    }
    await owner.patch(`/members/${personOf(member)}`, { role: 'owner' });
    expect((await owner.delete(`/members/${personOf(owner)}`)).status).toBe(204);
  });
});
