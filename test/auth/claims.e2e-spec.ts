import { ApiClient, type ApiResponse, type SignedIn } from '../harness/client';
import { createEndpoint } from '../harness/endpoints';
import { tokenTo } from '../harness/mails';
import { addMember, makeKey, personOf } from '../harness/members';
import { expectProblem } from '../harness/problems';
import { newEmail, startService, type TestService } from '../harness/service';
import { addAuthenticator } from '../harness/totp';
import { untilRevoked } from '../harness/until';

const PASSWORD = 'a password for tests';
const OTHER = 'another password of tests';
const MAIL = { MAIL_DIRECTORY: '/nowhere' };

describe('a proof of the mailbox', () => {
  let service: TestService;
  let second: TestService;
  let email: string;
  let session: SignedIn;
  let client: ApiClient;

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
    session = response.body as SignedIn;
    client = new ApiClient(service.url, session);
  });

  const login = (password: string): Promise<ApiResponse> => service.client.post('/auth/login', { email, password });
  const resetToken = async (): Promise<string> => {
    await service.client.post('/auth/password/forgot', { email });
    return tokenTo(service, email, 'reset_password');
  };
  const invited = async (): Promise<{ token: string; host: ApiClient }> => {
    const host = await service.tenant('Host');
    expect((await host.post('/invitations', { email, role: 'member' })).status).toBe(201);
    return { token: await tokenTo(service, email, 'invitation'), host };
  };

  /** The squatter's changes of the account before its owner comes. */
  async function squat(): Promise<{ keys: ApiClient[]; sessions: SignedIn[] }> {
    const again = (await login(PASSWORD)).body as SignedIn;
    const elsewhere = await service.tenant('Elsewhere');
    await service.database.sql(
      `insert into memberships (tenant_id, user_id, role, created_at, last_used_at) values ($1, $2, 'viewer', now(), now())`,
      [elsewhere.tenantId, session.user.id],
    );
    const switched = await client.post('/auth/switch-tenant', { tenant_id: elsewhere.tenantId });
    const sessions = [session, again, switched.body as SignedIn];
    const keys = await Promise.all(
      sessions.map(async (one) => (await makeKey(new ApiClient(service.url, one), { kind: 'personal' })).client),
    );
    await createEndpoint(client, 'https://example.com/hook');
    await makeKey(client, { name: 'of the tenant' });
    expect((await client.post('/invitations', { email: newEmail(), role: 'viewer' })).status).toBe(201);
    await addAuthenticator(service, client);
    for (const key of keys) expect((await key.get('/orders')).status).toBe(200);
    return { keys, sessions };
  }

  /** Nothing that the squatter has works any more, in either process. */
  async function expectVoid({ keys, sessions }: { keys: ApiClient[]; sessions: SignedIn[] }): Promise<void> {
    for (const at of [service, second]) {
      const dead = [
        ...sessions.map((one) => new ApiClient(at.url, one)),
        ...keys.map((key) => new ApiClient(at.url, undefined, (key as unknown as { token: string }).token)),
      ];
      for (const one of dead) {
        await untilRevoked('the end of a credential', async () => (await one.get('/orders')).status === 401);
      }
    }
    for (const { refresh_token } of sessions) {
      expectProblem(await service.client.post('/auth/refresh', { refresh_token }), 'unauthorized');
    }
    expectProblem(await login(PASSWORD), 'unauthorized');
    // The squatter's factor is gone: the owner is not asked for it.
    expect((await login(OTHER)).status).toBe(200);
    expect(await service.database.sql('select 1 from recovery_codes where user_id = $1', [session.user.id])).toEqual(
      [],
    );
  }

  async function expectUnconfirmed(own: ApiClient, others: string[]): Promise<void> {
    const { data } = (await own.get('/auth/tenants')).body as {
      data: { name: string; status: string; contents?: object }[];
    };
    expect(data.filter(({ status }) => status === 'unconfirmed').map(({ name }) => name).sort()).toEqual([
      'Acme',
      'Elsewhere',
    ]); // prettier-ignore
    expect(data.filter(({ status }) => status === 'active').map(({ name }) => name)).toEqual(others);
    expect(data.find(({ name }) => name === 'Acme')?.contents).toEqual({
      other_members: 0,
      tenant_keys: 1,
      endpoints: 1,
      pending_invitations: 1,
    });
  }

  it('by a reset takes the account from a squatter, with all that was put on it', async () => {
    const squatted = await squat();
    const token = await resetToken();
    expect((await service.client.post('/auth/password/reset', { token, password: OTHER })).status).toBe(204);
    await expectVoid(squatted);
    const own = (await login(OTHER)).body as SignedIn;
    expect(own.tenant).toBeNull();
    await expectUnconfirmed(new ApiClient(service.url, own), []);
  });

  it('by an accepted invitation does the same, with any factor of the squatter', async () => {
    const squatted = await squat();
    const { token } = await invited();
    const accepted = await service.client.post('/auth/invitations/accept', { token, password: OTHER });
    expect([accepted.status, accepted.body.tenant.name]).toEqual([200, 'Host']);
    await expectVoid(squatted);
    await expectUnconfirmed(new ApiClient(service.url, accepted.body as SignedIn), ['Host']);
  });

  it('by a reset that a member’s manager sent does so too', async () => {
    const squatted = await squat();
    const manager = await service.tenant();
    await service.database.sql(
      `insert into memberships (tenant_id, user_id, role, created_at, last_used_at) values ($1, $2, 'viewer', now(), now())`,
      [manager.tenantId, session.user.id],
    );
    expect((await manager.post(`/members/${session.user.id}/password-reset`)).status).toBe(202);
    const token = await tokenTo(service, email, 'reset_password');
    expect((await service.client.post('/auth/password/reset', { token, password: OTHER })).status).toBe(204);
    await expectVoid(squatted);
  });

  it('by another’s token does nothing: a squatter cannot verify, nor confirm for the owner', async () => {
    const stranger = await service.tenant();
    const token = await tokenTo(service, email, 'verify_email');
    expectProblem(await stranger.post('/auth/verify-email', { token }), 'unauthorized');
    expectProblem(await service.client.post('/auth/verify-email', { token, password: OTHER }), 'unauthorized');
    expect((await client.post('/auth/verify-email', { token })).status).toBe(200);
  });

  describe('of an honest founder', () => {
    const expectKept = async (key: ApiClient) => {
      expect((await client.get('/orders')).status).toBe(200);
      expect((await key.get('/orders')).status).toBe(200);
      expect((await login(PASSWORD)).status).toBe(200);
      const { data } = (await client.get('/auth/tenants')).body as { data: { name: string; status: string }[] };
      expect(data.find(({ name }) => name === 'Acme')?.status).toBe('active');
      expect((await client.get('/auth/me')).body.email_verified_at).not.toBeNull();
    };

    it.each(['session', 'password'])(
      'a person that verifies with the %s loses nothing, also at a later reset',
      async (way) => {
        const { client: key } = await makeKey(client, { kind: 'personal' });
        const token = await tokenTo(service, email, 'verify_email');
        const by = way === 'session' ? client : service.client;
        const response = await by.post('/auth/verify-email', {
          token,
          ...(way === 'password' ? { password: PASSWORD } : {}),
        });
        expect(response.status).toBe(200);
        await expectKept(key);
        const reset = await resetToken();
        expect((await service.client.post('/auth/password/reset', { token: reset, password: OTHER })).status).toBe(204);
        const back = (await login(OTHER)).body as SignedIn;
        expect(back.tenant.name).toBe('Acme');
        expect((await key.get('/orders')).status).toBe(200);
      },
    );

    it.each(['session', 'password'])('a person that accepts an invitation with the %s loses nothing', async (way) => {
      const { client: key } = await makeKey(client, { kind: 'personal' });
      const { token } = await invited();
      const by = way === 'session' ? client : service.client;
      const body = { token, ...(way === 'password' ? { password: PASSWORD } : {}) };
      expect((await by.post('/auth/invitations/accept', body)).status).toBe(200);
      await expectKept(key);
    });

    it('keeps a tenant that has another owner after a declined membership', async () => {
      const other = await addMember(service, client, 'owner');
      const token = await resetToken();
      await service.client.post('/auth/password/reset', { token, password: OTHER });
      const own = new ApiClient(service.url, (await login(OTHER)).body as SignedIn);
      expectProblem(await other.patch(`/members/${session.user.id}`, { role: 'viewer' }), 'conflict');
      expect((await own.post(`/auth/tenants/${session.tenant.id}/decline`)).status).toBe(204);
      expect((await other.get('/orders')).status).toBe(200);
      expect((await other.get('/members')).body.data.map((row: { user: { id: string } }) => row.user.id)).toEqual([
        personOf(other),
      ]);
    });
  });
});
