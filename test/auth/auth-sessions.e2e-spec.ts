import { createHash } from 'node:crypto';
import { orderInput, type ApiResponse, type ApiClient, type SignedIn } from '../harness/client';
import { createTestDatabase, type TestDatabase } from '../harness/databases';
import { expectProblem } from '../harness/problems';
import { startService, type TestService } from '../harness/service';
import { untilRevoked } from '../harness/until';

const PASSWORD = 'a password for tests';

const hashOf = (token: string) => createHash('sha256').update(token).digest();

/** Sessions, from sign-in to their end, on two processes' worth of service. */
describe('sessions', () => {
  let database: TestDatabase;
  let service: TestService;
  let second: TestService;

  beforeAll(async () => {
    database = await createTestDatabase();
    [service, second] = await Promise.all([startService({ database }), startService({ database })]);
  });
  afterAll(async () => {
    await Promise.all([service.stop(), second.stop()]);
    await database.drop();
  });

  const refresh = (token: string, at: TestService = service): Promise<ApiResponse> =>
    at.client.post('/auth/refresh', { refresh_token: token });
  const logout = (token: string): Promise<ApiResponse> => service.client.post('/auth/logout', { refresh_token: token });

  async function signedIn(): Promise<SignedIn> {
    return (await service.tenant()).session as SignedIn;
  }

  async function refreshed(token: string): Promise<{ access_token: string; refresh_token: string }> {
    const response = await refresh(token);
    expect(response.status).toBe(200);
    return response.body;
  }

  function expectRefused(response: ApiResponse): void {
    expectProblem(response, 'unauthorized');
    expect(response.headers.get('www-authenticate')).toBe('Bearer error="invalid_token"');
  }

  interface TokenRow extends Record<string, unknown> {
    token_hash: Buffer;
    used_at: Date | null;
    revoked_at: Date | null;
  }

  /** The session's tokens, oldest first. */
  function tokensOf(session: SignedIn): Promise<TokenRow[]> {
    return database.sql<TokenRow>(
      `select token_hash, used_at, revoked_at from refresh_tokens where tenant_id = $1 order by created_at`,
      [session.tenant.id],
    );
  }

  const clientOf = (at: TestService, accessToken: string): ApiClient => at.client.withToken(accessToken);

  /** Makes the change, and expects the access token to be dead in both processes soon after. */
  async function expectDeadAfter(accessToken: string, change: () => Promise<unknown>): Promise<void> {
    const clients = [service, second].map((at) => clientOf(at, accessToken));
    // Both have just read the state, so that their caches are as fresh as possible.
    for (const client of clients) expect((await client.get('/orders')).status).toBe(200);
    await change();
    await Promise.all(
      clients.map((client) =>
        untilRevoked('the token is dead', async () => (await client.get('/orders')).status === 401),
      ),
    );
    for (const client of clients) {
      const response = await client.post('/orders', orderInput());
      expectRefused(response);
    }
  }

  describe('refreshing', () => {
    it('gives a new pair and spends the old token', async () => {
      const session = await signedIn();
      const response = await refresh(session.refresh_token);
      expect(response.status).toBe(200);
      expect(response.headers.get('cache-control')).toBe('no-store');
      expect(Object.keys(response.body).sort()).toEqual(['access_token', 'expires_in', 'refresh_token', 'token_type']);
      expect(response.body).toMatchObject({ token_type: 'Bearer', expires_in: 900 });
      expect(response.body.refresh_token).not.toBe(session.refresh_token);
      expect((await clientOf(service, response.body.access_token).get('/auth/me')).body.user).toEqual(session.user);
      // The earlier access token stays valid until it expires.
      expect((await clientOf(service, session.access_token).get('/auth/me')).status).toBe(200);
      const [old, next] = (await tokensOf(session)) as [TokenRow, TokenRow];
      expect(old).toMatchObject({
        token_hash: hashOf(session.refresh_token),
        used_at: expect.any(Date),
        revoked_at: null,
      });
      expect(next).toMatchObject({ token_hash: hashOf(response.body.refresh_token), used_at: null, revoked_at: null });
    });

    it('continues without an end, with each token once', async () => {
      const session = await signedIn();
      const seen = new Set([session.refresh_token]);
      let token = session.refresh_token;
      for (let round = 0; round < 5; round++) {
        token = (await refreshed(token)).refresh_token;
        seen.add(token);
      }
      expect(seen.size).toBe(6);
      expect(await tokensOf(session)).toHaveLength(6);
    });

    it('gives twenty uses of one token at once the same successor, in one row, from two processes', async () => {
      const session = await signedIn();
      const responses = await Promise.all(
        Array.from({ length: 20 }, (_, at) => refresh(session.refresh_token, at % 2 ? service : second)),
      );
      expect(responses.map((response) => response.status)).toEqual(Array(20).fill(200));
      expect(new Set(responses.map((response) => response.body.refresh_token)).size).toBe(1);
      expect(await tokensOf(session)).toHaveLength(2);
      await refreshed(responses[0]?.body.refresh_token);
    });

    it('gives a retry within ten seconds the same successor', async () => {
      const session = await signedIn();
      const first = await refreshed(session.refresh_token);
      await database.sql(`update refresh_tokens set used_at = used_at - interval '8 seconds' where token_hash = $1`, [
        hashOf(session.refresh_token),
      ]);
      expect((await refreshed(session.refresh_token)).refresh_token).toBe(first.refresh_token);
      expect(await tokensOf(session)).toHaveLength(2);
    });

    it('revokes the family on a retry after ten seconds', async () => {
      const session = await signedIn();
      const next = await refreshed(session.refresh_token);
      await database.sql(
        `update refresh_tokens set used_at = used_at - interval '10.1 seconds' where token_hash = $1`,
        [hashOf(session.refresh_token)],
      );
      expectRefused(await refresh(session.refresh_token));
      expectRefused(await refresh(next.refresh_token));
    });

    it('revokes the family on a retry whose successor was used, though the ten seconds last', async () => {
      const session = await signedIn();
      const next = await refreshed(session.refresh_token);
      const newest = await refreshed(next.refresh_token);
      expectRefused(await refresh(session.refresh_token));
      expectRefused(await refresh(newest.refresh_token));
      expectRefused(await refresh(next.refresh_token));
    });

    it('revokes the family on the use of any older token, and records in the rows the use and the revocation', async () => {
      const session = await signedIn();
      let newest = session.refresh_token;
      for (let round = 0; round < 4; round++) newest = (await refreshed(newest)).refresh_token;
      expectRefused(await refresh(session.refresh_token));
      expectRefused(await refresh(newest));
      const rows = await tokensOf(session);
      expect(rows.map((row) => [row.used_at !== null, row.revoked_at !== null])).toEqual([
        ...Array<boolean[]>(4).fill([true, true]),
        [false, true],
      ]);
      const sessions = await database.sql('select revoked_at from sessions where tenant_id = $1', [session.tenant.id]);
      expect(sessions).toEqual([{ revoked_at: expect.any(Date) }]);
    });

    it('leaves the user’s other sessions alone when it revokes a family', async () => {
      const session = await signedIn();
      const other = await service.client.post('/auth/login', { email: session.user.email, password: PASSWORD });
      await refreshed((await refreshed(session.refresh_token)).refresh_token);
      expectRefused(await refresh(session.refresh_token));
      await refreshed(other.body.refresh_token);
      expect((await clientOf(service, other.body.access_token).get('/auth/me')).status).toBe(200);
    });

    it('gives no token two successors when a retry and its successor’s use race', async () => {
      const session = await signedIn();
      const next = await refreshed(session.refresh_token);
      const responses = await Promise.all([
        refresh(session.refresh_token),
        refresh(next.refresh_token, second),
        refresh(session.refresh_token, second),
        refresh(next.refresh_token),
      ]);
      for (const response of responses) if (response.status !== 200) expectRefused(response);
      const tokens = await tokensOf(session);
      expect(tokens.length).toBeLessThanOrEqual(3);
      expect(tokens.filter((row) => row.used_at === null).length).toBe(1);
    });

    it('takes the role of now into the new access token', async () => {
      const session = await signedIn();
      await database.sql(`update memberships set role = 'viewer' where user_id = $1`, [session.user.id]);
      const { access_token: token } = await refreshed(session.refresh_token);
      const claims = JSON.parse(Buffer.from(token.split('.')[1] as string, 'base64url').toString()) as { role: string };
      expect(claims.role).toBe('viewer');
    });
  });

  describe('expiry', () => {
    it('ends a session that was idle for too long', async () => {
      const session = await signedIn();
      const [row] = await database.sql<{ days: number }>(
        `select round(extract(epoch from expires_at - created_at) / 86400)::int as days from refresh_tokens where tenant_id = $1`,
        [session.tenant.id],
      );
      expect(row).toEqual({ days: 30 });
      await database.sql(`update refresh_tokens set expires_at = now() - interval '1 second' where tenant_id = $1`, [
        session.tenant.id,
      ]);
      expectRefused(await refresh(session.refresh_token));
      expect(await tokensOf(session)).toHaveLength(1);
    });

    it('ends a session at its absolute end, after any number of refreshes, including its access tokens', async () => {
      const session = await signedIn();
      // Half an hour remains: the successor may not outlive its session.
      await database.sql(
        `update sessions set expires_at = date_trunc('seconds', now()) + interval '30 minutes' where tenant_id = $1`,
        [session.tenant.id],
      );
      const next = await refreshed(session.refresh_token);
      const [row] = await database.sql(
        `select r.expires_at = s.expires_at as same from refresh_tokens r join sessions s on s.id = r.session_id where r.token_hash = $1`,
        [hashOf(next.refresh_token)],
      );
      expect(row).toEqual({ same: true });
      await expectDeadAfter(next.access_token, () =>
        database.sql(`update sessions set expires_at = now() - interval '1 second' where tenant_id = $1`, [
          session.tenant.id,
        ]),
      );
      expectRefused(await refresh(next.refresh_token));
    });
  });

  describe('signing out', () => {
    it('ends the session, its access tokens everywhere within two seconds, and no other session', async () => {
      const session = await signedIn();
      const other = await service.client.post('/auth/login', { email: session.user.email, password: PASSWORD });
      await expectDeadAfter(session.access_token, async () => {
        const response = await logout(session.refresh_token);
        expect([response.status, response.text]).toEqual([204, '']);
      });
      expectRefused(await refresh(session.refresh_token));
      expect((await clientOf(service, other.body.access_token).get('/auth/me')).status).toBe(200);
    });

    it('reaches access tokens at once in the process that ended the session', async () => {
      const session = await signedIn();
      const client = clientOf(service, session.access_token);
      expect((await client.get('/orders')).status).toBe(200);
      await logout(session.refresh_token);
      expectRefused(await client.get('/orders'));
    });

    it('works with a spent token, and a second time', async () => {
      const session = await signedIn();
      const next = await refreshed(session.refresh_token);
      expect((await logout(session.refresh_token)).status).toBe(204);
      expectRefused(await refresh(next.refresh_token));
      expect((await logout(session.refresh_token)).status).toBe(204);
      expect((await logout(next.refresh_token)).status).toBe(204);
    });

    it('keeps the time of the first revocation', async () => {
      const session = await signedIn();
      await logout(session.refresh_token);
      const before = await tokensOf(session);
      await logout(session.refresh_token);
      expect(await tokensOf(session)).toEqual(before);
    });
  });

  describe('a live access token', () => {
    it('dies within two seconds everywhere when its session is revoked', async () => {
      const session = await signedIn();
      await expectDeadAfter(session.access_token, () =>
        database.sql('update sessions set revoked_at = now() where tenant_id = $1', [session.tenant.id]),
      );
    });

    it('dies within two seconds everywhere when an old refresh token is used', async () => {
      const session = await signedIn();
      const next = await refreshed(session.refresh_token);
      const newest = await refreshed(next.refresh_token);
      await expectDeadAfter(newest.access_token, async () => expectRefused(await refresh(session.refresh_token)));
    });

    it('dies within two seconds everywhere when its tenant is suspended, with its refresh token', async () => {
      const session = await signedIn();
      await expectDeadAfter(session.access_token, () =>
        database.sql('update tenants set suspended_at = now() where id = $1', [session.tenant.id]),
      );
      expectRefused(await refresh(session.refresh_token));
      // A suspension is no revocation: it ends.
      await database.sql('update tenants set suspended_at = null where id = $1', [session.tenant.id]);
      await refreshed(session.refresh_token);
    });

    it('dies within two seconds everywhere when its user leaves the tenant', async () => {
      const session = await signedIn();
      await expectDeadAfter(session.access_token, () =>
        database.sql('delete from memberships where user_id = $1', [session.user.id]),
      );
      expectRefused(await refresh(session.refresh_token));
    });

    it('has the new role within two seconds everywhere', async () => {
      const session = await signedIn();
      const clients = [service, second].map((at) => clientOf(at, session.access_token));
      for (const client of clients) expect((await client.post('/orders', orderInput())).status).toBe(201);
      await database.sql(`update memberships set role = 'viewer' where user_id = $1`, [session.user.id]);
      await Promise.all(
        clients.map((client) =>
          untilRevoked('the new role', async () => (await client.post('/orders', {})).status === 403),
        ),
      );
      for (const client of clients) {
        expectProblem(await client.post('/orders', orderInput()), 'forbidden');
        expect((await client.get('/auth/me')).body.role).toBe('viewer');
      }
    });
  });

  it.each([
    ['empty', ''],
    ['of another form', 'rt_1_2'],
    ['of a tenant that does not exist', `rt_${'0'.repeat(32)}_${'A'.repeat(43)}`],
    ['with a trailing line break', '\n'],
    ['very long', 'x'.repeat(8_000)],
    ['with an SQL text', "rt_' or 1=1 --_"],
  ])('refuses a refresh token that is %s', async (_, token) => {
    for (const response of [await refresh(token), await logout(token)]) {
      if (response.status !== 422) expectRefused(response);
      else expectProblem(response, 'validation_error');
    }
  });

  it('refuses a refresh token whose tenant was changed to another', async () => {
    const [mine, theirs] = [await signedIn(), await signedIn()];
    const rest = mine.refresh_token.split('_').slice(2).join('_');
    const swapped = `rt_${theirs.tenant.id.replaceAll('-', '')}_${rest}`;
    expectRefused(await refresh(swapped));
    expectRefused(await logout(swapped));
    await refreshed(mine.refresh_token);
    await refreshed(theirs.refresh_token);
  });

  it('refuses a body without a token, with another type of it, and with more beside it', async () => {
    for (const body of [
      {},
      { refresh_token: 1 },
      { refresh_token: null },
      { refresh_token: ['x'] },
      { refresh_token: 'x', more: 1 },
    ]) {
      expectProblem(await service.client.post('/auth/refresh', body), 'validation_error');
      expectProblem(await service.client.post('/auth/logout', body), 'validation_error');
    }
  });
});
