import { ApiClient, type ApiResponse, type SignedIn } from '../harness/client';
import { createEndpoint } from '../harness/endpoints';
import { mailsTo, tokenTo } from '../harness/mails';
import { expectProblem } from '../harness/problems';
import { newEmail, startService, type TestService } from '../harness/service';
import { untilRevoked } from '../harness/until';

const PASSWORD = 'a password for tests';
const OTHER = 'another password of tests';
const MAIL = { MAIL_DIRECTORY: '/nowhere', RATE_LIMIT_SIGN_IN_FREE: '1000' };

let service: TestService;
let second: TestService;
let email: string;
let session: SignedIn;
let client: ApiClient;

const clientOf = (signedIn: SignedIn, at = service) => new ApiClient(at.url, signedIn);
const login = (change: Record<string, unknown> = {}): Promise<ApiResponse> =>
  service.client.post('/auth/login', { email, password: PASSWORD, ...change });
const signedIn = async (change: Record<string, unknown> = {}): Promise<SignedIn> => {
  const response = await login(change);
  expect(response.status).toBe(200);
  return response.body as SignedIn;
};
const statusesOf = (responses: ApiResponse[]) => responses.map((response) => response.status).sort();
/** A sign-in that is older than a step-up takes. */
const age = () =>
  service.database.sql(`update sessions set auth_time = now() - interval '11 minutes' where user_id = $1`, [
    session.user.id,
  ]);
const deadWithin2s = (one: SignedIn) =>
  untilRevoked('the end of the session', async () => {
    const responses = await Promise.all([service, second].map((at) => clientOf(one, at).get('/auth/me')));
    return responses.every((response) => response.status === 401);
  });

beforeAll(async () => {
  service = await startService({ env: MAIL });
  second = await startService({ env: MAIL, database: service.database });
});
afterAll(async () => {
  await second.stop();
  await service.stop();
});
beforeEach(async () => {
  email = newEmail();
  const response = await service.client.post('/auth/register', { email, password: PASSWORD, tenant_name: 'Acme' });
  expect(response.status).toBe(201);
  session = response.body as SignedIn;
  client = clientOf(session);
});

describe('verifying the mailbox', () => {
  it('is a confirmation with a session: nothing else changes', async () => {
    const token = await tokenTo(service, email, 'verify_email');
    expectProblem(await service.client.post('/auth/verify-email', { token }), 'unauthorized');
    const stranger = await service.tenant();
    expectProblem(await stranger.post('/auth/verify-email', { token }), 'unauthorized');
    const verified = await client.post('/auth/verify-email', { token });
    expect([verified.status, verified.body.user.email]).toEqual([200, email]);
    expectProblem(await client.post('/auth/verify-email', { token }), 'token_invalid');
    expect((await client.get('/auth/me')).body.email_verified_at).toEqual(expect.any(String));
    expect((await client.get('/auth/tenants')).body.data).toMatchObject([{ name: 'Acme', status: 'active' }]);
  });

  it('is one with the password too, and a wrong one spends nothing', async () => {
    const token = await tokenTo(service, email, 'verify_email');
    expectProblem(await service.client.post('/auth/verify-email', { token, password: 'wrong' }), 'unauthorized');
    const response = await service.client.post('/auth/verify-email', { token, password: PASSWORD });
    expect(response.status).toBe(200);
    expect((await client.get('/orders')).status).toBe(200);
  });

  it('has one winner of twenty at once', async () => {
    const token = await tokenTo(service, email, 'verify_email');
    const responses = await Promise.all(Array.from({ length: 20 }, () => client.post('/auth/verify-email', { token })));
    expect(statusesOf(responses)).toEqual([200, ...Array<number>(19).fill(422)]);
  });

  it('takes the newest token alone, and sends nothing for an address without an account', async () => {
    const first = await tokenTo(service, email, 'verify_email');
    expect((await service.client.post('/auth/verify-email/resend', { email })).status).toBe(202);
    const next = await tokenTo(service, email, 'verify_email');
    expect(next).not.toBe(first);
    expectProblem(await client.post('/auth/verify-email', { token: first }), 'token_invalid');
    expect((await client.post('/auth/verify-email', { token: next })).status).toBe(200);
    const unknown = newEmail();
    expect((await service.client.post('/auth/verify-email/resend', { email: unknown })).status).toBe(202);
    expect(await mailsTo(service, unknown)).toEqual([]);
  });

  it.each(['', 'x', `ott_${'0'.repeat(32)}_${'A'.repeat(43)}`, 'rt_1_2'])('refuses the token %j', async (token) => {
    for (const path of ['/auth/verify-email', '/auth/email/undo', '/auth/email/confirm']) {
      const response = await service.client.post(path, { token });
      expectProblem(response, token === '' ? 'validation_error' : 'token_invalid');
    }
  });
});

