import { randomUUID } from 'node:crypto';
import { KEY_PATTERN, newKey } from '../../src/api-keys/key-format';
import { TenantDatabase } from '../../src/platform/database/tenant-database';
import { type ApiClient, orderInput } from '../harness/client';
import { addMember, makeKey, personOf } from '../harness/members';
import { expectProblem } from '../harness/problems';
import { startService, type TestService } from '../harness/service';
import { until } from '../harness/until';

describe('API keys', () => {
  let service: TestService;
  let owner: ApiClient;

  beforeAll(async () => {
    service = await startService();
  });
  beforeEach(async () => {
    owner = await service.tenant();
  });
  afterAll(() => service.stop());

  const twoSeconds = () => new Promise((resolve) => setTimeout(resolve, 2_000));
  const statusOf = (client: ApiClient, path = '/orders') => client.get(path).then(({ status }) => status);

  it('are shown once, stored as a hash, and act as themselves', async () => {
    const { client, key } = await makeKey(owner, { name: 'Warehouse', scopes: ['orders:read', 'orders:write'] });
    expect(key).toEqual({
      id: expect.any(String),
      name: 'Warehouse',
      kind: 'tenant',
      scopes: ['orders:read', 'orders:write'],
      hint: (key.key as string).slice(27, 31),
      created_by: personOf(owner),
      expires_at: null,
      last_used_at: null,
      allowed_cidrs: [],
      rate_limit: null,
      version: 1,
      created_at: expect.any(String),
      key: expect.stringMatching(new RegExp(`^${KEY_PATTERN}$`)),
    });
    const { key: text, ...shown } = key;
    expect((await owner.get(`/api-keys/${key.id}`)).body).toEqual(shown);
    expect((await owner.get('/api-keys')).body.data).toEqual([shown]);
    const order = await client.post('/orders', orderInput());
    expect(order.status).toBe(201);
    const [line] = (await client.get(`/orders/${order.body.id}/events`)).body.data;
    expect(line.actor).toEqual({ type: 'api_key', id: key.id });
    expectProblem(await client.get('/webhooks/endpoints'), 'forbidden');
    const me = (await client.get('/auth/me')).body;
    expect(me).toMatchObject({
      api_key: { id: key.id, name: 'Warehouse', kind: 'tenant' },
      tenant: { id: owner.tenantId },
    });
    expect(me).not.toHaveProperty('user');
    expect([...me.permissions].sort()).toEqual(['orders:read', 'orders:write']);
    const tables = await service.database.sql<{ name: string }>(
      `select c.relname as name from pg_class c where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace`,
    );
    for (const { name } of tables) {
      const found = await service.database.sql(`select 1 from ${name} as t where t::text like '%' || $1 || '%'`, [
        text,
      ]);
      expect([name, found]).toEqual([name, []]);
    }
  });

  it('count everywhere, or nowhere: other texts, queries and second headers do not', async () => {
    const { client, key } = await makeKey(owner);
    expect(await statusOf(client)).toBe(200);
    const text = key.key as string;
    for (const wrong of [
      text.slice(0, -1) + (text.endsWith('A') ? 'B' : 'A'),
      text.slice(0, -1),
      `${text}0`,
      text.toLowerCase(),
      newKey(owner.tenantId).text,
      newKey(randomUUID()).text,
      'osa_',
    ]) {
      expectProblem(await owner.withToken(wrong).get('/orders'), 'unauthorized');
    }
    expectProblem(await service.client.get(`/orders?access_token=${text}`), 'unauthorized');
    expectProblem(await service.client.get(`/orders?api_key=${text}`), 'unauthorized');
    expectProblem(
      await service.client.get('/orders', { authorization: `Bearer ${text}, Bearer ${text}` }),
      'unauthorized',
    );
    expectProblem(await service.client.get('/orders', { 'x-api-key': text }), 'unauthorized');
  });

  it('are refused on the routes of people, with any scopes', async () => {
    const { client, key } = await makeKey(owner, {
      scopes: [
        'orders:read',
        'orders:write',
        'webhooks:read',
        'webhooks:write',
        'members:read',
        'tenant:manage',
        'audit:read',
      ],
    });
    for (const [method, path, body] of [
      ['GET', '/members'],
      ['GET', `/members/${personOf(owner)}`],
      ['DELETE', `/members/${personOf(owner)}`],
      ['GET', '/roles'],
      ['POST', '/roles', { name: 'x', permissions: ['orders:read'] }],
      ['GET', '/api-keys'],
      ['POST', '/api-keys', { name: 'x', kind: 'personal', scopes: ['orders:read'] }],
      ['POST', `/api-keys/${key.id}/rotate`],
      ['DELETE', `/api-keys/${key.id}`],
      ['PATCH', '/tenant', { name: 'Mine' }],
      ['DELETE', '/tenant'],
    ] as const) {
      const response = await client.request(method, path, { body });
      expect([method, path, response.status]).toEqual([method, path, 403]);
    }
    expect((await client.get('/tenant')).body).toMatchObject({ id: owner.tenantId, policies: expect.any(Object) });
  });

  it('end within two seconds of their revocation, expiry and change of scopes', async () => {
    const revoked = await makeKey(owner);
    const narrowed = await makeKey(owner, { scopes: ['orders:read', 'webhooks:read'] });
    const expiring = await makeKey(owner, { expires_at: new Date(Date.now() + 3_000).toISOString() });
    for (const { client } of [revoked, narrowed, expiring]) expect(await statusOf(client)).toBe(200);
    expect((await owner.delete(`/api-keys/${revoked.key.id}`)).status).toBe(204);
    expect((await owner.patch(`/api-keys/${narrowed.key.id}`, { scopes: ['webhooks:read'] })).body.version).toBe(2);
    await twoSeconds();
    expect([await statusOf(revoked.client), await statusOf(narrowed.client)]).toEqual([401, 403]);
    expect(await statusOf(narrowed.client, '/webhooks/endpoints')).toBe(200);
    await until('the answer is there', async () => (await statusOf(expiring.client)) === 401, 3_000);
    expectProblem(await owner.get(`/api-keys/${revoked.key.id}`), 'not_found');
  });

  it('are rotated with an overlap, or at once', async () => {
    const { client, key } = await makeKey(owner);
    expect(await statusOf(client)).toBe(200);
    const rotated = await owner.post(`/api-keys/${key.id}/rotate`);
    expect([rotated.status, rotated.body.version]).toEqual([200, 2]);
    expect(rotated.body.hint).toBe((rotated.body.key as string).slice(27, 31));
    const second = owner.withToken(rotated.body.key as string);
    await twoSeconds();
    expect([await statusOf(client), await statusOf(second)]).toEqual([200, 200]);
    const leaked = await owner.post(`/api-keys/${key.id}/rotate`, { overlap_seconds: 0 });
    await twoSeconds();
    const third = owner.withToken(leaked.body.key as string);
    expect([await statusOf(client), await statusOf(second), await statusOf(third)]).toEqual([401, 401, 200]);
    for (const overlap of [-1, 604_801, 1.5, '1']) {
      const response = await owner.post(`/api-keys/${key.id}/rotate`, { overlap_seconds: overlap });
      expectProblem(response, 'validation_error');
    }
  });

  it('have one winner of 20 rotations at once', async () => {
    const { key } = await makeKey(owner);
    const responses = await Promise.all(Array.from({ length: 20 }, () => owner.post(`/api-keys/${key.id}/rotate`)));
    const won = responses.filter(({ status }) => status === 200);
    expect(won).toHaveLength(1);
    for (const response of responses) if (response.status !== 200) expectProblem(response, 'conflict');
    await twoSeconds();
    expect(await statusOf(owner.withToken(won[0]?.body.key as string))).toBe(200);
  });

  it('are replayed under an idempotency key, from a stored response that is encrypted', async () => {
    const body = { name: 'Once', kind: 'tenant', scopes: ['orders:read'] };
    const once = { 'idempotency-key': randomUUID() };
    const first = await owner.post('/api-keys', body, once);
    const again = await owner.post('/api-keys', body, once);
    expect([again.status, again.text, again.headers.get('idempotency-replayed')]).toEqual([201, first.text, 'true']);
    expect((await owner.get('/api-keys')).body.data).toHaveLength(1);
    const stored = await service.database.sql<{ body: string }>(
      'select body from idempotency_keys where tenant_id = $1',
      [owner.tenantId],
    );
    expect(stored[0]?.body).not.toContain(first.body.key);
  });

  it('hold nothing that their maker lacks, and nothing that is not for keys', async () => {
    const viewer = await addMember(service, owner, 'viewer');
    const personal = (scopes: string[]) => viewer.post('/api-keys', { name: 'Mine', kind: 'personal', scopes });
    expectProblem(await personal(['orders:write']), 'forbidden');
    expectProblem(await viewer.post('/api-keys', { name: 'x', kind: 'tenant', scopes: ['orders:read'] }), 'forbidden');
    expect((await personal(['orders:read'])).status).toBe(201);
    for (const scope of ['members:manage', 'roles:manage', 'api_keys:manage', 'sso:manage', 'nothing:read']) {
      expectProblem(await owner.post('/api-keys', { name: 'x', kind: 'tenant', scopes: [scope] }), 'validation_error');
    }
    await owner.post('/roles', { name: 'keys', permissions: ['api_keys:manage', 'members:read', 'orders:read'] });
    const manager = await addMember(service, owner, 'keys');
    const { key } = await makeKey(owner, { scopes: ['orders:read', 'orders:write'] });
    expectProblem(await manager.post(`/api-keys/${key.id}/rotate`), 'forbidden');
    expectProblem(await manager.patch(`/api-keys/${key.id}`, { name: 'Taken' }), 'forbidden');
    expectProblem(
      await manager.post('/api-keys', { name: 'x', kind: 'tenant', scopes: ['orders:write'] }),
      'forbidden',
    );
    expect((await manager.delete(`/api-keys/${key.id}`)).status).toBe(204);
  });

  it('of a person do what role and scopes allow now, and are changed by that person alone', async () => {
    const member = await addMember(service, owner, 'member');
    const { client, key } = await makeKey(member, { kind: 'personal', scopes: ['orders:read', 'orders:write'] });
    expect((await client.post('/orders', orderInput())).status).toBe(201);
    expect((await owner.get('/api-keys')).body.data.map((one: { id: string }) => one.id)).toEqual([key.id]);
    expectProblem(await owner.patch(`/api-keys/${key.id}`, { name: 'Taken' }), 'forbidden');
    expectProblem(await owner.post(`/api-keys/${key.id}/rotate`), 'forbidden');
    const colleague = await addMember(service, owner, 'member');
    expectProblem(await colleague.get(`/api-keys/${key.id}`), 'not_found');
    expect((await colleague.get('/api-keys')).body.data).toEqual([]);
    await owner.patch(`/members/${personOf(member)}`, { role: 'viewer' });
    await twoSeconds();
    expectProblem(await client.post('/orders', orderInput()), 'forbidden');
    expect(await statusOf(client)).toBe(200);
    expect((await owner.delete(`/api-keys/${key.id}`)).status).toBe(204);
    await twoSeconds();
    expect(await statusOf(client)).toBe(401);
  });

  it('of another tenant are not there', async () => {
    const { client, key } = await makeKey(owner);
    const stranger = await service.tenant();
    for (const response of [
      await stranger.get(`/api-keys/${key.id}`),
      await stranger.patch(`/api-keys/${key.id}`, { name: 'x' }),
      await stranger.post(`/api-keys/${key.id}/rotate`),
      await stranger.delete(`/api-keys/${key.id}`),
    ]) {
      expectProblem(response, 'not_found');
    }
    const theirs = await stranger.createOrder();
    expectProblem(await client.get(`/orders/${theirs.id}`), 'not_found');
  });

  it('are let in from their networks alone, and no faster than they may', async () => {
    const outside = await makeKey(owner, { allowed_cidrs: ['203.0.113.0/24'] });
    const inside = await makeKey(owner, { allowed_cidrs: ['127.0.0.0/8', '::1/128'] });
    expectProblem(await outside.client.get('/orders'), 'forbidden');
    expect(await statusOf(inside.client)).toBe(200);
    for (const cidrs of [['10.0.0.1/8'], ['nonsense'], Array(21).fill('10.0.0.0/8')]) {
      expectProblem(await owner.patch(`/api-keys/${inside.key.id}`, { allowed_cidrs: cidrs }), 'validation_error');
    }
    const slow = await makeKey(owner, { rate_limit: 2 });
    const responses = await Promise.all(Array.from({ length: 10 }, () => slow.client.get('/orders')));
    const refused = responses.filter(({ status }) => status === 429);
    expect(refused.length).toBeGreaterThanOrEqual(5);
    expectProblem(refused[0]!, 'rate_limited');
    expect(refused[0]?.headers.get('ratelimit-policy')).toContain('"key"');
    expect(await statusOf(owner)).toBe(200);
  });

  it('take no field that is not theirs, and every fault is reported at once', async () => {
    for (const field of ['tenant_id', 'user_id', 'hint', 'key', 'created_by', 'permissions', 'role']) {
      const response = await owner.post('/api-keys', {
        name: 'x',
        kind: 'tenant',
        scopes: ['orders:read'],
        [field]: 'x',
      });
      expectProblem(response, 'validation_error');
    }
    const reply = await owner.post('/api-keys', {
      name: '',
      kind: 'other',
      scopes: [],
      expires_at: 'soon',
      rate_limit: 0,
    });
    const { errors } = expectProblem(reply, 'validation_error') as { errors: { field: string }[] };
    expect(errors.map(({ field }) => field).sort()).toEqual(['expires_at', 'kind', 'name', 'rate_limit', 'scopes']);
    const past = { name: 'x', kind: 'tenant', scopes: ['orders:read'], expires_at: '2020-01-01T00:00:00Z' };
    expectProblem(await owner.post('/api-keys', past), 'validation_error');
  });

  it('cost no query while they are warm, nor where the checksum is wrong', async () => {
    const { client, key } = await makeKey(owner);
    const queries = jest.spyOn(TenantDatabase.prototype, 'query');
    const lookUps = () => queries.mock.calls.filter(([, statement]) => statement.name === 'api_key_state').length;
    try {
      for (let at = 0; at < 20; at++) expect(await statusOf(client)).toBe(200);
      expect(lookUps()).toBe(1);
      const text = key.key as string;
      const mistyped = text.slice(0, 30) + (text[30] === 'A' ? 'B' : 'A') + text.slice(31);
      expectProblem(await owner.withToken(mistyped).get('/orders'), 'unauthorized');
      expect(lookUps()).toBe(1);
      expectProblem(await owner.withToken(newKey(owner.tenantId).text).get('/orders'), 'unauthorized');
      expect(lookUps()).toBe(2);
    } finally {
      queries.mockRestore();
    }
  });

  it('show their last use, at most a minute late', async () => {
    const { client, key } = await makeKey(owner);
    const before = Date.now();
    await client.get('/orders');
    await until(
      'the answer is there',
      async () => (await owner.get(`/api-keys/${key.id}`)).body.last_used_at !== null,
      10_000,
    );
    const { last_used_at } = (await owner.get(`/api-keys/${key.id}`)).body;
    expect(Math.abs(new Date(last_used_at).getTime() - before)).toBeLessThan(5_000);
  });

  it('have events that need the permission to manage keys', async () => {
    const { key } = await makeKey(owner);
    await owner.delete(`/api-keys/${key.id}`);
    const events = await service.database.sql<{ type: string; data: { id: string } }>(
      `select type, data from events where tenant_id = $1 and type like 'api_key.%' order by id`,
      [owner.tenantId],
    );
    expect(events.map(({ type, data }) => [type, data.id])).toEqual([
      ['api_key.created', key.id],
      ['api_key.revoked', key.id],
    ]);
    expect(JSON.stringify(events)).not.toContain(key.key);
  });
});
