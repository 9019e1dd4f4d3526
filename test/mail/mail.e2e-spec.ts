import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { simpleParser } from 'mailparser';
import { MailSender } from '../../src/mail/sending/mail-sender';
import { SignInDatabase } from '../../src/platform/database/roles/sign-in-database';
import { TenantDatabase } from '../../src/platform/database/tenant-database';
import { Mailer, type MailTemplates } from '../../src/platform/mail/mailer';
import { admin } from '../harness/admin';
import { createTestDatabase, type TestDatabase } from '../harness/databases';
import { type Envelope, MailServer } from '../harness/mail-server';
import { startService, type TestService } from '../harness/service';
import { until } from '../harness/until';
import { startWorker, type TestWorker } from '../harness/worker';
import { keepSecret } from '../harness/suite-log';

describe('mail', () => {
  const server = new MailServer();
  let service: TestService;
  let worker: TestWorker;
  let smtpUrl: string;

  beforeAll(async () => {
    smtpUrl = await server.start();
    const env = {
      REGISTRATION: 'open',
      SMTP_URL: smtpUrl,
      MAIL_FROM: 'Orders <orders@example.com>',
      APP_URL: 'https://app.example.com/',
    };
    service = await startService({ env });
    worker = await startWorker(service.database, env);
  });
  afterAll(async () => {
    await worker.stop();
    await service.stop();
    await server.stop();
  });
  beforeEach(async () => {
    server.refusal = undefined;
    server.received.length = 0;
    await service.database.sql('delete from mail_outbox');
  });

  const send = <T extends keyof MailTemplates>(template: T, data: MailTemplates[T], address = 'ada@example.com') =>
    service.app
      .get(SignInDatabase)
      .transaction({}, (tx) =>
        Promise.resolve(
          service.app.get(Mailer).send(tx, { to: { address, name: 'Ada, "L"\r\nBcc: x@y.z' }, template, data }),
        ),
      );
  const waiting = () =>
    service.database.sql<{ attempts: number; sealed: string; next_attempt_at: Date }>('select * from mail_outbox');
  const sender = () => worker.app.get(MailSender, { strict: false });

  it('is sent once the transaction has committed, to the one address, with a link to APP_URL', async () => {
    keepSecret('a-one-time-token');
    await send('reset_password', { token: 'a-one-time-token' });
    const [received] = await server.waitFor(1);
    expect(received).toMatchObject({ from: 'orders@example.com', to: ['ada@example.com'] });
    const { mail } = received as Envelope;
    expect(mail.subject).toBe('Reset your password');
    expect(mail.from?.value).toEqual([{ name: 'Orders', address: 'orders@example.com' }]);
    expect(mail.bcc).toBeUndefined();
    const link = 'https://app.example.com/reset-password#token=a-one-time-token';
    expect(mail.text).toContain(link);
    expect(mail.html).toContain(`href="${link}"`);
    expect(mail.messageId).toMatch(/^<[0-9a-f-]{36}@example\.com>$/);
    // The row is deleted after the server has accepted the mail.
    await until('the end of its row', async () => (await waiting()).length === 0);
  });

  it('is tried again and does not stop others where its key is missing', async () => {
    await service.database.sql(
      `insert into mail_outbox (tenant_id, id, template, sealed, created_at, next_attempt_at)
       values ('00000000-0000-0000-0000-000000000000', gen_random_uuid(), 'test', 'v1.gone.x.y', now(), now())`,
    );
    await send('test', { at: 'now' });
    await server.waitFor(1);
    await until('the mail to be postponed', async () => {
      const [mail] = await waiting();
      // A claim would keep it for two minutes.
      return mail?.attempts === 1 && mail.next_attempt_at.getTime() - Date.now() < 30_000;
    });
    expect(worker.logLines.join('')).toMatch(/"reason":"[^"]*key 'gone' that is not configured"/);
  });

  it('is not sent where the transaction is rolled back', async () => {
    const { tenantId } = await service.tenant();
    // The registration's own.
    await server.waitFor(1);
    server.received.length = 0;
    const failing = service.app.get(TenantDatabase).transaction({ tenantId }, (tx) => {
      service.app
        .get(Mailer)
        .send(tx, { to: { address: 'ada@example.com' }, template: 'test', data: { at: '' }, tenantId });
      return Promise.reject(new Error('no'));
    });
    await expect(failing).rejects.toThrow('no');
    await sender().run();
    expect(server.received).toEqual([]);
  });

  it('keeps its content encrypted while it waits', async () => {
    server.refusal = { code: 451, text: 'later' };
    await send('invitation', { token: 'another-token', tenantName: 'Acme', inviterName: 'Bob', role: 'viewer' });
    const [row] = await waiting();
    expect(row?.sealed).toMatch(/^v1\./);
    expect(JSON.stringify(row)).not.toMatch(/another-token|ada@example|Acme/);
  });

  it('is tried again where the server refuses it for now', async () => {
    server.refusal = { code: 451, text: 'greylisted' };
    await send('test', { at: '2026-01-31T12:00:00.000Z' });
    await sender().run(new Date(Date.now() + 1_000));
    const [row] = await waiting();
    expect(row).toMatchObject({ attempts: 1 });
    expect((row as { next_attempt_at: Date }).next_attempt_at.getTime()).toBeGreaterThan(Date.now() + 5_000);
    server.refusal = undefined;
    await sender().run(new Date(Date.now() + 60_000));
    await server.waitFor(1);
  });

  it('suppresses an address that bounced, until the operator allows it', async () => {
    server.refusal = { code: 550, text: 'no such mailbox' };
    await send('test', { at: '2026-01-31T12:00:00.000Z' }, 'nobody@example.com');
    await sender().run(new Date(Date.now() + 1_000));
    server.refusal = undefined;
    await send('test', { at: '2026-01-31T12:00:00.000Z' }, 'Nobody@example.com');
    await sender().run(new Date(Date.now() + 1_000));
    expect(server.received).toEqual([]);
    expect(await waiting()).toEqual([]);
    expect((await admin(service.database, ['mail', 'allow', 'nobody@example.com'])).lines).toEqual([
      'it was suppressed',
    ]);
    await send('test', { at: '2026-01-31T12:00:00.000Z' }, 'nobody@example.com');
    await server.waitFor(1);
  });

  it('is sent once where two workers try at once', async () => {
    const other = await startWorker(service.database, { SMTP_URL: smtpUrl });
    for (let at = 0; at < 10; at++) await send('test', { at: '2026-01-31T12:00:00.000Z' });
    const now = new Date(Date.now() + 1_000);
    await Promise.all([sender().run(now), other.app.get(MailSender, { strict: false }).run(now)]);
    await sender().run(now);
    expect(await server.waitFor(10)).toHaveLength(10);
    await other.stop();
  });

  it('makes no link and no markup of a chosen name', async () => {
    await send('invitation', {
      token: 't0ken-of-the-invitation',
      tenantName: '<b>evil.example</b>',
      inviterName: 'https://evil.example/x',
      role: 'viewer',
    });
    const [received] = await server.waitFor(1);
    const { html, text, subject } = (received as Envelope).mail;
    expect(html).not.toContain('<b>');
    for (const part of [String(html), String(text), String(subject)])
      expect(part).not.toMatch(/evil\.example|https:\/\/evil/);
    expect(String(html).match(/<a /g)).toHaveLength(1);
  });

  it('can be tried by the operator', async () => {
    const { lines } = await admin(service.database, ['mail', 'test', 'operator@example.com'], { SMTP_URL: smtpUrl });
    expect(lines[0]).toMatch(/^sent /);
    expect((await server.waitFor(1))[0]?.to).toEqual(['operator@example.com']);
    const refused = await admin(service.database, ['mail', 'test', 'operator@example.com'], {
      SMTP_URL: 'smtp://127.0.0.1:1',
    });
    expect(refused).toMatchObject({ failed: true, lines: [expect.stringContaining('not sent: ')] });
  });

  it('logs neither address nor token', () => {
    const log = worker.logLines.join('') + service.logLines.join('');
    expect(log).not.toMatch(/@example\.com|one-time-token/);
  });
});

