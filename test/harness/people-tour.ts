import type { ApiResponse, SignedIn } from './client';
import { ApiClient } from './client';
import { tokenTo } from './mails';
import { addMember, personOf } from './members';
import { newEmail, type TestService } from './service';
import { addAuthenticator } from './totp';

const PASSWORD = 'a password for tests';
const OTHER_PASSWORD = 'another password of tests';

/** The tour's requirements for its caller. */
export interface TourStops {
  /** Registration is open, and mails are written. */
  service: TestService;
  /** Another service on the same database, where registration waits for a proof of the mailbox. */
  verified: TestService;
  /** Wraps each client whose requests are checked. */
  wrap: (client: ApiClient) => ApiClient;
  /** Appends the recorded entries to the audit log's tree. */
  fold: (tenantId: string) => Promise<void>;
}

type Step = readonly [call: () => Promise<ApiResponse>, status: number];

async function expectAll(...steps: Step[]): Promise<ApiResponse[]> {
  const responses: ApiResponse[] = [];
  for (const [call, status] of steps) {
    const response = await call();
    expect([call.toString(), response.status, response.text]).toEqual([call.toString(), status, response.text]);
    responses.push(response);
  }
  return responses;
}

/**
 * Calls every operation of people, roles, keys, the tenant and its log with success, each at least once, and the most
 * common refusals. The conformance test checks the responses, the test of the audit log their entries there.
 */
export async function peopleTour(stops: TourStops): Promise<void> {
  await registration(stops);
  await ownAccount(stops);
  await mailboxes(stops);
  await secondFactor(stops);
  await severalTenants(stops);
  await members(stops);
  await keys(stops);
  await company(stops);
  await auditLog(stops);
}

const signedIn = (service: TestService, response: ApiResponse): ApiClient =>
  new ApiClient(service.url, response.body as SignedIn);

async function registration({ service, verified, wrap }: TourStops): Promise<void> {
  const anonymous = wrap(verified.client);
  const email = newEmail();
  const input = { email, password: PASSWORD, tenant_name: 'Toured' };
  await expectAll([() => anonymous.post('/auth/register', input), 202]);
  const token = await tokenTo(verified, email, 'verify_email');
  await expectAll(
    [() => anonymous.post('/auth/verify-email', { token, password: PASSWORD, tenant_name: 'Toured' }), 200],
    [() => anonymous.post('/auth/verify-email', { token, password: PASSWORD, tenant_name: 'Toured' }), 422],
    [() => anonymous.post('/auth/login', { email, password: PASSWORD }), 200],
    [() => anonymous.post('/auth/login', { email, password: 'a wrong password' }), 401],
  );
  const open = wrap(service.client);
  const registered = { email: newEmail(), password: PASSWORD, tenant_name: 'Open' };
  await expectAll(
    [() => open.post('/auth/register', registered), 201],
    [() => open.post('/auth/verify-email/resend', { email: registered.email }), 202],
  );
  const verification = await tokenTo(service, registered.email, 'verify_email');
  await expectAll([() => open.post('/auth/verify-email', { token: verification, password: PASSWORD }), 200]);
}

async function ownAccount({ service, wrap }: TourStops): Promise<void> {
  const person = await service.tenant();
  const { email } = (person.session as SignedIn).user;
  // Else the reset would be a claim, after which the person has no tenant.
  await person.post('/auth/verify-email', { token: await tokenTo(service, email, 'verify_email') });
  const me = wrap(person);
  const anonymous = wrap(service.client);
  const others = [await anonymous.post('/auth/login', { email, password: PASSWORD })];
  others.push(await anonymous.post('/auth/login', { email, password: PASSWORD }));
  const refreshed = await anonymous.post('/auth/refresh', { refresh_token: others[0]?.body.refresh_token });
  await expectAll(
    [() => Promise.resolve(refreshed), 200],
    [() => me.get('/auth/me'), 200],
    [() => me.patch('/auth/me', { name: 'Ada' }), 200],
    [() => me.get('/auth/sessions?limit=2'), 200],
    [() => me.get('/auth/me/export'), 200],
    [() => me.post('/auth/step-up/options'), 200],
  );
  const { data } = (await me.get('/auth/sessions')).body;
  const other = (data as { id: string; current: boolean }[]).find(({ current }) => !current);
  await expectAll(
    [() => me.delete(`/auth/sessions/${other?.id}`), 204],
    [() => me.delete(`/auth/sessions/${other?.id}`), 404],
    [() => me.delete('/auth/sessions'), 204],
    [() => me.post('/auth/password', { current_password: PASSWORD, new_password: OTHER_PASSWORD }), 204],
    [() => me.post('/auth/password', { current_password: PASSWORD, new_password: 'x' }), 422],
    [() => anonymous.post('/auth/password/forgot', { email }), 202],
  );
  const token = await tokenTo(service, email, 'reset_password');
  await expectAll(
    [() => anonymous.post('/auth/password/reset', { token, password: PASSWORD }), 204],
    [() => anonymous.post('/auth/password/reset', { token, password: PASSWORD }), 422],
  );
  const again = await anonymous.post('/auth/login', { email, password: PASSWORD });
  const stepped = wrap(signedIn(service, again));
  const [fresh] = await expectAll([() => stepped.post('/auth/step-up', { password: PASSWORD }), 200]);
  await expectAll([() => anonymous.post('/auth/logout', { refresh_token: fresh?.body.refresh_token }), 204]);
}

