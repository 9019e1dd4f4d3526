import { ApiClient, type SignedIn } from '../harness/client';
import { admin, adminJson } from '../harness/admin';
import { makeKey } from '../harness/members';
import { expectProblem } from '../harness/problems';
import { newEmail, startService, type TestService } from '../harness/service';
import { keepSecret } from '../harness/suite-log';

const PASSWORD = 'a password for tests';
const MISSING = '0198c0de-7a11-7000-8000-0000000000ee';

describe('companies by the operator’s commands', () => {
  let service: TestService;

  beforeAll(async () => {
    service = await startService();
  });
  afterAll(() => service.stop());

  const tokenOf = (link: string): string => {
    const token = decodeURIComponent(link.split('#token=')[1] ?? '');
    keepSecret(token);
    return token;
  };

  it('are made with a link for their owner, printed where no mail goes', async () => {
    const email = newEmail();
    const made = await adminJson(service.database, ['tenants', 'create', '--owner', email, '--name', 'First Ltd'], {
      APP_URL: 'https://app.example.com',
    });
    expect(made.link).toMatch(/^https:\/\/app\.example\.com\/accept-invitation#token=inv_/);
    const joined = await service.client.post('/auth/invitations/accept', {
      token: tokenOf(made.link as string),
      password: PASSWORD,
    });
    expect([joined.status, joined.body.tenant.name]).toEqual([200, 'First Ltd']);
    const owner = new ApiClient(service.url, joined.body as SignedIn);
    expect((await owner.get('/auth/me')).body.role).toBe('owner');
  });

  it('let an address in by a link, once, in place of the one before', async () => {
    const owner = await service.tenant();
    const email = newEmail();
    const first = await adminJson(service.database, ['invitations', 'link', owner.tenantId, email, 'viewer']);
    const second = await adminJson(service.database, ['invitations', 'link', owner.tenantId, email, 'member']);
    const accept = (link: string) =>
      service.client.post('/auth/invitations/accept', { token: tokenOf(link), password: PASSWORD });
    expectProblem(await accept(first.link as string), 'token_invalid');
    expect((await accept(second.link as string)).status).toBe(200);
    expectProblem(await accept(second.link as string), 'token_invalid');
    await expect(admin(service.database, ['invitations', 'link', owner.tenantId, email, 'nothing'])).rejects.toThrow();
    await expect(admin(service.database, ['invitations', 'link', MISSING, email, 'viewer'])).rejects.toThrow();
  });

  it('are relaxed where their own policies lock every member out', async () => {
    const owner = await service.tenant();
    await service.database.sql(
      `update tenants set allowed_cidrs = '{203.0.113.0/24}', second_factor = 'required' where id = $1`,
      [owner.tenantId],
    );
    const relaxed = await adminJson(service.database, [
      'tenants',
      'relax',
      owner.tenantId,
      '--cidrs',
      '--second-factor',
    ]);
    expect(relaxed.relaxed.sort()).toEqual(['allowed_cidrs', 'second_factor']);
    expect((await owner.get('/tenant')).body.policies).toMatchObject({ allowed_cidrs: [], second_factor: 'optional' });
    const again = await adminJson(service.database, ['tenants', 'relax', owner.tenantId, '--cidrs']);
    expect(again.relaxed).toEqual([]);
    const log = await service.database.sql(
      `select actor_type from audit_log where tenant_id = $1 and action = 'tenant.changed'`,
      [owner.tenantId],
    );
    expect(log).toEqual([{ actor_type: 'operator' }]);
  });

  it('are closed within two seconds, and restored by an owner', async () => {
    const owner = await service.tenant();
    const key = await makeKey(owner);
    expect((await key.client.get('/orders')).status).toBe(200);
    const closed = await adminJson(service.database, ['tenants', 'delete', owner.tenantId]);
    expect(closed.changed).toBe(true);
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    expect([(await owner.get('/orders')).status, (await key.client.get('/orders')).status]).toEqual([403, 401]);
    expect((await owner.post('/tenant/restore')).status).toBe(204);
    expect((await owner.get('/orders')).status).toBe(200);
  });
});
