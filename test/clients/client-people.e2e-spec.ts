import type { ApiError, OrdersClient, OrdersClientOptions } from '../../clients/typescript/src/client';
import { verifyAuditProof } from '../../clients/typescript/src/audit';
import { AuditFolder } from '../../src/audit/folding/audit-folder';
import { type BuiltClient, buildClient } from '../harness/built-client';
import { ApiClient, type SignedIn } from '../harness/client';
import { tokenTo } from '../harness/mails';
import { newEmail, startService, type TestService } from '../harness/service';
import { keepSecret } from '../harness/suite-log';
import { addAuthenticator, type Authenticator } from '../harness/totp';
import { startWorker, type TestWorker } from '../harness/worker';

const PASSWORD = 'a password for tests';

/** People, keys and the audit log, as a program sees them that was written with the client. */
describe('the TypeScript client for people, keys and the audit log', () => {
  let built: BuiltClient;
  let service: TestService;
  let worker: TestWorker;
  let owner: OrdersClient;
  let session: SignedIn;

  beforeAll(async () => {
    const env = { MAIL_DIRECTORY: '/nowhere', REGISTRATION: 'open' };
    [built, service] = await Promise.all([buildClient(), startService({ env })]);
    worker = await startWorker(service.database);
  });
  afterAll(async () => {
    await worker.stop();
    await service.stop();
    built.remove();
  });
  beforeEach(async () => {
    owner = newClient();
    session = (await owner.register({ email: newEmail(), password: PASSWORD, tenant_name: 'Client Ltd' })) as SignedIn;
  });

  const newClient = (options: Partial<OrdersClientOptions> = {}): OrdersClient =>
    new built.client.OrdersClient({ baseUrl: service.url, ...options });
  const problem = async (call: Promise<unknown>): Promise<ApiError> => {
    const error: unknown = await call.then(
      () => undefined,
      (failure: unknown) => failure,
    );
    expect(error).toBeInstanceOf(built.client.ApiError);
    return error as ApiError;
  };
  const tenantsOf = async (client: OrdersClient): Promise<string[]> => {
    const names: string[] = [];
    for await (const { name } of client.items('/api/v1/auth/tenants')) names.push(name);
    return names.sort();
  };

  it('verifies an address with its session, invites, and acts in each tenant of the person', async () => {
    const token = await tokenTo(service, session.user.email, 'verify_email');
    expect((await owner.verifyEmail({ token })).user).toMatchObject({ email: session.user.email });
    expect((await owner.get('/api/v1/auth/me')).data.email_verified_at).toEqual(expect.any(String));

    const colleague = newClient();
    const email = newEmail();
    await colleague.register({ email, password: PASSWORD, tenant_name: 'Elsewhere' });
    await owner.post('/api/v1/invitations', { body: { email, role: 'viewer' } });
    const invitation = await tokenTo(service, email, 'invitation');
    const preview = await newClient().post('/api/v1/auth/invitations/preview', { body: { token: invitation } });
    expect(preview.data).toMatchObject({ tenant: { name: 'Client Ltd' }, role: 'viewer' });
    // By the session of the invited person, which the client sends.
    const joined = await colleague.acceptInvitation({ token: invitation });
    expect(joined.tenant).toMatchObject({ id: session.tenant.id });
    expect((await colleague.get('/api/v1/auth/me')).data.role).toBe('viewer');
    const made = await colleague.createTenant('Third');
    expect((await colleague.get('/api/v1/auth/me')).data.tenant).toMatchObject({ id: made.tenant?.id });
    await colleague.switchTenant(session.tenant.id);
    expect((await colleague.get('/api/v1/auth/me')).data.tenant).toMatchObject({ id: session.tenant.id });
    expect(await tenantsOf(colleague)).toEqual(['Client Ltd', 'Elsewhere', 'Third']);
  });

  it('manages members, roles, keys and the tenant', async () => {
    await owner.post('/api/v1/roles', { body: { name: 'support', permissions: ['orders:read'] } });
    const { data: role, response } = await owner.get('/api/v1/roles/{name}', { params: { path: { name: 'support' } } });
    const header = { 'If-Match': response.headers.get('etag') as string };
    await owner.patch('/api/v1/roles/{name}', {
      params: { path: { name: role.name }, header },
      body: { description: 'Answers customers' },
    });
    expect(
      await problem(owner.delete('/api/v1/roles/{name}', { params: { path: { name: role.name }, header } })),
    ).toMatchObject({ status: 412 });
    const members = [];
    for await (const member of owner.items('/api/v1/members')) members.push(member.user.email);
    expect(members).toEqual([session.user.email]);

    const { data: key } = await owner.post('/api/v1/api-keys', {
      body: { name: 'Deploy', kind: 'tenant', scopes: ['orders:read'] },
    });
    keepSecret(key.key);
    const machine = newClient({ credential: key.key });
    expect((await machine.get('/api/v1/orders')).data.data).toEqual([]);
    expect(await problem(machine.get('/api/v1/members'))).toMatchObject({ status: 403 });
    const { data: rotated } = await owner.post('/api/v1/api-keys/{id}/rotate', {
      params: { path: { id: key.id } },
      body: { overlap_seconds: 60 },
    });
    expect(rotated.key).not.toBe(key.key);
    await owner.delete('/api/v1/api-keys/{id}', { params: { path: { id: key.id } } });
    const { data: tenant } = await owner.patch('/api/v1/tenant', { body: { name: 'Renamed' } });
    expect(tenant).toMatchObject({ name: 'Renamed', version: 2 });
    expect((await owner.get('/api/v1/tenant/usage')).data).toBeDefined();
  });

  describe('with a second factor', () => {
    let app: Authenticator;

    beforeEach(async () => {
      app = await addAuthenticator(service, new ApiClient(service.url, session));
    });

    it('completes a sign-in by its challenge', async () => {
      const client = newClient();
      const refused = await problem(client.signIn({ email: session.user.email, password: PASSWORD }));
      expect(refused).toMatchObject({ status: 401, slug: 'second_factor_required' });
      expect(refused.secondFactor).toMatchObject({ methods: ['totp'], expires_in: 300 });
      const challenge = refused.secondFactor?.challenge as string;
      await client.answerChallenge({ challenge, code: await app.code() });
      expect((await client.get('/api/v1/auth/me')).data.session?.acr).toBe('aal2');
    });

    it('steps up, sends a wrong code once, and continues with the new session', async () => {
      const email = newEmail();
      const invitation = { body: { email, role: 'viewer' } };
      expect(await problem(owner.post('/api/v1/invitations', invitation))).toMatchObject({
        slug: 'insufficient_user_authentication',
      });
      expect(await problem(owner.stepUp({ code: '000000' }))).toMatchObject({ status: 401 });
      const [counted] = await service.database.sql<{ failures: number }>(
        'select max(failures)::int as failures from sign_in_failures',
      );
      expect(counted?.failures).toBe(1);
      await owner.stepUp({ code: await app.code() });
      expect((await owner.post('/api/v1/invitations', invitation)).data).toMatchObject({ email });
    });
  });

  it('reads the audit log, and proves an entry of it', async () => {
    await worker.app.get(AuditFolder, { strict: false }).fold(session.tenant.id);
    const { data: checkpoint } = await owner.get('/api/v1/audit-log/checkpoint');
    const { data: keys } = await newClient().get('/.well-known/audit-keys.json');
    const actions: string[] = [];
    for await (const entry of owner.items('/api/v1/audit-log')) {
      actions.push(entry.action);
      const { data: proof } = await owner.get('/api/v1/audit-log/{id}/proof', {
        params: { path: { id: entry.id }, query: { size: checkpoint.size } },
      });
      await verifyAuditProof({ keys, checkpoint, entry, proof } as never);
    }
    expect(actions).toEqual(['session.started', 'tenant.created']);
    const { data } = await owner.stream('/api/v1/audit-log/export', { params: { query: { format: 'csv' } } });
    expect((await new Response(data).text()).trim().split('\r\n')).toHaveLength(3);
  });
});
