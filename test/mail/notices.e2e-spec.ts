import { KeyExpiry } from '../../src/api-keys/key-expiry';
import { MailSender } from '../../src/mail/sending/mail-sender';
import { Notices } from '../../src/mail/sending/notices';
import { TenantDatabase } from '../../src/platform/database/tenant-database';
import { Mailer } from '../../src/platform/mail/mailer';
import { EndpointDisabling } from '../../src/webhooks/endpoints/endpoint-disabling';
import type { ApiClient, SignedIn } from '../harness/client';
import { createEndpoint } from '../harness/endpoints';
import { MailServer } from '../harness/mail-server';
import { tokenTo } from '../harness/mails';
import { addMember, makeKey, personOf } from '../harness/members';
import { newEmail, startService, type TestService } from '../harness/service';
import { until } from '../harness/until';
import { startWorker, type TestWorker } from '../harness/worker';

const DAY_MS = 24 * 60 * 60 * 1000;

/** Each security event of a tenant, by the mails that arrive at a real server: recipients and content. */
describe('notices to the members of a tenant', () => {
  const server = new MailServer();
  let service: TestService;
  let worker: TestWorker;
  let owner: ApiClient;
  let admin: ApiClient;
  let member: ApiClient;

  beforeAll(async () => {
    const env = { REGISTRATION: 'open', SMTP_URL: await server.start(), APP_URL: 'https://app.example.com' };
    service = await startService({ env });
    worker = await startWorker(service.database, env);
    owner = await service.tenant('Acme <b>evil.example</b>');
    admin = await addMember(service, owner, 'admin');
    member = await addMember(service, owner, 'member');
    await settle();
  });
  afterAll(async () => {
    await worker.stop();
    await service.stop();
    await server.stop();
  });
  beforeEach(() => void (server.received.length = 0));

  const addressOf = (client: ApiClient): string => (client.session as SignedIn).user.email;
  const settle = () =>
    until(
      'all mails have left',
      async () => (await service.database.sql('select 1 from mail_outbox')).length === 0 || undefined,
    );
  /** The addresses that got a mail with this subject, once nothing waits any more. */
  const told = async (subject: RegExp): Promise<string[]> => {
    await settle();
    return server.received
      .filter(({ mail }) => subject.test(mail.subject ?? ''))
      .flatMap(({ to }) => to)
      .sort();
  };
  const addresses = (...clients: ApiClient[]): string[] => clients.map(addressOf).sort();
  const textOf = (subject: RegExp): string =>
    String(server.received.find(({ mail }) => subject.test(mail.subject ?? ''))?.mail.text);

  it('notify the managers of keys that a key of the tenant was made, and its person of a personal one', async () => {
    await makeKey(owner, { name: 'deploy.example' });
    expect(await told(/^An API key was made$/)).toEqual(addresses(owner, admin));
    // A joiner in the name keeps it from being a link.
    expect(textOf(/^An API key was made$/)).toContain('“deploy.\u2060example”');
    expect(textOf(/^An API key was made$/)).not.toContain('evil.example');
    server.received.length = 0;
    await makeKey(member, { kind: 'personal' });
    expect(await told(/^An API key was made$/)).toEqual(addresses(member));
  });

  it('announce a key that expires within a week, once, and again after its end has moved', async () => {
    const soon = new Date(Date.now() + 6 * DAY_MS).toISOString();
    const { key } = await makeKey(owner, { expires_at: soon });
    await makeKey(owner, { expires_at: new Date(Date.now() + 30 * DAY_MS).toISOString() });
    const personal = await makeKey(member, { kind: 'personal', expires_at: soon });
    const age = (days: number) =>
      service.database.sql('update api_keys set created_at = created_at - $1 * interval $$1 day$$', [days]);
    const expiry = worker.app.get(KeyExpiry, { strict: false });
    // Made for six days, they have half of their life before them.
    await expiry.run();
    expect(await told(/expires soon/)).toEqual([]);
    await age(7);
    await Promise.all([expiry.run(), expiry.run()]);
    await expiry.run();
    expect(await told(/expires soon/)).toEqual(addresses(owner, admin, member));
    server.received.length = 0;
    const later = new Date(Date.now() + 5 * DAY_MS).toISOString();
    expect((await owner.patch(`/api-keys/${key.id}`, { expires_at: later })).status).toBe(200);
    await expiry.run();
    expect(await told(/expires soon/)).toEqual(addresses(owner, admin));
    expect((await member.delete(`/api-keys/${personal.key.id}`)).status).toBe(204);
  });

  it('notify a member of a new role', async () => {
    const person = await addMember(service, owner, 'viewer');
    expect((await owner.patch(`/members/${personOf(person)}`, { role: 'member' })).status).toBe(200);
    expect(await told(/^Your role in /)).toEqual(addresses(person));
    expect(textOf(/^Your role in /)).toMatch(/You were viewer in .*, and are member now/);
    server.received.length = 0;
    expect((await owner.patch(`/members/${personOf(person)}`, { status: 'suspended' })).status).toBe(200);
    expect(await told(/^Your role in /)).toEqual([]);
    await service.database.sql('delete from memberships where user_id = $1 and tenant_id = $2', [
      personOf(person),
      owner.tenantId,
    ]);
  });

  it('notify the managers of members of each that joins, leaves or is removed', async () => {
    const email = newEmail();
    expect((await owner.post('/invitations', { email, role: 'viewer' })).status).toBe(201);
    const token = await tokenTo(service, email, 'invitation').catch(() => invitationOf(email));
    const joined = await service.client.post('/auth/invitations/accept', { token, password: 'a password for tests' });
    expect(joined.status).toBe(200);
    expect(await told(/^A member joined /)).toEqual(addresses(owner, admin));
    server.received.length = 0;

    expect((await owner.delete(`/members/${joined.body.user.id}`)).status).toBe(204);
    expect(await told(/^A member left /)).toEqual(addresses(owner, admin));
    expect(await told(/^You are no longer a member of /)).toEqual([email]);
    server.received.length = 0;

    const leaver = await addMember(service, owner, 'viewer');
    expect((await leaver.delete(`/members/${personOf(leaver)}`)).status).toBe(204);
    expect(await told(/^A member left /)).toEqual(addresses(owner, admin));
    expect(await told(/^You are no longer a member of /)).toEqual([]);
    server.received.length = 0;

    const erased = await addMember(service, owner, 'viewer');
    const own = await service.client.post('/auth/login', {
      email: addressOf(erased),
      password: 'a password for tests',
      tenant_id: owner.tenantId,
    });
    await service.database.sql('update memberships set role = $1 where user_id = $2', ['viewer', personOf(erased)]);
    const deleted = await erased.withToken(own.body.access_token as string).delete('/auth/me');
    expect(deleted.status).toBe(202);
    expect(await told(/^A member left Acme/)).toEqual(addresses(owner, admin));
  });

  /** The token of an invitation whose mail has already been sent. */
  async function invitationOf(email: string): Promise<string> {
    const mail = await until('the invitation arrived', () =>
      server.received.find(({ to, mail }) => to[0] === email && /^Invitation/.test(mail.subject ?? '')),
    );
    return /#token=([\w%-]+)/.exec(String(mail.mail.text))?.[1] as string;
  }

  it('notify all members with permission to write webhooks that an endpoint was disabled, by whatever role', async () => {
    expect((await owner.post('/roles', { name: 'hooks', permissions: ['webhooks:write'] })).status).toBe(201);
    const hooks = await addMember(service, owner, 'hooks');
    const { id } = await createEndpoint(owner, 'https://receiver.example.com/hook?key=a-key-in-the-query');
    await worker.app.get(EndpointDisabling, { strict: false }).disableGone(owner.tenantId, id);
    expect(await told(/^A webhook endpoint was disabled$/)).toEqual(addresses(owner, admin, hooks));
    const text = textOf(/^A webhook endpoint was disabled$/);
    expect(text).toContain('410 Gone');
    expect(text).not.toMatch(/a-key-in-the-query|https:\/\/receiver/);
    const [entry] = (await owner.get('/audit-log?action=webhook_endpoint.disabled')).body.data;
    expect(entry).toMatchObject({ actor: { type: 'system' }, target: { id }, changes: { enabled: [true, false] } });
  });

  it('notify the managers of a tenant that it was closed', async () => {
    const other = await service.tenant('Closing');
    await settle();
    server.received.length = 0;
    expect((await other.delete('/tenant')).status).toBe(202);
    expect(await told(/^Closing was closed$/)).toEqual(addresses(other));
  });

  it('are of one tenant alone, and not sent to former members', async () => {
    const stranger = await service.tenant('Other');
    const gone = await addMember(service, owner, 'viewer');
    await settle();
    server.received.length = 0;
    await makeKey(stranger);
    await service.app.get(TenantDatabase).transaction({ tenantId: owner.tenantId }, async (tx) => {
      const audience = { userId: personOf(gone) };
      const data = { keyName: 'Key', expiresAt: new Date().toISOString() };
      service.app.get(Mailer).notify(tx, { audience, template: 'api_key_expiring', data });
      await tx.query({
        name: 'test_member_delete',
        text: 'delete from memberships where tenant_id = $1 and user_id = $2',
        values: [owner.tenantId, personOf(gone)],
      });
    });
    expect(await told(/./)).toEqual(addresses(stranger));
  });

  it('wait for another time where the members cannot be read', async () => {
    const notices = worker.app.get(Notices, { strict: false });
    const expand = jest.spyOn(notices, 'expand').mockRejectedValueOnce(new Error('no members now'));
    await makeKey(owner);
    await until('it was tried', () => expand.mock.calls.length > 0);
    const [row] = await until('it was put off', async () => {
      const rows = await service.database.sql<{ next_attempt_at: Date }>('select next_attempt_at from mail_outbox');
      return (rows[0]?.next_attempt_at.getTime() ?? 0) < Date.now() + 60_000 && rows;
    });
    expect(row?.next_attempt_at.getTime()).toBeGreaterThan(Date.now() + 5_000);
    expect(server.received).toEqual([]);
    await worker.app.get(MailSender, { strict: false }).run(new Date(Date.now() + 60_000));
    expect(await told(/^An API key was made$/)).toEqual(addresses(owner, admin));
    expect(worker.logLines.join('')).toContain('no members now');
  });
});
