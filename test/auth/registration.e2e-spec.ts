import { MAIL_PAGES } from '../../src/auth/pages/mail-pages';
import { EmailKeyBackfill } from '../../src/users/email-key-backfill';
import { ApiClient, type SignedIn } from '../harness/client';
import { mailsTo, tokenTo } from '../harness/mails';
import { expectProblem } from '../harness/problems';
import { newEmail, startService, type TestService } from '../harness/service';
import { untilRevoked } from '../harness/until';

const PASSWORD = 'a password for tests';
const input = (email: string) => ({ email, password: PASSWORD, tenant_name: 'Acme' });

describe('registration that is verified', () => {
  let service: TestService;

  beforeAll(async () => {
    service = await startService({ env: { REGISTRATION: 'verified', MAIL_DIRECTORY: '/nowhere' } });
  });
  afterAll(() => service.stop());

  const register = (email: string) => service.client.post('/auth/register', input(email));
  const verify = (token: string, change: Record<string, unknown> = {}) =>
    service.client.post('/auth/verify-email', { token, password: PASSWORD, tenant_name: 'Acme', ...change });

  it('makes nothing before the mailbox is verified, and the account with the input of the verification', async () => {
    const email = newEmail();
    const response = await register(email);
    expect([response.status, response.body]).toEqual([202, { status: 'verification_sent' }]);
    expect(await service.database.sql('select 1 from users where email = $1', [email])).toEqual([]);
    expectProblem(await service.client.post('/auth/login', { email, password: PASSWORD }), 'unauthorized');
    const token = await tokenTo(service, email, 'verify_email');
    expectProblem(await service.client.post('/auth/verify-email', { token }), 'validation_error');
    expectProblem(await verify(token, { password: 'short' }), 'validation_error');
    const made = await verify(token, { password: 'quite another one', name: 'Ada', tenant_name: 'Engines' });
    expect(made.status).toBe(200);
    expect(made.body).toMatchObject({ user: { email, name: 'Ada' }, tenant: { name: 'Engines' } });
    const client = new ApiClient(service.url, made.body as SignedIn);
    expect((await client.get('/auth/me')).body).toMatchObject({ role: 'owner', email_verified_at: expect.any(String) });
    expectProblem(await verify(token), 'token_invalid');
    expectProblem(await service.client.post('/auth/login', { email, password: PASSWORD }), 'unauthorized');
  });

  it('has one winner of twenty at once', async () => {
    const email = newEmail();
    await register(email);
    const token = await tokenTo(service, email, 'verify_email');
    const responses = await Promise.all(Array.from({ length: 20 }, () => verify(token)));
    expect(responses.map((response) => response.status).sort()).toEqual([200, ...Array<number>(19).fill(422)]);
    expect(await service.database.sql('select 1 from users where email = $1', [email])).toHaveLength(1);
  });

  it('keeps a token for each registration; the first one makes the account', async () => {
    const email = newEmail();
    await register(email);
    const first = await tokenTo(service, email, 'verify_email');
    await register(email);
    const second = await tokenTo(service, email, 'verify_email');
    expect(second).not.toBe(first);
    expect((await verify(first)).status).toBe(200);
    expectProblem(await verify(second), 'token_invalid');
  });

  it('reveals in no response whether an address is known', async () => {
    const known = newEmail();
    await register(known);
    await verify(await tokenTo(service, known, 'verify_email'));
    const unknown = newEmail();
    for (const [path, body] of [
      ['/auth/register', (email: string) => input(email)],
      ['/auth/verify-email/resend', (email: string) => ({ email })],
      ['/auth/password/forgot', (email: string) => ({ email })],
      ['/auth/login', (email: string) => ({ email, password: 'a wrong password' })],
    ] as const) {
      const seen = [];
      for (const email of [known, unknown]) {
        const { status, headers, body: sent } = await service.client.post(path, body(email));
        const names = [...headers.keys()].sort();
        seen.push({ status, names, sent: { ...(sent as object), request_id: '' } });
      }
      expect(seen[1]).toEqual(seen[0]);
    }
    expect((await mailsTo(service, known)).map((mail) => mail.template)).toContain('address_known');
    expect((await mailsTo(service, unknown)).map((mail) => mail.template)).toEqual(['verify_email', 'verify_email']);
  });

  it('takes about the same time for both', async () => {
    const known = newEmail();
    await register(known);
    await verify(await tokenTo(service, known, 'verify_email'));
    const times = { known: [] as number[], unknown: [] as number[] };
    for (let round = 0; round < 20; round++) {
      for (const kind of round % 2 ? (['known', 'unknown'] as const) : (['unknown', 'known'] as const)) {
        const begun = performance.now();
        await service.client.post('/auth/password/forgot', { email: kind === 'known' ? known : newEmail() });
        times[kind].push(performance.now() - begun);
      }
    }
    const median = (values: number[]) => values.sort((a, b) => a - b)[values.length / 2] as number;
    const ratio = median(times.known) / median(times.unknown);
    expect(ratio).toBeGreaterThan(0.4);
    expect(ratio).toBeLessThan(2.5);
  });

  it('refuses letters that only look like others, and addresses that are one account', async () => {
    expectProblem(await register('\uff41da@example.com'), 'validation_error');
    const email = `jos\u00e9-${newEmail()}`;
    await register(email);
    expect((await verify(await tokenTo(service, email, 'verify_email'))).status).toBe(200);
    const decomposed = email.normalize('NFD').replace('example', 'EXAMPLE');
    const login = await service.client.post('/auth/login', { email: decomposed, password: PASSWORD });
    expect(login.status).toBe(200);
  });
});