async function mailboxes({ service, wrap }: TourStops): Promise<void> {
  const email = newEmail();
  const registered = await service.client.post('/auth/register', { email, password: PASSWORD, tenant_name: 'Moving' });
  const person = signedIn(service, registered);
  await person.post('/auth/verify-email', { token: await tokenTo(service, email, 'verify_email') });
  const me = wrap(person);
  const next = newEmail();
  await expectAll([() => me.post('/auth/email', { email: next }), 202]);
  const confirm = await tokenTo(service, next, 'confirm_email');
  await expectAll([() => me.post('/auth/email/confirm', { token: confirm }), 200]);
  const undo = await tokenTo(service, email, 'undo_email');
  await expectAll(
    [() => wrap(service.client).post('/auth/email/undo', { token: undo }), 204],
    [() => wrap(service.client).post('/auth/email/undo', { token: undo }), 422],
  );
}

async function secondFactor({ service, wrap }: TourStops): Promise<void> {
  const person = await service.tenant();
  const { email } = (person.session as SignedIn).user;
  const app = await addAuthenticator(service, wrap(person));
  const anonymous = wrap(service.client);
  const challenged = await anonymous.post('/auth/login', { email, password: PASSWORD });
  expect(challenged.status).toBe(401);
  const { challenge } = challenged.body;
  await expectAll([() => anonymous.post('/auth/second-factor', { challenge, code: '000000' }), 401]);
  const code = await app.code();
  const [complete] = await expectAll([() => anonymous.post('/auth/second-factor', { challenge, code }), 200]);
  const strong = wrap(signedIn(service, complete as ApiResponse));
  await expectAll(
    [() => strong.post('/auth/recovery-codes'), 201],
    [() => strong.delete('/auth/totp'), 204],
    [() => strong.delete('/auth/totp'), 404],
  );
}

async function severalTenants({ service, wrap }: TourStops): Promise<void> {
  const owner = await service.tenant();
  const person = await addMember(service, owner, 'viewer');
  const me = wrap(person);
  await expectAll(
    [() => me.get('/auth/tenants?limit=1'), 200],
    [() => me.post('/auth/switch-tenant', { tenant_id: owner.tenantId }), 200],
    [() => me.post('/tenants', { name: 'New' }), 201],
  );
  const unconfirm = (tenantId: string) =>
    service.database.sql(`update memberships set status = 'unconfirmed' where user_id = $1 and tenant_id = $2`, [
      personOf(person),
      tenantId,
    ]);
  // A session without a tenant, since those of an unconfirmed membership do not count.
  await unconfirm(owner.tenantId);
  const login = await service.client.post('/auth/login', {
    email: person.session?.user.email,
    password: PASSWORD,
  });
  const elsewhere = wrap(signedIn(service, login));
  await expectAll(
    [() => elsewhere.get('/auth/tenants'), 200],
    [() => elsewhere.post(`/auth/tenants/${owner.tenantId}/confirm`), 204],
    [() => elsewhere.post(`/auth/tenants/${owner.tenantId}/confirm`), 409],
  );
  await unconfirm(owner.tenantId);
  await expectAll(
    [() => elsewhere.post(`/auth/tenants/${owner.tenantId}/decline`), 204],
    [() => elsewhere.post(`/auth/tenants/${owner.tenantId}/decline`), 404],
  );
  const leaver = await addMember(service, owner, 'viewer');
  await service.database.sql('delete from memberships where user_id = $1 and role = $2', [personOf(leaver), 'owner']);
  await expectAll([() => wrap(leaver).delete('/auth/me'), 202]);
  const restoring = await service.client.post('/auth/login', {
    email: leaver.session?.user.email,
    password: PASSWORD,
  });
  await expectAll([() => wrap(signedIn(service, restoring)).post('/auth/me/restore'), 200]);
}

