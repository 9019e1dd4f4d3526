import { tmpdir } from 'node:os';
import { ApiClient, type SignedIn } from '../harness/client';
import { tokenTo } from '../harness/mails';
import { addMember, makeKey, personOf } from '../harness/members';
import { expectProblem } from '../harness/problems';
import { newEmail, startService, type TestService } from '../harness/service';

const PASSWORD = 'a password for tests';

describe('accepting an invitation', () => {
  let service: TestService;
  let owner: ApiClient;

  beforeAll(async () => {
    service = await startService({ env: { MAIL_DIRECTORY: tmpdir() } });
  });
  beforeEach(async () => {
    owner = await service.tenant('Inviting Ltd');
  });
  afterAll(() => service.stop());

  async function invite(email: string, role = 'member', by = owner): Promise<string> {
    const made = await by.post('/invitations', { email, role });
    expect(made.status).toBe(201);
    return tokenTo(service, email, 'invitation');
  }
  const accept = (client: ApiClient, token: string, more: Record<string, unknown> = {}) =>
    client.post('/auth/invitations/accept', { token, ...more });
  const clientOf = (body: SignedIn) => new ApiClient(service.url, body);

  it('makes an account for a new person, and the membership at once', async () => {
    const email = newEmail();
    const token = await invite(email);
    const preview = await service.client.post('/auth/invitations/preview', { token });
    expect(preview.body).toEqual({
      tenant: { name: 'Inviting Ltd' },
      email,
      role: 'member',
      expires_at: expect.any(String),
    });
    expectProblem(await accept(service.client, token), 'validation_error');
    const joined = await accept(service.client, token, { password: PASSWORD, name: 'Grace' });
    expect([joined.status, joined.body.tenant.id, joined.body.user.email]).toEqual([200, owner.tenantId, email]);
    const me = (await clientOf(joined.body).get('/auth/me')).body;
    expect([me.role, typeof me.email_verified_at]).toEqual(['member', 'string']);
    expectProblem(await accept(service.client, token, { password: PASSWORD }), 'token_invalid');
    expect((await owner.get('/invitations')).body.data).toEqual([]);
    expect((await owner.get('/members?q=grace')).body.data).toHaveLength(1);
  });

  it('has one winner of 20 at once', async () => {
    const email = newEmail();
    const token = await invite(email);
    const responses = await Promise.all(
      Array.from({ length: 20 }, () => accept(service.client, token, { password: PASSWORD })),
    );
    expect(responses.filter(({ status }) => status === 200)).toHaveLength(1);
    for (const response of responses) if (response.status !== 200) expect(response.status).toBe(422);
    const rows = await service.database.sql('select 1 from users where email = $1', [email]);
    expect(rows).toHaveLength(1);
  });

  it('takes a session or the password of the account that the address has', async () => {
    const person = await service.tenant();
    const { email } = (person.session as SignedIn).user;
    const token = await invite(email, 'viewer');
    expectProblem(await accept(service.client, token), 'unauthorized');
    const stranger = await service.tenant();
    expectProblem(await accept(stranger, token), 'forbidden');
    expect((await service.client.post('/auth/invitations/preview', { token })).status).toBe(200);
    const joined = await accept(person, token);
    expect([joined.status, joined.body.tenant.id]).toEqual([200, owner.tenantId]);
    // The session counts as a confirmation: nothing of the account is lost.
    expect((await person.get('/orders')).status).toBe(200);
    const other = await service.tenant();
    const second = await invite((other.session as SignedIn).user.email);
    expect((await accept(service.client, second, { password: PASSWORD })).status).toBe(200);
    expect((await other.get('/orders')).status).toBe(200);
  });

  it('takes an account over that a stranger made with the address', async () => {
    const email = newEmail();
    const registered = await service.client.post('/auth/register', { email, password: PASSWORD, tenant_name: 'Squat' });
    const squatter = clientOf(registered.body);
    const key = await makeKey(squatter, { kind: 'personal' });
    const token = await invite(email);
    const joined = await accept(service.client, token, { password: 'the one of the victim' });
    expect(joined.status).toBe(200);
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    expectProblem(await service.client.post('/auth/login', { email, password: PASSWORD }), 'unauthorized');
    expect([(await squatter.get('/orders')).status, (await key.client.get('/orders')).status]).toEqual([401, 401]);
    const refreshed = await service.client.post('/auth/refresh', { refresh_token: registered.body.refresh_token });
    expectProblem(refreshed, 'unauthorized');
    const { data } = (await clientOf(joined.body).get('/auth/tenants')).body;
    expect(data.map(({ status }: { status: string }) => status).sort()).toEqual(['active', 'unconfirmed']);
  });

  it('is void once the inviter left, is suspended, or holds less', async () => {
    const admin = await addMember(service, owner, 'admin');
    const email = newEmail();
    const token = await invite(email, 'admin', admin);
    await owner.patch(`/members/${personOf(admin)}`, { role: 'member' });
    expectProblem(await accept(service.client, token, { password: PASSWORD }), 'token_invalid');
    await owner.patch(`/members/${personOf(admin)}`, { role: 'admin', status: 'suspended' });
    expectProblem(await accept(service.client, token, { password: PASSWORD }), 'token_invalid');
    await owner.delete(`/members/${personOf(admin)}`);
    expectProblem(await service.client.post('/auth/invitations/preview', { token }), 'token_invalid');
    const { data } = (await owner.get('/invitations')).body;
    expect((await owner.post(`/invitations/${data[0].id}/resend`)).status).toBe(202);
    expectProblem(await accept(service.client, token, { password: PASSWORD }), 'token_invalid');
    const renewed = await tokenTo(service, email, 'invitation');
    expect((await accept(service.client, renewed, { password: PASSWORD })).status).toBe(200);
  });

  it('refuses anything else', async () => {
    for (const token of ['x', `inv_${'0'.repeat(32)}_${'A'.repeat(43)}`]) {
      expectProblem(await accept(service.client, token, { password: PASSWORD }), 'token_invalid');
    }
    const token = await invite(newEmail());
    for (const field of ['role', 'tenant_id', 'email', 'email_verified_at', 'managed_by', 'permissions']) {
      expectProblem(await accept(service.client, token, { password: PASSWORD, [field]: 'owner' }), 'validation_error');
    }
    expectProblem(await accept(service.client, token, { password: 'short' }), 'validation_error');
  });
});
