import { codeOf, stepAt } from '../../src/auth/totp/totp-code';
import { ApiClient, type SignedIn } from '../harness/client';
import { expectProblem } from '../harness/problems';
import { startService, type TestService } from '../harness/service';
import { keepSecret } from '../harness/suite-log';
import { addAuthenticator, fromBase32 } from '../harness/totp';
import { untilRevoked } from '../harness/until';

const PASSWORD = 'a password for tests';
describe('the second factor', () => {
  let service: TestService;
  let person: ApiClient;
  let secret: Buffer;
  let codes: string[];

  beforeAll(async () => {
    service = await startService();
  });
  afterAll(() => service.stop());

  /** The code of this moment, or so many steps from it. */
  const code = (drift = 0): string => codeOf(secret, stepAt(new Date()) + drift);
  const email = (): string => person.session?.user.email as string;
  const login = () => service.client.post('/auth/login', { email: email(), password: PASSWORD });
  const challenge = async (): Promise<string> => {
    const refused = await login();
    expect(refused.status).toBe(401);
    keepSecret(refused.body.challenge);
    return refused.body.challenge as string;
  };
  const complete = (given: object) => service.client.post('/auth/second-factor', given);
  /** Makes all steps so far count as unused, as time does. */
  const forgetSteps = () =>
    service.database.sql('update totp_factors set last_step = 0 where user_id = $1', [person.session?.user.id]);

  beforeEach(async () => {
    person = await service.tenant();
    const offer = await person.post('/auth/totp');
    expect(offer.status).toBe(201);
    expect(offer.body).toEqual({
      secret: expect.stringMatching(/^[A-Z2-7]{32}$/),
      otpauth_uri: expect.stringContaining('otpauth://totp/'),
      qr_svg: expect.stringContaining('<svg'),
    });
    secret = fromBase32(offer.body.secret);
    keepSecret(offer.body.secret);
    expect((await login()).status).toBe(200);
    const wrong = await person.post('/auth/totp/confirm', { code: '１２３４５６' });
    expect([wrong.status, wrong.body.errors?.[0]?.field]).toEqual([422, 'code']);
    const confirmed = await person.post('/auth/totp/confirm', { code: code() });
    expect(confirmed.status).toBe(200);
    codes = confirmed.body.recovery_codes as string[];
    expect(codes).toHaveLength(10);
    codes.forEach(keepSecret);
  });

  it('is required after the password, and makes the session one of two factors', async () => {
    const refused = await login();
    expect(refused.status).toBe(401);
    expect(refused.body).toMatchObject({ type: 'second_factor_required', methods: ['totp'], expires_in: 300 });
    keepSecret(refused.body.challenge);
    expect(refused.body).not.toHaveProperty('access_token');
    const signedIn = await complete({ challenge: refused.body.challenge, code: code(1) });
    expect(signedIn.status).toBe(200);
    const me = await service.client.withToken(signedIn.body.access_token).get('/auth/me');
    expect(me.body).toMatchObject({ second_factor: { enabled: true, methods: ['totp'] }, session: { acr: 'aal2' } });
    expect(me.body.session.amr).toEqual(expect.arrayContaining(['pwd', 'otp']));
  });

  it('takes no challenge as a credential, nor twice', async () => {
    const token = await challenge();
    expect((await service.client.withToken(token).get('/auth/me')).status).toBe(401);
    expect((await complete({ challenge: token, code: code(1) })).status).toBe(200);
    await forgetSteps();
    expect((await complete({ challenge: token, code: code() })).status).toBe(401);
    expect((await complete({ challenge: `${token.slice(0, -1)}x`, code: code() })).status).toBe(401);
  });

  it('takes no code twice: not that of the enrolment, nor one of twenty at once', async () => {
    expect((await complete({ challenge: await challenge(), code: code() })).status).toBe(401);
    const challenges: string[] = [];
    for (let at = 0; at < 20; at++) challenges.push(await challenge());
    const next = code(1);
    const responses = await Promise.all(challenges.map((token) => complete({ challenge: token, code: next })));
    expect(responses.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(responses.every(({ status }) => [200, 401, 429].includes(status))).toBe(true);
  });

  it('accepts one of twenty concurrent responses to a challenge', async () => {
    const token = await challenge();
    const responses = await Promise.all(
      Array.from({ length: 20 }, () => complete({ challenge: token, code: code(1) })),
    );
    expect(responses.filter(({ status }) => status === 200)).toHaveLength(1);
  });

  it('takes each recovery code once, of twenty at once too', async () => {
    const challenges: string[] = [];
    for (let at = 0; at < 20; at++) challenges.push(await challenge());
    const spelled = codes[3]?.toLowerCase().replaceAll('-', ' ');
    const responses = await Promise.all(
      challenges.map((token) => complete({ challenge: token, recovery_code: spelled })),
    );
    expect(responses.filter(({ status }) => status === 200)).toHaveLength(1);
    const [row] = await service.database.sql<{ used: number }>(
      'select count(*) filter (where used_at is not null)::int as used from recovery_codes where user_id = $1',
      [person.session?.user.id],
    );
    expect(row).toEqual({ used: 1 });
  });

  it('is paused after wrong codes over many challenges', async () => {
    const statuses: number[] = [];
    for (let at = 0; at < 10; at++) {
      const refused = await login();
      if (refused.status === 429) {
        statuses.push(429);
        break;
      }
      keepSecret(refused.body.challenge);
      statuses.push((await complete({ challenge: refused.body.challenge, code: '000000' })).status);
    }
    expect(statuses.at(-1)).toBe(429);
    expect(statuses.length).toBeLessThanOrEqual(8);
  });

  it('renews the recovery codes after a step-up, and the old ones are dead', async () => {
    expect((await person.post('/auth/recovery-codes')).status).toBe(401);
    const stepped = await person.post('/auth/step-up', { code: code(1) });
    expect(stepped.status).toBe(200);
    const fresh = person.withToken(stepped.body.access_token as string);
    const renewed = await fresh.post('/auth/recovery-codes');
    expect(renewed.status).toBe(201);
    (renewed.body.recovery_codes as string[]).forEach(keepSecret);
    expect((await complete({ challenge: await challenge(), recovery_code: codes[0] })).status).toBe(401);
    expect(
      (await complete({ challenge: await challenge(), recovery_code: renewed.body.recovery_codes[0] })).status,
    ).toBe(200);
  });

  it('goes with its recovery codes, and is no longer required', async () => {
    const stepped = await person.post('/auth/step-up', { code: code(1) });
    const fresh = person.withToken(stepped.body.access_token as string);
    const waiting = await challenge();
    expect((await fresh.post('/auth/totp')).status).toBe(409);
    expect((await fresh.delete('/auth/totp')).status).toBe(204);
    expect((await complete({ challenge: waiting, recovery_code: codes[0] })).status).toBe(401);
    expect((await login()).status).toBe(200);
    const log = await fresh.get('/audit-log?target_type=user');
    expect(log.body.data.map((entry: { action: string }) => entry.action)).toEqual(
      expect.arrayContaining(['totp.enabled', 'totp.disabled']),
    );
  });

  it('raises a session that may only add one, and no other session', async () => {
    const newcomer = await service.tenant();
    const { id: userId, email: address } = newcomer.session?.user as { id: string; email: string };
    await service.database.sql(
      `update tenants set second_factor = 'required', second_factor_since = now() - interval '1 day' where id = $1`,
      [newcomer.tenantId],
    );
    const other = await service.client.post('/auth/login', { email: address, password: PASSWORD });
    const second = new ApiClient(service.url, other.body as SignedIn);
    for (const one of [newcomer, second]) {
      await untilRevoked('only adding a factor is left', async () => (await one.get('/orders')).status === 403);
      expectProblem(await one.get('/orders'), 'second_factor_enrolment_required');
    }
    await addAuthenticator(service, newcomer);
    await untilRevoked('the session is a full one', async () => (await newcomer.get('/orders')).status === 200);
    expect((await newcomer.get('/auth/me')).body.session).toMatchObject({ acr: 'aal2' });
    // The other session has a factor to use now, and none that it has used.
    await untilRevoked('the other has to step up', async () => (await second.get('/orders')).status === 401);
    expectProblem(await second.get('/orders'), 'insufficient_user_authentication');
    const acr = await service.database.sql('select acr from sessions where user_id = $1 order by acr', [userId]);
    expect(acr).toEqual([{ acr: 'aal1' }, { acr: 'aal2' }]);
  });

  it('stays where any tenant of the person demands one, and may go where none does', async () => {
    const authenticated = async () => {
      const { challenge: given } = (await login()).body as { challenge: string };
      keepSecret(given);
      await forgetSteps();
      const signedIn = await complete({ challenge: given, code: code() });
      expect(signedIn.status).toBe(200);
      return person.withToken((signedIn.body as SignedIn).access_token);
    };
    const elsewhere = await service.tenant();
    await service.database.sql(
      `insert into memberships (tenant_id, user_id, role, created_at, last_used_at) values ($1, $2, 'viewer', now(), now() - interval '1 day')`,
      [elsewhere.tenantId, person.session?.user.id],
    );
    const demand = (tenantId: string, rule: string) =>
      service.database.sql('update tenants set second_factor = $2 where id = $1', [tenantId, rule]);
    for (const tenantId of [person.tenantId, elsewhere.tenantId]) {
      await demand(tenantId, 'required');
      expectProblem(await (await authenticated()).delete('/auth/totp'), 'business_rule_violation');
      await demand(tenantId, 'optional');
    }
    expect((await (await authenticated()).delete('/auth/totp')).status).toBe(204);
    expect((await login()).status).toBe(200);
  });

  it('keeps neither secret nor code in clear', async () => {
    const kept = JSON.stringify([
      await service.database.sql('select * from totp_factors'),
      await service.database.sql('select * from recovery_codes'),
      await service.database.sql('select * from second_factor_challenges'),
      await service.database.sql('select * from audit_log'),
    ]);
    for (const clear of [
      secret.toString('base64'),
      ...codes,
      ...codes.map((one) => one.slice(2).replaceAll('-', '')),
    ]) {
      expect(kept).not.toContain(clear);
    }
  });
});