describe('a forgotten password', () => {
  const forgot = async () => {
    const response = await service.client.post('/auth/password/forgot', { email });
    expect([response.status, response.text]).toEqual([202, '']);
  };

  it('is reset by the mail: all sessions end, and every other reset dies', async () => {
    await client.post('/auth/verify-email', { token: await tokenTo(service, email, 'verify_email') });
    await forgot();
    const older = await tokenTo(service, email, 'reset_password');
    await forgot();
    const token = await tokenTo(service, email, 'reset_password');
    expectProblem(
      await service.client.post('/auth/password/reset', { token, password: 'password' }),
      'validation_error',
    );
    const response = await service.client.post('/auth/password/reset', { token, password: OTHER });
    expect([response.status, response.text]).toEqual([204, '']);
    await deadWithin2s(session);
    for (const spent of [token, older]) {
      const again = await service.client.post('/auth/password/reset', { token: spent, password: OTHER });
      expectProblem(again, 'token_invalid');
    }
    expectProblem(await login(), 'unauthorized');
    const next = await signedIn({ password: OTHER });
    expect(next.tenant.name).toBe('Acme');
    expect((await mailsTo(service, email)).map((mail) => mail.template)).toContain('password_changed');
  });

  it('has one winner of twenty at once', async () => {
    await forgot();
    const token = await tokenTo(service, email, 'reset_password');
    const responses = await Promise.all(
      Array.from({ length: 20 }, (_, at) =>
        service.client.post('/auth/password/reset', { token, password: `${OTHER} ${at}` }),
      ),
    );
    expect(statusesOf(responses)).toEqual([204, ...Array<number>(19).fill(422)]);
  });

  it('expires after half an hour', async () => {
    await forgot();
    const token = await tokenTo(service, email, 'reset_password');
    await service.database.sql(
      `update one_time_tokens set expires_at = expires_at - interval '30 minutes' where subject_id = $1`,
      [session.user.id],
    );
    expectProblem(await service.client.post('/auth/password/reset', { token, password: OTHER }), 'token_invalid');
  });

  it('claims an account whose mailbox was never proved, and invalidates the additions of the squatter', async () => {
    await forgot();
    const token = await tokenTo(service, email, 'reset_password');
    const squatter = session;
    await createEndpoint(client, 'https://example.com/hook');
    expect((await service.client.post('/auth/password/reset', { token, password: OTHER })).status).toBe(204);
    await deadWithin2s(squatter);
    expectProblem(await login(), 'unauthorized');
    expectProblem(
      await service.client.post('/auth/refresh', { refresh_token: squatter.refresh_token }),
      'unauthorized',
    );
    const claimed = await signedIn({ password: OTHER });
    expect(claimed.tenant).toBeNull();
    const own = clientOf(claimed);
    const { data } = (await own.get('/auth/tenants')).body;
    expect(data).toMatchObject([
      {
        name: 'Acme',
        status: 'unconfirmed',
        contents: { other_members: 0, tenant_keys: 0, endpoints: 1, pending_invitations: 0 },
      },
    ]);
    expectProblem(await own.post('/auth/switch-tenant', { tenant_id: data[0].id }), 'not_found');
    expect((await own.post(`/auth/tenants/${data[0].id}/confirm`)).status).toBe(204);
    expectProblem(await own.post(`/auth/tenants/${data[0].id}/confirm`), 'conflict');
    expect((await own.post('/auth/switch-tenant', { tenant_id: data[0].id })).body.tenant.name).toBe('Acme');
  });

  it('lets the claimant decline: a tenant without another owner closes', async () => {
    await forgot();
    const token = await tokenTo(service, email, 'reset_password');
    await service.client.post('/auth/password/reset', { token, password: OTHER });
    const own = clientOf(await signedIn({ password: OTHER }));
    expect((await own.post(`/auth/tenants/${session.tenant.id}/decline`)).status).toBe(204);
    expect((await own.get('/auth/tenants')).body.data).toEqual([]);
    const [tenant] = await service.database.sql('select closed_at is not null as closed from tenants where id = $1', [
      session.tenant.id,
    ]);
    expect(tenant).toEqual({ closed: true });
  });

  it('responds in the same way for an address without an account, and sends five mails an hour at most', async () => {
    const unknown = newEmail();
    const response = await service.client.post('/auth/password/forgot', { email: unknown });
    expect([response.status, response.text]).toEqual([202, '']);
    expect(await mailsTo(service, unknown)).toEqual([]);
    for (let i = 0; i < 8; i++) await forgot();
    const resets = (await mailsTo(service, email)).filter((mail) => mail.template === 'reset_password');
    expect(resets).toHaveLength(5);
  });

  it('refuses a password that is the address', async () => {
    await forgot();
    const token = await tokenTo(service, email, 'reset_password');
    expectProblem(await service.client.post('/auth/password/reset', { token, password: email }), 'validation_error');
    expect((await service.client.post('/auth/password/reset', { token, password: OTHER })).status).toBe(204);
  });
});

