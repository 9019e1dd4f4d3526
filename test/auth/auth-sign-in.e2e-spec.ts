import { createHash } from 'node:crypto';
import { type ApiClient, orderInput, type SignedIn } from '../harness/client';
import { expectProblem, faultsOf } from '../harness/problems';
import { newEmail, startService, type TestService } from '../harness/service';

/** The very module that the service calls. */
const argon2 = jest.requireActual<typeof import('@node-rs/argon2')>('@node-rs/argon2');
const PASSWORD = 'correct horse battery';

function claimsOf(token: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(token.split('.')[1] as string, 'base64url').toString()) as Record<string, unknown>;
}

describe('signing in', () => {
  let service: TestService;

  beforeAll(async () => {
    service = await startService({ env: { RATE_LIMIT_SIGN_IN_FREE: '1000' } });
  });
  afterAll(() => service.stop());

  const register = (change: Record<string, unknown> = {}) =>
    service.client.post('/auth/register', { email: newEmail(), password: PASSWORD, tenant_name: 'Company', ...change });
  const login = (email: string, change: Record<string, unknown> = {}) =>
    service.client.post('/auth/login', { email, password: PASSWORD, ...change });
  const clientOf = (session: SignedIn) => service.client.withToken(session.access_token);

  describe('registration', () => {
    it('makes a tenant and its owner, signed in', async () => {
      const email = newEmail();
      const response = await register({ email, name: 'Ada Lovelace', tenant_name: 'Analytical Engines' });
      expect(response.status).toBe(201);
      expect(response.headers.get('cache-control')).toBe('no-store');
      expect(Object.keys(response.body).sort()).toEqual(
        ['access_token', 'expires_in', 'refresh_token', 'tenant', 'token_type', 'user'].sort(),
      );
      expect(response.body).toMatchObject({
        user: { email, name: 'Ada Lovelace' },
        tenant: { name: 'Analytical Engines' },
        token_type: 'Bearer',
        expires_in: 900,
      });
      expect(Object.keys(response.body.user).sort()).toEqual(['created_at', 'email', 'id', 'name']);
      expect(Object.keys(response.body.tenant).sort()).toEqual(['created_at', 'id', 'name']);
      const me = await clientOf(response.body).get('/auth/me');
      expect(me.body).toMatchObject({ user: response.body.user, tenant: response.body.tenant, role: 'owner' });
      expect(me.body.permissions).toEqual(expect.arrayContaining(['orders:read', 'orders:write']));
      expect((await clientOf(response.body).post('/orders', orderInput())).status).toBe(201);
    });

    it('signs access tokens with the claims of the contract', async () => {
      const { body } = await register();
      const claims = claimsOf(body.access_token);
      expect(Object.keys(claims).sort()).toEqual(
        ['aud', 'exp', 'iat', 'iss', 'jti', 'role', 'sid', 'sub', 'tenant_id', 'type'].sort(),
      );
      expect(claims).toMatchObject({ sub: body.user.id, tenant_id: body.tenant.id, type: 'access', role: 'owner' });
      expect((claims.exp as number) - (claims.iat as number)).toBe(900);
      expect(Math.abs((claims.iat as number) - Date.now() / 1000)).toBeLessThan(5);
    });

    it('takes a name that is left out or null', async () => {
      expect((await register()).body.user.name).toBeNull();
      expect((await register({ name: null })).body.user.name).toBeNull();
    });

    it('responds with 409 for an e-mail address that is known, in any case, and makes nothing', async () => {
      const email = newEmail();
      expect((await register({ email })).status).toBe(201);
      const [before] = await service.database.sql('select count(*)::int as count from tenants');
      for (const same of [email, email.toUpperCase(), email.replace('person', 'PerSon')]) {
        expectProblem(await register({ email: same }), 'conflict');
      }
      expect(await service.database.sql('select count(*)::int as count from tenants')).toEqual([before]);
    });

    it('makes one user of ten registrations of one address at once', async () => {
      const email = newEmail();
      const responses = await Promise.all(
        Array.from({ length: 10 }, (_, at) => register({ email: at % 2 ? email : email.toUpperCase() })),
      );
      expect(responses.map((response) => response.status).sort()).toEqual([201, ...Array<number>(9).fill(409)]);
    });

    it('keeps the address as it was written, and neither trims nor mends it', async () => {
      const email = `Person.${newEmail()}`;
      expect((await register({ email })).body.user.email).toBe(email);
      for (const wrong of [
        ` ${newEmail()}`,
        `${newEmail()} `,
        `a b@example.com`,
        'a@',
        '@example.com',
        'a',
        '',
        'a@b@c.de',
      ]) {
        expect(faultsOf(await register({ email: wrong }))).toEqual(['email: email']);
      }
    });

    it.each([
      ['7 characters', 'a'.repeat(7), ['password: min_length']],
      ['8 characters', 'a'.repeat(8), undefined],
      ['128 characters', 'a'.repeat(128), undefined],
      ['129 characters', 'a'.repeat(129), ['password: max_length']],
      ['8 characters beyond the basic plane', '🔑'.repeat(8), undefined],
      ['7 characters beyond the basic plane', '🔑'.repeat(7), ['password: min_length']],
      ['spaces around it', '  a b c  ', undefined],
    ])('takes a password of 8 to 128 characters (%s)', async (_, password, faults) => {
      const email = newEmail();
      const response = await register({ email, password });
      if (faults) {
        expect(faultsOf(response)).toEqual(faults);
        return;
      }
      expect(response.status).toBe(201);
      expect((await login(email, { password })).status).toBe(200);
      expect((await login(email, { password: password.slice(0, -2) })).status).toBe(401);
    });

    it('names every fault at once, and takes no field that it does not know', async () => {
      const response = await service.client.post('/auth/register', { email: 'x', password: 1, role: 'owner' });
      const fields = faultsOf(response).map((fault) => fault.split(':')[0]);
      expect(new Set(fields)).toEqual(new Set(['email', 'password', 'role', 'tenant_name']));
    });
  });

  describe('the stored data', () => {
    it('is a password as argon2id with 19 MiB, two passes and one thread', async () => {
      const { body } = await register();
      const [row] = await service.database.sql<{ hash: string }>(
        'select password_hash as hash from users where id = $1',
        [body.user.id],
      );
      expect(row?.hash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22,}\$[A-Za-z0-9+/]{43,}$/);
    });

    it('is a refresh token’s hash alone, and no token or password anywhere, the log included', async () => {
      const password = 'a password that is nowhere';
      const email = newEmail();
      const { body } = await register({ email, password });
      const again = await login(email, { password });
      const refreshed = await service.client.post('/auth/refresh', { refresh_token: again.body.refresh_token });
      const tokens = [body, again.body, refreshed.body].map((response) => response.refresh_token as string);
      const hashes = tokens.map((token) => createHash('sha256').update(token).digest());
      const [found] = await service.database.sql(
        'select count(*)::int as count from refresh_tokens where token_hash = any ($1)',
        [hashes],
      );
      expect(found).toEqual({ count: tokens.length });
      const secrets = [password, ...tokens, ...tokens.map((token) => token.split('_').slice(2).join('_'))];
      const tables = await service.database.sql<{ name: string }>(
        `select relname as name from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'`,
      );
      for (const { name } of tables) {
        for (const { row } of await service.database.sql<{ row: string }>(
          `select to_json(t)::text as row from ${name} t`,
        )) {
          expect(secrets.filter((secret) => row.includes(secret))).toEqual([]);
        }
      }
      const log = service.logLines.join('\n');
      expect([...secrets, refreshed.body.access_token].filter((secret) => log.includes(secret))).toEqual([]);
      expect(log).not.toContain(email);
    });
  });

  describe('login', () => {
    it('gives the same shape as registration, for the address in any case', async () => {
      const email = newEmail();
      const registered = await register({ email, name: 'Ada' });
      for (const same of [email, email.toUpperCase()]) {
        const response = await login(same);
        expect(response.status).toBe(200);
        expect(response.headers.get('cache-control')).toBe('no-store');
        expect(response.body).toMatchObject({
          user: registered.body.user,
          tenant: registered.body.tenant,
          expires_in: 900,
        });
        expect(Object.keys(response.body).sort()).toEqual(Object.keys(registered.body).sort());
        expect(claimsOf(response.body.access_token).sid).not.toBe(claimsOf(registered.body.access_token).sid);
      }
    });

    it('gives one response for an unknown address and a wrong password', async () => {
      const email = newEmail();
      await register({ email });
      const stranger = (await register()).body;
      const responses = await Promise.all([
        login(newEmail()),
        login(email, { password: 'a wrong password' }),
        login(email, { password: 'a wrong password', tenant_id: stranger.tenant.id }),
        login(newEmail(), { tenant_id: stranger.tenant.id }),
      ]);
      const seen = responses.map((response) => {
        const { request_id: _, ...problem } = expectProblem(response, 'unauthorized');
        return { problem, authenticate: response.headers.get('www-authenticate') };
      });
      expect(new Set(seen.map((one) => JSON.stringify(one))).size).toBe(1);
      expect(seen[0]?.authenticate).toMatch(/^Bearer\b/);
    });

    it('responds to a foreign tenant as to one that does not exist', async () => {
      const email = newEmail();
      await register({ email });
      const stranger = (await register()).body;
      for (const id of [stranger.tenant.id, '01890000-0000-7000-8000-000000000000']) {
        expect(expectProblem(await login(email, { tenant_id: id }), 'not_found').detail).toBe(
          `Tenant '${id}' not found`,
        );
      }
    });

    it('does the same work for an unknown address as for a wrong password', async () => {
      const email = newEmail();
      await register({ email });
      const spy = jest.spyOn(argon2, 'verify');
      try {
        await login(email, { password: 'a wrong password' });
        expect(spy).toHaveBeenCalledTimes(1);
        await login(newEmail(), { password: 'a wrong password' });
        expect(spy).toHaveBeenCalledTimes(2);
        const parameters = spy.mock.calls.map(([hash]) => /m=\d+,t=\d+,p=\d+/.exec(String(hash))?.[0]);
        expect(parameters).toEqual(['m=19456,t=2,p=1', 'm=19456,t=2,p=1']);
      } finally {
        spy.mockRestore();
      }
    });

    it('takes the same time for an unknown address as for a wrong password', async () => {
      const email = newEmail();
      await register({ email });
      const times = { known: [] as number[], unknown: [] as number[] };
      for (let round = 0; round < 15; round++) {
        for (const kind of ['known', 'unknown'] as const) {
          const begun = performance.now();
          await login(kind === 'known' ? email : newEmail(), { password: 'a wrong password' });
          times[kind].push(performance.now() - begun);
        }
      }
      // Without the same work the difference is that of the hash itself: a factor of three and more.
      const median = (values: number[]) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)] as number;
      const ratio = median(times.unknown) / median(times.known);
      expect(ratio).toBeGreaterThan(0.6);
      expect(ratio).toBeLessThan(1.6);
    });

    it('names faults of the request, and reveals nothing by them', async () => {
      expect(faultsOf(await service.client.post('/auth/login', {})).map((fault) => fault.split(':')[0])).toEqual(
        expect.arrayContaining(['email', 'password']),
      );
      expect(faultsOf(await login(newEmail(), { tenant_id: 'x' }))).toEqual(['tenant_id: uuid']);
      expectProblem(await login(newEmail(), { password: 'short' }), 'unauthorized');
    });
  });

  describe('to one of several tenants', () => {
    let email: string;
    let first: SignedIn;
    let second: SignedIn;

    beforeEach(async () => {
      email = newEmail();
      first = (await register({ email, tenant_name: 'First' })).body;
      second = (await register({ tenant_name: 'Second' })).body;
      await service.database.sql(
        `insert into memberships (tenant_id, user_id, role, created_at, last_used_at) values ($1, $2, 'viewer', now(), '2020-01-01')`,
        [second.tenant.id, first.user.id],
      );
    });

    it('goes to the tenant last used, or to the one named', async () => {
      expect((await login(email)).body.tenant.name).toBe('First');
      const named = await login(email, { tenant_id: second.tenant.id });
      expect(named.body.tenant).toEqual(second.tenant);
      expect(claimsOf(named.body.access_token)).toMatchObject({ tenant_id: second.tenant.id, role: 'viewer' });
      expect((await login(email)).body.tenant.name).toBe('Second');
      await service.client.post('/auth/refresh', { refresh_token: first.refresh_token });
      expect((await login(email)).body.tenant.name).toBe('First');
    });

    it('sees each tenant’s orders with that tenant’s credential alone', async () => {
      const order = (await clientOf(first).post('/orders', orderInput())).body;
      const inSecond = (await login(email, { tenant_id: second.tenant.id })).body;
      expect((await clientOf(inSecond).get(`/orders/${order.id}`)).status).toBe(404);
      expect((await clientOf(first).get(`/orders/${order.id}`)).status).toBe(200);
    });

    it('gives a session without a tenant where the tenant is suspended, and never another tenant', async () => {
      await login(email, { tenant_id: second.tenant.id });
      await service.database.sql('update tenants set suspended_at = now() where id = $1', [second.tenant.id]);
      for (const named of [{}, { tenant_id: second.tenant.id }]) {
        const response = await login(email, named);
        expect(response.status).toBe(200);
        expect(response.body).toMatchObject({
          tenant: null,
          refused: { tenant_id: second.tenant.id, reason: 'suspended' },
        });
        const client = clientOf(response.body as SignedIn);
        expectProblem(await client.get('/orders'), 'forbidden');
        expect((await client.get('/auth/me')).body).toMatchObject({ tenant: null, role: null, permissions: [] });
      }
      expect((await login(email, { tenant_id: first.tenant.id })).body.tenant.name).toBe('First');
    });

    it('gives a session without a tenant once the last membership is gone', async () => {
      await service.database.sql('delete from memberships where user_id = $1', [first.user.id]);
      const response = await login(email);
      expect(response.status).toBe(200);
      expect(response.body.tenant).toBeNull();
      expect(response.body).not.toHaveProperty('refused');
      const refreshed = await service.client.post('/auth/refresh', { refresh_token: response.body.refresh_token });
      expect(claimsOf(refreshed.body.access_token)).toMatchObject({ tenant_id: null, role: null });
    });
  });

  describe('roles', () => {
    async function withRole(role: string): Promise<{ client: ApiClient; orderId: string }> {
      const session = (await register()).body as SignedIn;
      const order = await clientOf(session).post('/orders', orderInput());
      await service.database.sql('update memberships set role = $1 where user_id = $2', [role, session.user.id]);
      const again = await login(session.user.email);
      return { client: clientOf(again.body), orderId: order.body.id };
    }

    it('lets a viewer read, and refuses writes with 403', async () => {
      const { client, orderId } = await withRole('viewer');
      for (const path of ['/orders', `/orders/${orderId}`, `/orders/${orderId}/events`, '/orders/export']) {
        expect([path, (await client.get(path)).status]).toEqual([path, 200]);
      }
      const before = (await client.get(`/orders/${orderId}`)).text;
      const writes = [
        await client.post('/orders', orderInput()),
        await client.post('/orders/batch', { orders: [orderInput()] }),
        await client.patch(`/orders/${orderId}`, { notes: 'mine' }),
        await client.patch(`/orders/${orderId}/status`, { status: 'confirmed' }),
        // Refused before it is read: a viewer learns nothing from the faults of its body.
        await client.post('/orders', { nonsense: true }),
      ];
      for (const response of writes) expectProblem(response, 'forbidden');
      expect((await client.get(`/orders/${orderId}`)).text).toBe(before);
      const me = (await client.get('/auth/me')).body;
      expect(me.role).toBe('viewer');
      expect((me.permissions as string[]).filter((permission) => !permission.endsWith(':read'))).toEqual([]);
    });

    it.each(['owner', 'admin', 'member'])('lets the role %s write', async (role) => {
      const { client, orderId } = await withRole(role);
      expect((await client.post('/orders', orderInput())).status).toBe(201);
      expect((await client.patch(`/orders/${orderId}`, { notes: 'changed' })).status).toBe(200);
      expect((await client.get('/auth/me')).body.role).toBe(role);
    });
  });
});