describe('registration that is closed', () => {
  it('makes neither accounts nor tenants', async () => {
    const open = await startService();
    const owner = await open.tenant();
    const closed = await startService({ env: { REGISTRATION: 'closed' }, database: open.database });
    expectProblem(await closed.client.post('/auth/register', input(newEmail())), 'registration_closed');
    const client = new ApiClient(closed.url, owner.session);
    expectProblem(await client.post('/tenants', { name: 'Second' }), 'registration_closed');
    await closed.stop();
    await open.stop();
  });
});

describe('the rules of a tenant', () => {
  let service: TestService;
  let client: ApiClient;
  let session: SignedIn;

  beforeAll(async () => {
    service = await startService({ env: { TRUST_PROXY: '1' } });
  });
  afterAll(() => service.stop());
  beforeEach(async () => {
    client = await service.tenant();
    session = client.session as SignedIn;
    expect((await client.get('/orders')).status).toBe(200);
  });

  const rule = (change: string) =>
    service.database.sql(`update tenants set ${change} where id = $1`, [session.tenant.id]);
  const from = (address: string) => ({ 'x-forwarded-for': address });
  const within2s = (path: string, status: number, headers = {}) =>
    untilRevoked(`${path} is ${status}`, async () => (await client.get(path, headers)).status === status);

  it('shut out other networks on live sessions, and report it at sign-in', async () => {
    await rule(`allowed_cidrs = '{203.0.113.0/24}'`);
    await within2s('/orders', 403);
    expect((await client.get('/orders', from('203.0.113.7'))).status).toBe(200);
    const credentials = { email: session.user.email, password: PASSWORD };
    const refused = await service.client.post('/auth/login', credentials, from('198.51.100.1'));
    expect(refused.body).toMatchObject({ tenant: null, refused: { reason: 'network', tenant_id: session.tenant.id } });
    const account = new ApiClient(service.url, refused.body as SignedIn);
    const change = { tenant_id: session.tenant.id };
    expectProblem(await account.post('/auth/switch-tenant', change, from('198.51.100.1')), 'forbidden');
    expect((await account.post('/auth/switch-tenant', change, from('203.0.113.8'))).status).toBe(200);
  });

  it('end sessions that were idle for too long, or are too old', async () => {
    await service.database.sql(
      `update sessions set last_seen_at = now() - interval '6 minutes' where id = any
      (select id from sessions where tenant_id = $1)`,
      [session.tenant.id],
    );
    await rule('session_idle_minutes = 5');
    await within2s('/orders', 401);
    expectProblem(await service.client.post('/auth/refresh', { refresh_token: session.refresh_token }), 'unauthorized');
    client = await service.tenant();
    session = client.session as SignedIn;
    await service.database.sql(`update sessions set signed_in_at = now() - interval '2 days' where tenant_id = $1`, [
      session.tenant.id,
    ]);
    await rule('session_max_days = 1');
    await within2s('/orders', 401);
  });

  it('demand a second factor: such a session serves to add one, and nothing else', async () => {
    await rule(`second_factor = 'required', second_factor_since = now(), second_factor_grace_days = 1`);
    expect((await client.get('/orders')).status).toBe(200);
    await rule('second_factor_grace_days = 0');
    await within2s('/orders', 403);
    expectProblem(await client.get('/orders'), 'second_factor_enrolment_required');
    expectProblem(await client.patch('/auth/me', { name: 'x' }), 'second_factor_enrolment_required');
    for (const path of ['/auth/me', '/auth/tenants']) expect((await client.get(path)).status).toBe(200);
    expect((await client.post('/auth/step-up', { password: PASSWORD })).status).toBe(200);
  });

  it('close it: such a session serves the own account', async () => {
    await rule('closed_at = now()');
    await within2s('/orders', 403);
    expect((await client.get('/auth/tenants')).status).toBe(200);
    expect((await client.post('/tenants', { name: 'Next' })).status).toBe(201);
  });
});