describe('changing the password', () => {
  it('ends the other sessions, and needs the current password', async () => {
    const other = await signedIn();
    expectProblem(
      await client.post('/auth/password', { current_password: 'wrong', new_password: OTHER }),
      'validation_error',
    );
    const response = await client.post('/auth/password', { current_password: PASSWORD, new_password: OTHER });
    expect([response.status, response.text]).toEqual([204, '']);
    await deadWithin2s(other);
    expect((await client.get('/auth/me')).status).toBe(200);
    expectProblem(await login(), 'unauthorized');
  });

  it('needs a recent sign-in (RFC 9470), such as a step-up', async () => {
    await age();
    const change = { current_password: PASSWORD, new_password: OTHER };
    const stale = await client.post('/auth/password', change);
    expectProblem(stale, 'insufficient_user_authentication');
    expect(stale.headers.get('www-authenticate')).toBe('Bearer error="insufficient_user_authentication", max_age=600');
    expectProblem(await client.post('/auth/step-up', { password: 'wrong' }), 'unauthorized');
    expectProblem(await client.post('/auth/step-up', {}), 'validation_error');
    expect((await client.post('/auth/step-up/options')).body).toEqual({ methods: ['password'] });
    const stepped = await client.post('/auth/step-up', { password: PASSWORD });
    expect(stepped.status).toBe(200);
    const next = client.withToken(stepped.body.access_token);
    expect((await next.post('/auth/password', change)).status).toBe(204);
    await deadWithin2s(session);
  });

  it('steps up once of twenty at once', async () => {
    const responses = await Promise.all(
      Array.from({ length: 20 }, () => client.post('/auth/step-up', { password: PASSWORD })),
    );
    expect(responses.filter((response) => response.status === 200)).toHaveLength(1);
    expect(responses.filter((response) => ![200, 401].includes(response.status))).toEqual([]);
  });
});