describe('mail without a server', () => {
  let database: TestDatabase;
  let folder: string;

  beforeAll(async () => {
    database = await createTestDatabase();
    folder = mkdtempSync(join(tmpdir(), 'mail-'));
  });
  afterAll(async () => {
    await database.drop();
    rmSync(folder, { recursive: true });
  });

  it('is written to files, whole, with a text that can be read as it is', async () => {
    const env = { MAIL_DIRECTORY: join(folder, 'mail') };
    const service = await startService({ database, env });
    const worker = await startWorker(database, env);
    await service.app.get(SignInDatabase).transaction({}, (tx) => {
      const to = { address: 'ada@example.com', name: 'Ädä' };
      service.app.get(Mailer).send(tx, { to, template: 'verify_email', data: { token: 'a-token-for-a-file' } });
      return Promise.resolve();
    });
    await worker.app.get(MailSender, { strict: false }).run(new Date(Date.now() + 1_000));
    const [file] = readdirSync(env.MAIL_DIRECTORY);
    expect(file).toMatch(/\.eml$/);
    const eml = readFileSync(join(env.MAIL_DIRECTORY, file as string), 'utf8');
    expect(eml).toContain('\r\nhttp://localhost:3000/verify-email#token=a-token-for-a-file\r\n');
    const mail = await simpleParser(eml);
    expect(mail.to).toMatchObject({ value: [{ name: 'Ädä', address: 'ada@example.com' }] });
    expect(mail.html).toContain('<!doctype html>');
    await worker.stop();
    await service.stop();
  });

  it('is not sent without a configuration, and the worker warns', async () => {
    const service = await startService({ database });
    const worker = await startWorker(database);
    expect(service.app.get(Mailer).isConfigured).toBe(false);
    expect(worker.logLines.join('')).toContain('SMTP_URL is not set: no mail is sent');
    await worker.stop();
    await service.stop();
  });
});
