import { ApiClient, type SignedIn } from '../harness/client';
import { admin, adminJson } from '../harness/admin';
import { mailsTo } from '../harness/mails';
import { addMember, makeKey, personOf } from '../harness/members';
import { newEmail, startService, type TestService } from '../harness/service';
import { keepSecret } from '../harness/suite-log';
import { addAuthenticator } from '../harness/totp';
import { untilRevoked } from '../harness/until';

const PASSWORD = 'a password for tests';
const MISSING = '0198c0de-7a11-7000-8000-0000000000ee';
const MAIL = { MAIL_DIRECTORY: '/nowhere' };

describe('the operator’s commands for people', () => {
  let service: TestService;
  let owner: ApiClient;

  beforeAll(async () => {
    service = await startService({ env: MAIL });
  });
  afterAll(() => service.stop());
  beforeEach(async () => {
    owner = await service.tenant();
  });

  const emailOf = (client: ApiClient) => (client.session as SignedIn).user.email;
  const login = (client: ApiClient, more: object = {}) =>
    service.client.post('/auth/login', { email: emailOf(client), password: PASSWORD, ...more });
  const logOf = (action: string) =>
    service.database.sql(`select actor_type from audit_log where tenant_id = $1 and action = $2`, [
      owner.tenantId,
      action,
    ]);
  const templatesTo = async (client: ApiClient) =>
    (await mailsTo(service, emailOf(client))).map((mail) => mail.template);

  describe('users list', () => {
    it('shows accounts page by page', async () => {
      await service.tenant();
      const all = await adminJson(service.database, ['users', 'list', '--limit', '10000']);
      expect(all.data).toContainEqual({
        id: personOf(owner),
        email: emailOf(owner),
        created_at: expect.any(String),
        email_verified_at: null,
        erase_at: null,
        factor_reset_at: null,
      });
      const ids = all.data.map(({ id }: { id: string }) => id);
      const first = await adminJson(service.database, ['users', 'list', '--limit', '1']);
      expect([first.data[0].id, first.next_after]).toEqual([ids[0], ids[0]]);
      const last = await admin(service.database, ['users', 'list', '--after', ids.at(-2)]);
      expect(last.lines).toEqual([`${ids.at(-1)}  unverified  ${all.data.at(-1).email}`]);
    });
  });

  describe('users reset-link', () => {
    it('prints the link where no mail goes, once, and sends it where mail is configured', async () => {
      const args = ['users', 'reset-link', emailOf(owner)];
      const env = { APP_URL: 'https://app.example.com' };
      expect((await admin(service.database, [...args, '--dry-run'], env)).lines[0]).toMatch(/^would send/);
      const { link } = await adminJson(service.database, args, env);
      expect(link).toMatch(/^https:\/\/app\.example\.com\/reset-password#token=ott_/);
      const token = decodeURIComponent((link as string).split('#token=')[1] ?? '');
      keepSecret(token);
      const password = 'another password of tests';
      expect((await service.client.post('/auth/password/reset', { token, password })).status).toBe(204);
      expect((await service.client.post('/auth/password/reset', { token, password })).status).toBe(422);
      expect(await logOf('user.reset_sent')).toEqual([{ actor_type: 'operator' }]);
      const sent = await admin(service.database, args, { ...env, ...MAIL });
      expect(sent.lines.join('')).not.toContain('token');
      expect(await templatesTo(owner)).toContain('reset_password');
      await expect(admin(service.database, ['users', 'reset-link', newEmail()])).rejects.toMatchObject({
        code: 'not_found',
      });
    });
  });

  describe('users reset-second-factor', () => {
    const reset = (client = owner) =>
      adminJson(service.database, ['users', 'reset-second-factor', emailOf(client)], MAIL);
    const aDayLater = () =>
      service.database.sql(`update users set factor_reset_at = now() - interval '1 second' where id = $1`, [
        personOf(owner),
      ]);

    it('is announced, and done a day later: the password alone signs in then', async () => {
      await addAuthenticator(service, owner);
      expect((await login(owner)).status).toBe(401);
      const announced = await reset();
      expect(announced.done).toBe(false);
      expect(new Date(announced.effective_at).getTime() - Date.now()).toBeGreaterThan(23 * 3_600_000);
      expect(await reset()).toEqual(announced);
      expect((await login(owner)).status).toBe(401);
      expect(await logOf('user.factor_reset_announced')).toEqual([{ actor_type: 'operator' }]);
      await aDayLater();
      expect((await reset()).done).toBe(true);
      expect((await login(owner)).status).toBe(200);
      expect(await logOf('user.factors_reset')).toEqual([{ actor_type: 'operator' }]);
      expect(await templatesTo(owner)).toEqual(expect.arrayContaining(['factor_reset_announced', 'factor_removed']));
      await expect(reset()).rejects.toMatchObject({ code: 'conflict' });
    });

    it('is cancelled by a sign-in with the factor, and not by the password alone', async () => {
      const app = await addAuthenticator(service, owner);
      await reset();
      const due = () =>
        service.database.sql('select factor_reset_at is not null as due from users where id = $1', [personOf(owner)]);
      const { challenge } = (await login(owner)).body;
      keepSecret(challenge);
      expect(await due()).toEqual([{ due: true }]);
      const signedIn = await service.client.post('/auth/second-factor', { challenge, code: await app.code() });
      expect(signedIn.status).toBe(200);
      expect(await due()).toEqual([{ due: false }]);
      expect((await reset()).done).toBe(false);
    });
  });

  describe('tenants set-owner', () => {
    let heir: ApiClient;
    beforeEach(async () => {
      heir = await addMember(service, owner, 'viewer');
    });
    const setOwner = (email = emailOf(heir), tenantId = owner.tenantId) =>
      adminJson(service.database, ['tenants', 'set-owner', tenantId, email], MAIL);
    const aDayLater = () =>
      service.database.sql(`update tenants set new_owner_at = now() - interval '1 second' where id = $1`, [
        owner.tenantId,
      ]);

    it('is announced, and done a day later, within two seconds everywhere', async () => {
      const announced = await setOwner();
      expect([announced.done, announced.user_id]).toEqual([false, personOf(heir)]);
      expect(await setOwner()).toEqual(announced);
      expect((await heir.get('/auth/me')).body.role).toBe('viewer');
      await aDayLater();
      expect((await setOwner()).done).toBe(true);
      await untilRevoked('the role is there', async () => (await heir.get('/auth/me')).body.role === 'owner');
      expect(await logOf('tenant.owner_change_announced')).toEqual([{ actor_type: 'operator' }]);
      expect(await logOf('member.changed')).toEqual([{ actor_type: 'operator' }]);
      const notices = await service.database.sql('select template from mail_outbox where tenant_id = $1 order by id', [
        owner.tenantId,
      ]);
      expect(notices).toEqual([{ template: 'owner_change_announced' }, { template: 'role_changed' }]);
      await expect(setOwner()).rejects.toMatchObject({ code: 'conflict' });
    });

    it('is cancelled by a sign-in of an owner, and of no other user', async () => {
      await setOwner();
      await aDayLater();
      expect((await login(heir, { tenant_id: owner.tenantId })).status).toBe(200);
      const pending = () =>
        service.database.sql('select new_owner_id is not null as pending from tenants where id = $1', [owner.tenantId]);
      expect(await pending()).toEqual([{ pending: true }]);
      expect((await login(owner)).status).toBe(200);
      expect(await pending()).toEqual([{ pending: false }]);
      expect(await logOf('tenant.owner_change_cancelled')).toEqual([{ actor_type: 'user' }]);
      expect((await setOwner()).done).toBe(false);
    });

    it('takes a member alone', async () => {
      await expect(setOwner(newEmail())).rejects.toMatchObject({ code: 'not_found' });
      await expect(setOwner(emailOf(heir), MISSING)).rejects.toMatchObject({ code: 'not_found' });
      await service.database.sql(
        `update memberships set status = 'unconfirmed' where user_id = $1 and tenant_id = $2`,
        [personOf(heir), owner.tenantId],
      );
      await expect(setOwner()).rejects.toMatchObject({ code: 'conflict' });
    });
  });

  describe('api-keys', () => {
    it('are listed without their texts, and revoked within two seconds', async () => {
      const { client, key } = await makeKey(owner, { name: 'leaked' });
      const list = await adminJson(service.database, ['api-keys', 'list', owner.tenantId]);
      expect(list.data).toMatchObject([{ id: key.id, name: 'leaked', hint: key.hint }]);
      expect(JSON.stringify(list)).not.toContain(key.key);
      expect((await client.get('/orders')).status).toBe(200);
      const args = ['api-keys', 'revoke', owner.tenantId, key.id as string];
      expect((await admin(service.database, [...args, '--dry-run'])).lines).toEqual([`would revoke ${key.id}`]);
      expect((await client.get('/orders')).status).toBe(200);
      await admin(service.database, args);
      await untilRevoked('the key is dead', async () => (await client.get('/orders')).status === 401);
      expect(await logOf('api_key.revoked')).toEqual([{ actor_type: 'operator' }]);
      await expect(admin(service.database, args)).rejects.toMatchObject({ code: 'not_found' });
    });
  });

  it('suspending, resuming and relaxing a tenant is in its log, and relaxing notifies its managers', async () => {
    for (const command of ['suspend', 'resume']) {
      await admin(service.database, ['tenants', command, owner.tenantId]);
    }
    expect([await logOf('tenant.suspended'), await logOf('tenant.resumed')]).toEqual([
      [{ actor_type: 'operator' }],
      [{ actor_type: 'operator' }],
    ]);
    await service.database.sql(`update tenants set second_factor = 'required' where id = $1`, [owner.tenantId]);
    await admin(service.database, ['tenants', 'relax', owner.tenantId, '--second-factor'], MAIL);
    const notices = await service.database.sql('select template from mail_outbox where tenant_id = $1', [
      owner.tenantId,
    ]);
    expect(notices).toEqual([{ template: 'tenant_relaxed' }]);
  });
});