async function members({ service, wrap }: TourStops): Promise<void> {
  const owner = await service.tenant();
  const company = wrap(owner);
  const anonymous = wrap(service.client);
  const email = newEmail();
  const [made] = await expectAll([() => company.post('/invitations', { email, role: 'member' }), 201]);
  const path = `/invitations/${made?.body.id}`;
  await expectAll(
    [() => company.post('/invitations', { email, role: 'member' }), 409],
    [() => company.post('/invitations', { email: 'x', role: 'y' }), 422],
    [() => company.get('/invitations'), 200],
    [() => company.get(path), 200],
    [() => company.post(`${path}/resend`), 202],
  );
  const token = await tokenTo(service, email, 'invitation');
  const accepting = { token, password: PASSWORD };
  const [, joined] = await expectAll(
    [() => anonymous.post('/auth/invitations/preview', { token }), 200],
    [() => anonymous.post('/auth/invitations/accept', accepting), 200],
    [() => anonymous.post('/auth/invitations/accept', accepting), 422],
    [() => anonymous.post('/auth/invitations/preview', { token }), 422],
  );
  const [withdrawn] = await expectAll([() => company.post('/invitations', { email: newEmail(), role: 'viewer' }), 201]);
  const member = `/members/${joined?.body.user.id}`;
  await expectAll(
    [() => company.delete(`/invitations/${withdrawn?.body.id}`), 204],
    [() => company.get('/members?limit=1'), 200],
    [() => company.get('/members?role=member&status=active&q=per'), 200],
    [() => company.get(member), 200],
    [() => company.patch(member, { role: 'nothing' }), 422],
    [() => company.patch(member, { role: 'viewer' }), 200],
    [() => company.post(`${member}/password-reset`), 202],
    [() => company.delete(`${member}/sessions`), 204],
    [() => company.post('/roles', { name: 'support', permissions: ['orders:read'] }), 201],
    [() => company.post('/roles', { name: 'support', permissions: ['orders:read'] }), 409],
    [() => company.get('/roles'), 200],
    [() => company.get('/roles/support'), 200],
    [() => company.patch('/roles/support', { description: 'd' }), 200],
    [() => company.delete('/roles/support', { 'if-match': '"999"' }), 412],
    [() => company.delete('/roles/support'), 204],
    [() => company.get('/roles/support'), 404],
    [() => company.delete(member), 204],
    [() => company.delete(member), 404],
    [() => company.delete(`/members/${personOf(owner)}`), 422],
  );
}

async function keys({ service, wrap }: TourStops): Promise<void> {
  const owner = await service.tenant();
  const company = wrap(owner);
  const input = { name: 'Key', kind: 'tenant', scopes: ['orders:read'], rate_limit: 50 };
  const [key] = await expectAll([() => company.post('/api-keys', input), 201]);
  const path = `/api-keys/${key?.body.id}`;
  await expectAll(
    [() => wrap(owner.withToken(key?.body.key as string)).get('/auth/me'), 200],
    [() => company.post('/api-keys', { ...input, scopes: [] }), 422],
    [() => company.get('/api-keys'), 200],
    [() => company.get(path), 200],
    [() => company.patch(path, { name: 'Other' }), 200],
    [() => company.post(`${path}/rotate`, { overlap_seconds: 60 }), 200],
    [() => company.post(`${path}/rotate`), 409],
    [() => company.delete(path), 204],
    [() => company.delete(path), 404],
  );
}

async function company({ service, wrap }: TourStops): Promise<void> {
  const owner = wrap(await service.tenant());
  await expectAll(
    [() => owner.get('/tenant'), 200],
    [() => owner.get('/tenant/usage'), 200],
    [() => owner.patch('/tenant', { name: 'Other', policies: { session_max_days: 30 } }), 200],
    [() => owner.patch('/tenant', { policies: { session_max_days: 0 } }), 422],
  );
  const [asked] = await expectAll([() => owner.post('/tenant/exports'), 202]);
  const path = `/tenant/exports/${asked?.body.id}`;
  await expectAll(
    [() => owner.get(path), 200],
    [() => owner.get(`${path}/archive`), 200],
    [() => owner.delete('/tenant'), 202],
    [() => owner.post('/tenant/restore'), 204],
  );
}

async function auditLog({ service, wrap, fold }: TourStops): Promise<void> {
  const plain = await service.tenant();
  const owner = wrap(plain);
  const [page] = await expectAll([() => owner.get('/audit-log?limit=1'), 200]);
  await fold(plain.tenantId);
  const { size } = (await owner.get('/audit-log/checkpoint')).body;
  await expectAll(
    [() => owner.get('/audit-log/export'), 200],
    [() => owner.get('/audit-log/export?format=csv'), 200],
    [() => owner.get('/audit-log/checkpoint'), 200],
    [() => owner.get(`/audit-log/consistency?from=1&to=${size}`), 200],
    [() => owner.get(`/audit-log/consistency?from=1&to=${size + 1}`), 422],
    [() => owner.get(`/audit-log/${page?.body.data[0].id}/proof?size=${size}`), 200],
    [() => owner.get('/audit-log?limit=0'), 422],
    [() => wrap(service.client).get('/.well-known/audit-keys.json'), 200],
  );
}