describe('changing the address', () => {
  it('is confirmed by the new mailbox, and undone by the old one', async () => {
    await client.post('/auth/verify-email', { token: await tokenTo(service, email, 'verify_email') });
    const next = newEmail();
    expect((await client.post('/auth/email', { email: next })).status).toBe(202);
    const token = await tokenTo(service, next, 'confirm_email');
    expectProblem(await service.client.post('/auth/email/confirm', { token }), 'unauthorized');
    const responses = await Promise.all(
      Array.from({ length: 20 }, () => client.post('/auth/email/confirm', { token })),
    );
    expect(statusesOf(responses)).toEqual([200, ...Array<number>(19).fill(422)]);
    expect((await client.get('/auth/me')).body.user.email).toBe(next);
    // The old address stays reserved.
    expectProblem(
      await service.client.post('/auth/register', { email, password: PASSWORD, tenant_name: 'Other' }),
      'conflict',
    );
    const undo = await tokenTo(service, email, 'undo_email');
    expect((await service.client.post('/auth/email/undo', { token: undo })).status).toBe(204);
    expectProblem(await service.client.post('/auth/email/undo', { token: undo }), 'token_invalid');
    await deadWithin2s(session);
    expectProblem(await login(), 'unauthorized');
    const reset = await tokenTo(service, email, 'reset_password');
    expect((await service.client.post('/auth/password/reset', { token: reset, password: OTHER })).status).toBe(204);
    expect((await signedIn({ password: OTHER })).tenant.name).toBe('Acme');
  });

  it('keeps its undo when the password is reset by the new mailbox', async () => {
    await client.post('/auth/verify-email', { token: await tokenTo(service, email, 'verify_email') });
    const next = newEmail();
    await client.post('/auth/email', { email: next });
    await client.post('/auth/email/confirm', { token: await tokenTo(service, next, 'confirm_email') });
    await service.client.post('/auth/password/forgot', { email: next });
    const reset = await tokenTo(service, next, 'reset_password');
    await service.client.post('/auth/password/reset', { token: reset, password: OTHER });
    const undo = await tokenTo(service, email, 'undo_email');
    expect((await service.client.post('/auth/email/undo', { token: undo })).status).toBe(204);
  });

  it('reveals no account of an address, and ends with a reset', async () => {
    const stranger = await service.tenant();
    const taken = (stranger.session as SignedIn).user.email;
    expect((await client.post('/auth/email', { email: taken })).status).toBe(202);
    expect((await mailsTo(service, taken)).map((mail) => mail.template)).toContain('address_known');
    const next = newEmail();
    await client.post('/auth/email', { email: next });
    const token = await tokenTo(service, next, 'confirm_email');
    await client.post('/auth/password', { current_password: PASSWORD, new_password: OTHER });
    expectProblem(await client.post('/auth/email/confirm', { token }), 'token_invalid');
  });

  it('refuses letters that only look like others', async () => {
    expectProblem(await client.post('/auth/email', { email: `\uff41${email}` }), 'validation_error');
  });
});

describe('sessions', () => {
  it('are listed over all tenants, and ended one by one or together', async () => {
    const other = await signedIn();
    const made = (await client.post('/tenants', { name: 'Second' })).body as SignedIn;
    const { data, has_more: more } = (await client.get('/auth/sessions')).body;
    expect(more).toBe(false);
    expect(data.map((row: { tenant: { name: string } }) => row.tenant.name)).toEqual(['Second', 'Acme', 'Acme']);
    expect(data.map((row: { current: boolean }) => row.current)).toEqual([false, false, true]);
    expect(data[0]).toMatchObject({ network: '127.0.0.1', amr: ['pwd'], user_agent: expect.any(String) });
    const first = await client.get('/auth/sessions?limit=1');
    expect(first.body.data).toHaveLength(1);
    const rest = await client.get(`/auth/sessions?limit=2&cursor=${first.body.next_cursor}`);
    expect([...first.body.data, ...rest.body.data]).toEqual(data);

    expect((await client.delete(`/auth/sessions/${data[1].id}`)).status).toBe(204);
    await deadWithin2s(other);
    expectProblem(await client.delete(`/auth/sessions/${data[1].id}`), 'not_found');
    const stranger = await service.tenant();
    expectProblem(await stranger.delete(`/auth/sessions/${data[0].id}`), 'not_found');
    expect((await client.delete('/auth/sessions')).status).toBe(204);
    await deadWithin2s(made);
    expect((await client.get('/auth/me')).status).toBe(200);
  });

  it('that were made by switching live beside the old one, and end with it', async () => {
    const made = (await client.post('/tenants', { name: 'Second' })).body as SignedIn;
    const back = await clientOf(made).post('/auth/switch-tenant', { tenant_id: session.tenant.id });
    expect(back.body.tenant.name).toBe('Acme');
    expect((await client.get('/orders')).status).toBe(200);
    const [before, after] = await Promise.all([client.get('/auth/me'), clientOf(back.body).get('/auth/me')]);
    expect(after.body.session).toEqual({ ...before.body.session, id: after.body.session.id });
    expect((await client.post('/auth/logout', { refresh_token: back.body.refresh_token })).status).toBe(204);
    for (const one of [session, made, back.body as SignedIn]) await deadWithin2s(one);
    expectProblem(await service.client.post('/auth/refresh', { refresh_token: made.refresh_token }), 'unauthorized');
  });

  it('give no access to a tenant of another person', async () => {
    const stranger = await service.tenant();
    for (const id of [stranger.tenantId, '01890000-0000-7000-8000-000000000000']) {
      expectProblem(await client.post('/auth/switch-tenant', { tenant_id: id }), 'not_found');
      expectProblem(await client.post(`/auth/tenants/${id}/confirm`), 'not_found');
      expectProblem(await client.post(`/auth/tenants/${id}/decline`), 'not_found');
    }
  });

  it('without a tenant serve the own account alone', async () => {
    await service.database.sql('delete from memberships where user_id = $1', [session.user.id]);
    const own = clientOf(await signedIn());
    for (const path of ['/auth/me', '/auth/tenants', '/auth/sessions']) expect((await own.get(path)).status).toBe(200);
    for (const path of ['/orders', '/webhooks/endpoints']) expectProblem(await own.get(path), 'forbidden');
    expectProblem(await own.post('/orders', {}), 'forbidden');
    const stepped = await own.post('/auth/step-up', { password: PASSWORD });
    expect(stepped.status).toBe(200);
    const made = await own.withToken(stepped.body.access_token).post('/tenants', { name: 'Mine' });
    expect(made.body.tenant.name).toBe('Mine');
    expect((await clientOf(made.body).get('/orders')).status).toBe(200);
  });

  it('cannot make more than five tenants a day', async () => {
    for (let i = 0; i < 5; i++) expect((await client.post('/tenants', { name: `No ${i}` })).status).toBe(201);
    const response = await client.post('/tenants', { name: 'No 6' });
    expectProblem(response, 'rate_limited');
    expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0);
  });
});

