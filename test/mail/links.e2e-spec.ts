import { request } from 'node:http';
import type { SignedIn } from '../harness/client';
import { MailServer } from '../harness/mail-server';
import { newEmail, startService, type TestService } from '../harness/service';
import { until } from '../harness/until';
import { startWorker, type TestWorker } from '../harness/worker';

const PASSWORD = 'a password for tests';
/** The ways in which a caller can name the address of its request. */
const EVIL = {
  host: 'evil.example',
  'x-forwarded-host': 'evil.example',
  'x-forwarded-proto': 'http',
  'x-original-host': 'evil.example',
  forwarded: 'host=evil.example;proto=http',
  origin: 'https://evil.example',
  referer: 'https://evil.example/',
};

describe('the links of mails', () => {
  const server = new MailServer();
  let service: TestService;
  let worker: TestWorker;

  beforeAll(async () => {
    const env = {
      REGISTRATION: 'open',
      SMTP_URL: await server.start(),
      APP_URL: 'https://app.example.com',
      TRUST_PROXY: 'true',
    };
    service = await startService({ env });
    worker = await startWorker(service.database, env);
  });
  afterAll(async () => {
    await worker.stop();
    await service.stop();
    await server.stop();
  });

  const post = (path: string, body: object, token?: string): Promise<number> =>
    new Promise((resolve, reject) => {
      const headers = {
        ...EVIL,
        'content-type': 'application/json',
        ...(token ? { authorization: `Bearer ${token}` } : {}),
      };
      const sent = request(`${service.url}/api/v1${path}`, { method: 'POST', headers }, (response) => {
        response.resume().on('end', () => resolve(response.statusCode ?? 0));
      });
      sent.on('error', reject).end(JSON.stringify(body));
    });

  it('lead to APP_URL, whatever the Host of the request', async () => {
    const owner = await service.tenant();
    const { access_token: token, user } = owner.session as SignedIn;
    const [registered, invited, moved] = [newEmail(), newEmail(), newEmail()];
    expect([
      await post('/auth/register', { email: registered, password: PASSWORD, tenant_name: 'T' }),
      await post('/auth/password/forgot', { email: user.email }),
      await post('/auth/verify-email/resend', { email: registered }),
      await post('/invitations', { email: invited, role: 'viewer' }, token),
      await post('/auth/email', { email: moved }, token),
    ]).toEqual([201, 202, 202, 201, 202]);
    await until(
      'all mails have left',
      async () => (await service.database.sql('select 1 from mail_outbox')).length === 0,
    );
    const links = server.received.flatMap(({ mail }) => String(mail.text).match(/https?:\/\/\S+/g) ?? []);
    expect(new Set(links.map((link) => link.split('#', 1)[0]))).toEqual(
      new Set(
        ['verify-email', 'reset-password', 'accept-invitation', 'confirm-email'].map(
          (page) => `https://app.example.com/${page}`,
        ),
      ),
    );
    for (const { mail } of server.received) expect(`${mail.text}${String(mail.html)}`).not.toContain('evil');
  });
});
