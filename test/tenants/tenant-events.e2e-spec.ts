import type { ApiResponse, SignedIn } from '../harness/client';
import { ApiClient } from '../harness/client';
import { tokenTo } from '../harness/mails';
import { addMember, makeKey, personOf } from '../harness/members';
import { Conformance, type OpenApiDocument } from '../harness/openapi';
import { newEmail, startService, type TestService } from '../harness/service';

const PASSWORD = 'a password for tests';

interface SentEvent extends Record<string, unknown> {
  type: string;
  data: Record<string, unknown>;
}

/** The events of a tenant's people, keys and sessions, as subscribed endpoints get them. */
describe('the events of a tenant', () => {
  let service: TestService;
  let owner: ApiClient;
  let conformance: Conformance;
  let document: OpenApiDocument;
  const seen = new Set<string>();

  beforeAll(async () => {
    service = await startService({ env: { REGISTRATION: 'open', MAIL_DIRECTORY: '/nowhere' } });
    document = (await service.client.get('/openapi.json')).body as OpenApiDocument;
    conformance = new Conformance(document);
  });
  afterAll(() => service.stop());
  beforeEach(async () => {
    owner = await service.tenant();
  });

  /** The events of the tenant that are no part of `*`, the oldest first; each is as its schema says. */
  async function events(tenantId = owner.tenantId): Promise<SentEvent[]> {
    const rows = await service.database.sql<SentEvent & { id: string; created_at: Date }>(
      `select e.id, e.type, e.data, e.created_at from events e join outbox o on o.tenant_id = e.tenant_id and o.event_id = e.id
        where e.tenant_id = $1 order by e.id`,
      [tenantId],
    );
    for (const { id, type, data, created_at } of rows) {
      seen.add(type);
      const { post } = document.webhooks[type] as { post: Record<string, unknown> };
      const { content } = post.requestBody as { content: Record<string, { schema: Record<string, unknown> }> };
      const message = { id, type, timestamp: created_at.toISOString(), data };
      expect(conformance.schemaFaults(content['application/json']?.schema ?? {}, message, type)).toEqual([]);
    }
    return rows.map(({ type, data }) => ({ type, data }));
  }
  const typesOf = async (tenantId?: string) => (await events(tenantId)).map(({ type }) => type);
  const login = (client: ApiClient): Promise<ApiResponse> =>
    service.client.post('/auth/login', {
      email: client.session?.user.email,
      password: PASSWORD,
      tenant_id: owner.tenantId,
    });

  it('report invitations and members', async () => {
    const email = newEmail();
    await owner.post('/invitations', { email, role: 'viewer' });
    const token = await tokenTo(service, email, 'invitation');
    const joined = await service.client.post('/auth/invitations/accept', { token, password: PASSWORD });
    const path = `/members/${joined.body.user.id}`;
    await owner.patch(path, { role: 'member' });
    await owner.delete(`${path}/sessions`);
    await service.client.post('/auth/login', { email, password: PASSWORD });
    await owner.delete(path);
    expect(await typesOf()).toEqual([
      'member.invited',
      'member.joined',
      'member.changed',
      'session.revoked',
      'session.revoked',
      'member.removed',
    ]);
    expect((await events()).filter(({ type }) => type === 'session.revoked')).toMatchObject([
      { data: { user_id: joined.body.user.id, reason: 'ended_by_member', session_ids: [expect.any(String)] } },
      { data: { reason: 'membership_ended', session_ids: [expect.any(String)] } },
    ]);
    expect(JSON.stringify(await events())).not.toContain(token);
  });

  it('report a member that declines, or deletes the account', async () => {
    const person = await addMember(service, owner, 'viewer');
    await service.database.sql(`delete from memberships where user_id = $1 and role = 'owner'`, [personOf(person)]);
    expect((await person.delete('/auth/me')).status).toBe(202);
    expect(await typesOf()).toEqual(['session.revoked', 'member.removed']);
    const other = await addMember(service, owner, 'viewer');
    await service.database.sql(`update memberships set status = 'unconfirmed' where user_id = $1 and role = 'viewer'`, [
      personOf(other),
    ]);
    const account = await service.client.post('/auth/login', { email: other.session?.user.email, password: PASSWORD });
    const elsewhere = new ApiClient(service.url, account.body as SignedIn);
    expect((await elsewhere.post(`/auth/tenants/${owner.tenantId}/decline`)).status).toBe(204);
    expect((await typesOf()).slice(2)).toEqual(['session.revoked', 'member.removed']);
  });

  it('report keys and the tenant', async () => {
    const { key } = await makeKey(owner);
    await owner.delete(`/api-keys/${key.id}`);
    await owner.patch('/tenant', { name: 'Renamed' });
    await owner.delete('/tenant');
    expect(await typesOf()).toEqual(['api_key.created', 'api_key.revoked', 'tenant.changed', 'tenant.changed']);
    expect(JSON.stringify(await events())).not.toContain(key.key);
  });

  it('report to every tenant the sessions that end with a password, and none of a session without a tenant', async () => {
    const person = await addMember(service, owner, 'viewer');
    const home = person.session?.tenant.id as string;
    const own = await service.database.sql<{ tenant_id: string }>(
      'select tenant_id from memberships where user_id = $1 and tenant_id <> $2',
      [personOf(person), home],
    );
    const [here, there] = [await login(person), await login(person)];
    const kept = new ApiClient(service.url, there.body as SignedIn);
    const changed = await kept.post('/auth/password', { current_password: PASSWORD, new_password: `${PASSWORD} 2` });
    expect([here.status, changed.status]).toEqual([200, 204]);
    const [revoked] = (await events()).filter(({ type }) => type === 'session.revoked');
    expect(revoked?.data).toMatchObject({ reason: 'password_changed', user_id: personOf(person) });
    // Those of addMember's and of this test's sign-in, without the one that made the change.
    expect(revoked?.data.session_ids).toHaveLength(2);
    expect(await typesOf(own[0]?.tenant_id)).toEqual(['session.revoked']);
    expect(await events(personOf(person))).toEqual([]);
  });

  it('report a sign-out once, and the reuse of a refresh token', async () => {
    const person = await addMember(service, owner, 'viewer');
    const { refresh_token } = (await login(person)).body;
    await service.client.post('/auth/logout', { refresh_token });
    await service.client.post('/auth/logout', { refresh_token });
    expect((await events()).map(({ data }) => data.reason)).toEqual(['signed_out']);
    const stolen = (await login(person)).body.refresh_token;
    await service.client.post('/auth/refresh', { refresh_token: stolen });
    await service.database.sql(
      `update refresh_tokens set used_at = now() - interval '1 hour' where used_at is not null`,
    );
    expect((await service.client.post('/auth/refresh', { refresh_token: stolen })).status).toBe(401);
    expect((await events()).map(({ data }) => data.reason)).toEqual(['signed_out', 'refresh_token_reused']);
    const actions = (await owner.get('/audit-log?action=session.revoked')).body.data;
    expect(actions.map((entry: { changes: object }) => entry.changes)).toEqual([
      { sessions: [1, 0], reason: [null, 'refresh_token_reused'] },
      { sessions: [1, 0], reason: [null, 'signed_out'] },
    ]);
  });

  it('are those of the contract', () => {
    const contract = [
      'member.invited',
      'member.joined',
      'member.changed',
      'member.removed',
      'api_key.created',
      'api_key.revoked',
      'session.revoked',
      'sso.changed',
      'tenant.changed',
    ];
    expect(Object.keys(document.webhooks)).toEqual(expect.arrayContaining(contract));
    // Single sign-on has no route yet, but its type can be subscribed to.
    expect(contract.filter((type) => !seen.has(type))).toEqual(['sso.changed']);
  });
});