describe('the own account', () => {
  it('changes its name, and nothing that is not its own to change', async () => {
    expect((await client.patch('/auth/me', { name: 'Ada' })).body.user.name).toBe('Ada');
    expect((await client.patch('/auth/me', { name: null })).body.user.name).toBeNull();
    for (const field of ['role', 'tenant_id', 'email_verified_at', 'permissions', 'managed_by', 'email']) {
      expectProblem(await client.patch('/auth/me', { [field]: 'x' }), 'validation_error');
      expectProblem(await client.post('/tenants', { name: 'x', [field]: 'x' }), 'validation_error');
    }
  });

  it('is exported', async () => {
    const key = await client.post('/api-keys', { name: 'Mine', kind: 'personal', scopes: ['orders:read'] });
    const { secret } = (await client.post('/auth/totp')).body as { secret: string };
    await client.post('/tenants', { name: 'Second' }, { 'idempotency-key': 'kept' });
    await login();
    const { body } = await client.get('/auth/me/export');
    expect(body).toMatchObject({
      api_keys: [{ id: key.body.id, name: 'Mine', tenant_id: session.tenant.id }],
      authenticator_apps: [{ confirmed_at: null }],
      recovery_codes: [],
      known_networks: [{ expires_at: expect.any(String) }],
      reserved_addresses: [],
      mail_tokens: [{ kind: 'verification', spent_at: null }],
      idempotency_keys: [{ key: 'kept' }],
    });
    for (const text of [key.body.key as string, secret]) expect(JSON.stringify(body)).not.toContain(text);
    expect(body).toMatchObject({
      user: { email },
      memberships: expect.arrayContaining([expect.objectContaining({ tenant_id: session.tenant.id, role: 'owner' })]),
      sessions: expect.arrayContaining([expect.objectContaining({ tenant_id: session.tenant.id })]),
    });
    expect(JSON.stringify(body)).not.toMatch(/hash|argon2/);
  });

  it('is not deleted while it is the last owner of an open tenant', async () => {
    expectProblem(await client.delete('/auth/me'), 'business_rule_violation');
    expect((await client.get('/orders')).status).toBe(200);
  });

  it('is deleted, and restored within 30 days without its memberships', async () => {
    await service.database.sql(`update memberships set role = 'member' where user_id = $1`, [session.user.id]);
    expect((await client.delete('/auth/me')).status).toBe(202);
    await deadWithin2s(session);
    const limited = await signedIn();
    expect(limited.tenant).toBeNull();
    const own = clientOf(limited);
    for (const path of ['/auth/me', '/auth/tenants', '/orders']) expectProblem(await own.get(path), 'forbidden');
    expectProblem(await client.post('/auth/me/restore'), 'unauthorized');
    const restored = await own.post('/auth/me/restore');
    expect(restored.status).toBe(200);
    const back = clientOf(restored.body as SignedIn);
    expect((await back.get('/auth/tenants')).body.data).toEqual([]);
    expectProblem(await back.post('/auth/me/restore'), 'forbidden');
  });
});