describe('the pages behind links in mails', () => {
  let service: TestService;
  beforeAll(async () => {
    service = await startService();
  });
  afterAll(() => service.stop());

  it.each(Object.keys(MAIL_PAGES))('%s runs nothing but its own script, and sends no referrer', async (path) => {
    const page = await fetch(`${service.url}${path}`);
    expect(page.status).toBe(200);
    expect(page.headers.get('content-security-policy')).toMatch(/default-src 'none'.*frame-ancestors 'none'/);
    expect(page.headers.get('referrer-policy')).toBe('no-referrer');
    const html = await page.text();
    expect(html).not.toMatch(/<script>|<style>|\son\w+=|style="/);
    for (const [, file] of html.matchAll(/(?:src|href)="([^"]+)"/g)) {
      const asset = await fetch(new URL(file as string, `${service.url}${path}`));
      expect([file, asset.status]).toEqual([file, 200]);
    }
    const action = /data-action="([^"]+)"/.exec(html)?.[1] as string;
    expect(new URL(action, `${service.url}${path}`).pathname).toMatch(/^\/api\/v1\/auth\//);
  });
});

describe('keys of addresses', () => {
  it('are filled in for accounts of the release before, and collisions are found', async () => {
    const service = await startService();
    const [first, second] = [await service.tenant(), await service.tenant()];
    const ids = [first, second].map((client) => (client.session as SignedIn).user.id);
    const email = `jos\u00e9-${newEmail()}`;
    await service.database.sql('update users set email = $2, email_key = null where id = $1', [ids[0], email]);
    await service.database.sql('update users set email = $2, email_key = null where id = $1', [
      ids[1],
      email.normalize('NFD'),
    ]);
    // Until then they are found by the address itself.
    expect((await service.client.post('/auth/login', { email, password: PASSWORD })).status).toBe(200);
    const collisions = await service.app.get(EmailKeyBackfill, { strict: false }).run();
    expect(collisions).toEqual([ids.sort()[1]]);
    expect((await service.client.post('/auth/login', { email, password: PASSWORD })).status).toBe(200);
    await service.stop();
  });
});
