import { ApiClient, type ApiResponse, type SignedIn } from '../harness/client';
import { mailsTo, tokenTo } from '../harness/mails';
import { addMember, makeKey, personOf } from '../harness/members';
import { expectProblem } from '../harness/problems';
import { newEmail, startService, type TestService } from '../harness/service';
import { addAuthenticator } from '../harness/totp';
import { until, untilRevoked } from '../harness/until';

const PASSWORD = 'a password for tests';
const MAIL = { MAIL_DIRECTORY: '/nowhere', RATE_LIMIT_SIGN_IN_FREE: '1000' };

describe('an attack on a tenant', () => {
  let service: TestService;
  let owner: ApiClient;

  beforeAll(async () => {
    service = await startService({ env: MAIL });
  });
  beforeEach(async () => {
    owner = await service.tenant('Attacked Ltd');
  });
  afterAll(() => service.stop());

  const clientOf = (body: unknown) => new ApiClient(service.url, body as SignedIn);
  const emailOf = (client: ApiClient): string => (client.session as SignedIn).user.email;
  const invite = async (email: string, role = 'member'): Promise<string> => {
    expect((await owner.post('/invitations', { email, role })).status).toBe(201);
    return tokenTo(service, email, 'invitation');
  };
  const accept = (client: ApiClient, token: string, more: Record<string, unknown> = {}): Promise<ApiResponse> =>
    client.post('/auth/invitations/accept', { token, ...more });
  const isPending = async (token: string): Promise<boolean> =>
    (await service.client.post('/auth/invitations/preview', { token })).status === 200;

  describe('by accepting an invitation', () => {
    it('with an account that is being deleted makes no member, whom the erasure would take away again', async () => {
      const person = await service.tenant();
      await service.database.sql(`update memberships set role = 'member' where user_id = $1`, [personOf(person)]);
      expect((await person.delete('/auth/me')).status).toBe(202);
      const token = await invite(emailOf(person), 'owner');
      expectProblem(await accept(service.client, token, { password: PASSWORD }), 'forbidden');
      const limited = clientOf(
        (await service.client.post('/auth/login', { email: emailOf(person), password: PASSWORD })).body,
      );
      expectProblem(await accept(limited, token), 'forbidden');
      expect(await isPending(token)).toBe(true);
      const restored = clientOf((await limited.post('/auth/me/restore')).body);
      expect((await accept(restored, token)).body.tenant.id).toBe(owner.tenantId);
    });

    it('while the account is being deleted leaves no owner whom the erasure would take away', async () => {
      for (let round = 0; round < 10; round++) {
        const person = await service.tenant();
        await service.database.sql(`update memberships set role = 'member' where user_id = $1`, [personOf(person)]);
        const token = await invite(emailOf(person), 'owner');
        const [deleted, accepted] = await Promise.all([person.delete('/auth/me'), accept(person, token)]);
        const left = await service.database.sql('select 1 from memberships where user_id = $1', [personOf(person)]);
        expect([deleted.status, [200, 401, 403].includes(accepted.status), left]).toEqual([202, true, []]);
      }
      // Nor does the last owner get away.
      expectProblem(await owner.delete('/auth/me'), 'business_rule_violation');
    });

    it('with a session that may only add a second factor, or lacks it, is refused as elsewhere', async () => {
      const person = await service.tenant();
      const token = await invite(emailOf(person));
      await service.database.sql(
        `update tenants set second_factor = 'required', second_factor_since = now() - interval '1 day' where id = $1`,
        [person.tenantId],
      );
      expectProblem(await accept(person, token), 'second_factor_enrolment_required');
      const weak = clientOf(
        (await service.client.post('/auth/login', { email: emailOf(person), password: PASSWORD })).body,
      );
      await addAuthenticator(service, person);
      await until(
        'the factor is seen',
        async () => (await weak.get('/orders')).body.type === 'insufficient_user_authentication',
      );
      expectProblem(await accept(weak, token), 'insufficient_user_authentication');
      expect(await isPending(token)).toBe(true);
      expect((await accept(person, token)).status).toBe(200);
    });

    it('with an API key is refused on every route that takes a session or none', async () => {
      const person = await service.tenant();
      const { client: key } = await makeKey(person, { kind: 'personal' });
      const token = await invite(emailOf(person));
      expectProblem(await accept(key, token, { password: PASSWORD }), 'forbidden');
      for (const path of ['/auth/verify-email', '/auth/email/confirm']) {
        expectProblem(await key.post(path, { token, password: PASSWORD }), 'forbidden');
      }
      expect(await isPending(token)).toBe(true);
    });

    it('twenty times at once, each with another password, leaves the account with that of the one who won', async () => {
      const email = newEmail();
      await service.client.post('/auth/register', { email, password: PASSWORD, tenant_name: 'Squat' });
      const token = await invite(email);
      const passwords = Array.from({ length: 20 }, (_, at) => `of the claimant no ${at}`);
      const answers = await Promise.all(passwords.map((password) => accept(service.client, token, { password })));
      const won = answers.flatMap(({ status }, at) => (status === 200 ? [at] : []));
      expect(won).toHaveLength(1);
      expect(answers.filter(({ status }) => ![200, 422, 401].includes(status))).toEqual([]);
      const [winner] = won as [number];
      expect((await clientOf(answers[winner]?.body).get('/orders')).status).toBe(200);
      const login = await service.client.post('/auth/login', { email, password: passwords[winner] });
      expect(login.status).toBe(200);
    });

    it('cannot fill the mailbox of a stranger', async () => {
      const email = newEmail();
      const statuses: number[] = [];
      for (let i = 0; i < 23; i++) {
        const made = await owner.post('/invitations', { email, role: 'member' });
        statuses.push(made.status);
        if (made.status === 201) await owner.delete(`/invitations/${made.body.id as string}`);
      }
      expect(statuses).toEqual([...Array<number>(20).fill(201), 429, 429, 429]);
      expect((await mailsTo(service, email)).length).toBe(20);
      // Neither another address, nor another tenant with the same one.
      const other = await service.tenant();
      expect((await other.post('/invitations', { email, role: 'member' })).status).toBe(201);
      const made = await owner.post('/invitations', { email: newEmail(), role: 'member' });
      for (let i = 0; i < 19; i++) expect((await owner.post(`/invitations/${made.body.id}/resend`)).status).toBe(202);
      expectProblem(await owner.post(`/invitations/${made.body.id}/resend`), 'rate_limited');
      const member = await addMember(service, owner, 'member');
      for (let i = 0; i < 20; i++) {
        expect((await owner.post(`/members/${personOf(member)}/password-reset`)).status).toBe(202);
      }
      expectProblem(await owner.post(`/members/${personOf(member)}/password-reset`), 'rate_limited');
      for (let i = 0; i < 20; i++) expect((await owner.post('/auth/email', { email: newEmail() })).status).toBe(202);
      expectProblem(await owner.post('/auth/email', { email: newEmail() }), 'rate_limited');
    });

    it('of an address that looks like another: nothing invisible is in it', async () => {
      for (const invisible of ['\u200b', '\u00ad', '\u2060', '\ufe0f', '\u{e0001}']) {
        const email = `ada${invisible}@example.com`;
        expectProblem(await owner.post('/invitations', { email, role: 'member' }), 'validation_error');
        expectProblem(await owner.post('/auth/email', { email }), 'validation_error');
        const account = { email, password: PASSWORD, tenant_name: 'Acme' };
        expectProblem(await service.client.post('/auth/register', account), 'validation_error');
      }
      for (const email of [
        'a@b.com,c@d.com',
        'a@b.com\r\nBcc: c@d.com',
        'a＠example.com',
        '"a b"@example.com',
        'a@example.com.',
      ]) {
        expectProblem(await owner.post('/invitations', { email, role: 'member' }), 'validation_error');
      }
    });
  });

  it('does not give a role that is deleted at the same moment', async () => {
    const member = await addMember(service, owner, 'member');
    for (let round = 0; round < 15; round++) {
      const role = { name: `role-${round}`, permissions: ['orders:read'] };
      expect((await owner.post('/roles', role)).status).toBe(201);
      const email = newEmail();
      const [given, invited, deleted] = await Promise.all([
        owner.patch(`/members/${personOf(member)}`, { role: role.name }),
        owner.post('/invitations', { email, role: role.name }),
        owner.delete(`/roles/${role.name}`),
      ]);
      const isThere = (await owner.get(`/roles/${role.name}`)).status === 200;
      expect(deleted.status).toBe(isThere ? 409 : 204);
      if (!isThere) expect([given.status, invited.status]).toEqual([422, 422]);
      expect((await member.get('/orders')).status).toBe(200);
    }
  });

  it('by leaving while the ownership is handed over leaves an owner', async () => {
    for (let round = 0; round < 6; round++) {
      const first = await service.tenant();
      const second = await addMember(service, first, 'admin');
      const answers = await Promise.all([
        first.patch(`/members/${personOf(second)}`, { role: 'owner' }),
        first.delete(`/members/${personOf(first)}`),
        second.delete(`/members/${personOf(second)}`),
      ]);
      const owners = await service.database.sql(
        `select 1 from memberships where tenant_id = $1 and role = 'owner' and status = 'active'`,
        [first.tenantId],
      );
      expect(owners.length).toBeGreaterThan(0);
      expect(answers.filter(({ status }) => status >= 500)).toEqual([]);
    }
  });

  it('of a suspended member who makes a key in the moment before it arrives leaves no key', async () => {
    const member = await addMember(service, owner, 'member');
    const other = await startService({ env: MAIL, database: service.database });
    try {
      const there = new ApiClient(other.url, member.session);
      expect((await there.get('/auth/me')).status).toBe(200);
      expect((await owner.patch(`/members/${personOf(member)}`, { status: 'suspended' })).status).toBe(200);
      const made = await there.post('/api-keys', { name: 'Late', kind: 'personal', scopes: ['orders:read'] });
      expectProblem(made, 'unauthorized');
      await owner.patch(`/members/${personOf(member)}`, { status: 'active' });
      expect((await owner.get('/api-keys')).body.data).toEqual([]);
    } finally {
      await other.stop();
    }
  });

  it('shows in every tenant within two seconds that the person has a second factor, or none any more', async () => {
    const person = await service.tenant();
    const elsewhere = clientOf((await person.post('/tenants', { name: 'Elsewhere' })).body);
    const { client: key } = await makeKey(elsewhere, { kind: 'personal' });
    await service.database.sql(
      `update tenants set second_factor = 'required', second_factor_since = now() - interval '1 day' where id = $1`,
      [elsewhere.tenantId],
    );
    const typeOf = async (client: ApiClient): Promise<unknown> => (await client.get('/orders')).body.type ?? 'served';
    const becomes = (what: string, client: ApiClient) =>
      untilRevoked(what, async () => (await typeOf(client)) === what);
    await becomes('second_factor_enrolment_required', key);
    await becomes('second_factor_enrolment_required', elsewhere);
    await addAuthenticator(service, person);
    await becomes('served', key);
    await becomes('insufficient_user_authentication', elsewhere);
    // Switching there asks for the factor as well, and does not hand out a session that serves nothing.
    const weak = await person.post('/auth/switch-tenant', { tenant_id: elsewhere.tenantId });
    expectProblem(weak, 'insufficient_user_authentication');
    expect(weak.headers.get('www-authenticate')).toContain('acr_values="aal2"');
    await service.database.sql(`update tenants set session_max_days = 1, second_factor = 'optional' where id = $1`, [
      elsewhere.tenantId,
    ]);
    await service.database.sql(`update sessions set signed_in_at = now() - interval '2 days' where user_id = $1`, [
      personOf(person),
    ]);
    await until('the old sign-in is refused', async () => {
      const answer = await person.post('/auth/switch-tenant', { tenant_id: elsewhere.tenantId });
      return answer.status === 401 && answer.body.type === 'unauthorized';
    });
  });

  it('by a slow export of a revoked credential gets no rows from then on', async () => {
    const { client: key, key: made } = await makeKey(owner, { scopes: ['orders:read'] });
    await service.database.sql(
      `insert into orders (tenant_id, id, customer_id, status, total_amount, currency, notes, metadata, version, created_at, updated_at)
       select $1, ('0190' || lpad(to_hex(i), 8, '0') || '7000800000000000000f')::uuid, $2, 'pending', 1, 'USD', repeat('x', 1900), '{}', 1,
              now(), now() from generate_series(1, 12000) i`,
      [owner.tenantId, personOf(owner)],
    );
    const read = async (client: ApiClient, revoke: () => Promise<unknown>): Promise<number> => {
      const token = (client as unknown as { token: string }).token;
      const response = await fetch(`${service.url}/api/v1/orders/export`, {
        headers: { authorization: `Bearer ${token}` },
      });
      expect(response.status).toBe(200);
      const reader = (response.body as ReadableStream<Uint8Array>).getReader();
      await reader.read();
      await revoke();
      await until('the end of the credential', async () => (await client.get('/orders?limit=1')).status === 401);
      let bytes = 0;
      await (async () => {
        for (;;) {
          const { done, value } = await reader.read();
          if (done) throw new Error('the export came to its end');
          bytes += value.length;
        }
      })().catch((error: Error) => expect(error.message).not.toContain('came to its end'));
      return bytes;
    };
    await read(key, () => owner.delete(`/api-keys/${made.id}`));
    const session = clientOf(
      (await service.client.post('/auth/login', { email: emailOf(owner), password: PASSWORD })).body,
    );
    const { refresh_token } = session.session as SignedIn;
    await read(session, () => service.client.post('/auth/logout', { refresh_token }));
  });
});
