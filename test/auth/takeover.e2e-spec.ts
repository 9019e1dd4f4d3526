import { ApiClient, type ApiResponse, type SignedIn } from '../harness/client';
import { mailsTo, tokenTo } from '../harness/mails';
import { makeKey } from '../harness/members';
import { expectProblem } from '../harness/problems';
import { newEmail, startService, type TestService } from '../harness/service';
import { addAuthenticator, fromBase32 } from '../harness/totp';
import { codeOf, stepAt } from '../../src/auth/totp/totp-code';
import { until, untilRevoked } from '../harness/until';

const PASSWORD = 'a password for tests';
const OTHER = 'another password of tests';

/** A thief holds a live session of the person, and uses it to keep the account when the person defends it. */
describe('a thief with a session', () => {
  let service: TestService;
  let email: string;
  let thief: ApiClient;

  const clientOf = (signedIn: SignedIn) => new ApiClient(service.url, signedIn);
  const login = (password = PASSWORD): Promise<ApiResponse> => service.client.post('/auth/login', { email, password });
  const changeAddress = async (client: ApiClient, next: string): Promise<void> => {
    expect((await client.post('/auth/email', { email: next })).status).toBe(202);
    const token = await tokenTo(service, next, 'confirm_email');
    expect((await client.post('/auth/email/confirm', { token })).status).toBe(200);
  };
  const undo = async (address: string): Promise<ApiResponse> =>
    service.client.post('/auth/email/undo', { token: await tokenTo(service, address, 'undo_email') });
  const recover = async (): Promise<ApiResponse> => {
    const token = await tokenTo(service, email, 'reset_password');
    expect((await service.client.post('/auth/password/reset', { token, password: OTHER })).status).toBe(204);
    return login(OTHER);
  };

  beforeAll(async () => {
    service = await startService({ env: { MAIL_DIRECTORY: '/nowhere', RATE_LIMIT_SIGN_IN_FREE: '1000' } });
  });
  afterAll(() => service.stop());
  beforeEach(async () => {
    email = newEmail();
    const answer = await service.client.post('/auth/register', { email, password: PASSWORD, tenant_name: 'Acme' });
    thief = clientOf(answer.body as SignedIn);
    await thief.post('/auth/verify-email', { token: await tokenTo(service, email, 'verify_email') });
  });

  describe('after a change of the address', () => {
    it('twice, cannot undo the undo with the link that the first of the own addresses got', async () => {
      const [first, second] = [newEmail(), newEmail()];
      await changeAddress(thief, first);
      await changeAddress(thief, second);
      expect((await undo(email)).status).toBe(204);
      expectProblem(await undo(first), 'token_invalid');
      expect((await recover()).body.user.email).toBe(email);
    });

    it('twice, and undone the second change, leaves the first one to be undone', async () => {
      const [first, second] = [newEmail(), newEmail()];
      await changeAddress(thief, first);
      await changeAddress(thief, second);
      expect((await undo(first)).status).toBe(204);
      expect((await undo(email)).status).toBe(204);
      expect((await recover()).status).toBe(200);
    });

    it('keeps no second factor that was offered before the change and confirmed after it', async () => {
      const offer = await thief.post('/auth/totp');
      await changeAddress(thief, newEmail());
      const code = codeOf(fromBase32(offer.body.secret as string), stepAt(new Date()));
      expect((await thief.post('/auth/totp/confirm', { code })).status).toBe(200);
      expect((await undo(email)).status).toBe(204);
      expect((await recover()).status).toBe(200);
    });

    it('keeps no recovery code that was made since', async () => {
      const app = await addAuthenticator(service, thief);
      const stepped = await thief.post('/auth/step-up', { code: await app.code() });
      const strong = thief.withToken(stepped.body.access_token as string);
      await changeAddress(strong, newEmail());
      const renewed = await strong.post('/auth/recovery-codes');
      const [stolen] = renewed.body.recovery_codes as string[];
      expect((await undo(email)).status).toBe(204);
      const challenge = (await recover()).body.challenge as string;
      expectProblem(
        await service.client.post('/auth/second-factor', { challenge, recovery_code: stolen }),
        'unauthorized',
      );
      const own = await service.client.post('/auth/second-factor', { challenge, code: await app.code() });
      expect(own.status).toBe(200);
    });

    it('keeps no new text of a key that the person had, nor one of an own', async () => {
      const { key } = await makeKey(thief, { kind: 'personal' });
      await changeAddress(thief, newEmail());
      const rotated = await thief.post(`/api-keys/${key.id}/rotate`, { overlap_seconds: 60 });
      const made = await makeKey(thief, { kind: 'personal' });
      const texts = [rotated.body.key as string, made.key.key as string];
      for (const text of texts) expect((await thief.withToken(text).get('/orders')).status).toBe(200);
      expect((await undo(email)).status).toBe(204);
      await until(
        'the end of the keys',
        async () => {
          const answers = await Promise.all(texts.map((text) => thief.withToken(text).get('/orders')));
          return answers.every(({ status }) => status === 401);
        },
        2_000,
      );
    });
  });

  it('does not escape a revocation by switching in the moment before it arrives', async () => {
    const { tenantId } = thief;
    for (const way of ['password', 'sessions'] as const) {
      const person = clientOf((await login(way === 'password' ? PASSWORD : OTHER)).body as SignedIn);
      const stolen = clientOf((await login(way === 'password' ? PASSWORD : OTHER)).body as SignedIn);
      // Another process still takes the revoked token for up to two seconds: its state is known there.
      const other = await startService({ database: service.database, env: { MAIL_DIRECTORY: '/nowhere' } });
      const there = new ApiClient(other.url, stolen.session);
      expect((await there.get('/auth/me')).status).toBe(200);
      const ended =
        way === 'password'
          ? await person.post('/auth/password', { current_password: PASSWORD, new_password: OTHER })
          : await person.delete('/auth/sessions');
      expect(ended.status).toBe(204);
      const escapes = await Promise.all([
        there.post('/auth/switch-tenant', { tenant_id: tenantId }),
        there.post('/tenants', { name: 'Escaped' }),
      ]);
      for (const escaped of escapes) {
        if (escaped.body?.access_token === undefined) continue;
        await until(
          'the end of the escaped session',
          async () => (await clientOf(escaped.body as SignedIn).get('/auth/me')).status === 401,
          2_000,
        );
      }
      expect(escapes.map(({ status }) => status)).toEqual([401, 401]);
      await other.stop();
    }
  });

  it('does not finish a sign-in between its factors, whose password was replaced meanwhile', async () => {
    const app = await addAuthenticator(service, thief);
    const challenged = await login();
    expect(challenged.body.type).toBe('second_factor_required');
    await service.client.post('/auth/password/forgot', { email });
    const token = await tokenTo(service, email, 'reset_password');
    expect((await service.client.post('/auth/password/reset', { token, password: OTHER })).status).toBe(204);
    const { challenge } = challenged.body as { challenge: string };
    expectProblem(
      await service.client.post('/auth/second-factor', { challenge, code: await app.code() }),
      'unauthorized',
    );
  });

  it('does not sign in by a password that is reset while it is compared', async () => {
    await service.client.post('/auth/password/forgot', { email });
    const token = await tokenTo(service, email, 'reset_password');
    const attempts: Promise<ApiResponse>[] = [];
    let isReset = false;
    const attempting = (async () => {
      while (!isReset) {
        attempts.push(login());
        await new Promise((resolve) => setTimeout(resolve, 3));
      }
    })();
    expect((await service.client.post('/auth/password/reset', { token, password: OTHER })).status).toBe(204);
    isReset = true;
    await attempting;
    const answers = await Promise.all(attempts);
    const signedIn = answers.filter(({ status }) => status === 200);
    for (const { body } of signedIn) {
      await untilRevoked('its end', async () => (await clientOf(body as SignedIn).get('/auth/me')).status === 401);
    }
  });

  it('keeps no reset from the person by asking for resets all day', async () => {
    const reset = () => service.client.post('/auth/password/forgot', { email });
    for (let i = 0; i < 25; i++) expect((await reset()).status).toBe(202);
    const sent = async () => (await mailsTo(service, email)).filter(({ template }) => template === 'reset_password');
    expect(await sent()).toHaveLength(5);
    // The five mails are half an hour old; later requests sent no mail.
    await service.database.sql(
      `update one_time_tokens set created_at = created_at - interval '31 minutes', expires_at = expires_at - interval '31 minutes'
        where subject_id = $1 and token_hash in (
          select token_hash from one_time_tokens where subject_id = $1 and kind = 'reset' order by created_at limit 5)`,
      [thief.session?.user.id],
    );
    await reset();
    expect(await sent()).toHaveLength(6);
    await reset();
    expect(await sent()).toHaveLength(6);
    const token = await tokenTo(service, email, 'reset_password');
    expect((await service.client.post('/auth/password/reset', { token, password: OTHER })).status).toBe(204);
  });
});
