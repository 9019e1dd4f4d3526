import { randomBytes, randomUUID } from 'node:crypto';
import type { ApiResponse, ApiClient } from '../harness/client';
import { createTestDatabase, type TestDatabase } from '../harness/databases';
import { tokenTo } from '../harness/mails';
import { newEmail, startService, type TestService } from '../harness/service';
import { compareTimes, type Round, shuffled } from '../harness/timing';

const PASSWORD = 'a password for tests';
const ROUNDS = 16;
/** Of 32 comparisons of equal times, fewer than one in ten thousand ends this far from a half. */
const MOST_OFF = 0.36;

const unknownToken = (kind: string): string =>
  `${kind}_${randomUUID().replaceAll('-', '')}_${randomBytes(32).toString('base64url')}`;

/** Responses, headers and times do not tell whether an account, an invitation or a token exists. */
describe('a caller without a credential cannot find out', () => {
  let service: TestService;
  let database: TestDatabase;
  let owner: ApiClient;

  beforeAll(async () => {
    const env = { REGISTRATION: 'open', MAIL_DIRECTORY: '/nowhere', RATE_LIMIT_SIGN_IN_FREE: '1000' };
    database = await createTestDatabase();
    const open = await startService({ database, env });
    owner = await open.tenant();
    await open.stop();
    service = await startService({ database, env: { ...env, REGISTRATION: 'verified' } });
  });
  afterAll(async () => {
    await service.stop();
    await database.drop();
  });

  const email = (): string => owner.session?.user.email as string;

  /** The visible part of a response, without values of this request alone. */
  function visible({ status, headers, body, text }: ApiResponse, subject: string): unknown {
    const shown = Object.fromEntries([...headers].filter(([name]) => !/^(date|x-request-id|ratelimit)$/.test(name)));
    const said = (body ?? text) as Record<string, unknown>;
    const { request_id: _id, ...rest } = typeof said === 'object' ? said : { text: said };
    return JSON.parse(JSON.stringify({ status, shown, rest }).replaceAll(subject, 'SUBJECT'));
  }

  /** Asks for a known and two unknown subjects, each round in another order. */
  async function compare(known: () => string, unknown: () => string, ask: (subject: string) => Promise<ApiResponse>) {
    const rounds: Round[] = [];
    const seen = new Set<string>();
    for (let round = 0; round < ROUNDS; round++) {
      const times = [0, 0, 0];
      for (const which of shuffled([0, 1, 2])) {
        const subject = which === 0 ? known() : unknown();
        const before = performance.now();
        const response = await ask(subject);
        times[which] = performance.now() - before;
        seen.add(JSON.stringify(visible(response, subject)));
      }
      rounds.push(times as unknown as Round);
    }
    return { seen: [...seen], ...compareTimes(rounds) };
  }

  async function expectEqual(...args: Parameters<typeof compare>): Promise<void> {
    let last;
    // If the machine is busy with other work for a moment, the measurement is repeated.
    for (let attempt = 0; attempt < 3; attempt++) {
      last = await compare(...args);
      expect(last.seen).toHaveLength(1);
      if (last.difference <= Math.max(MOST_OFF, last.control + 0.1)) return;
    }
    throw new Error(`the times differ: ${JSON.stringify(last)}`);
  }

  const post = (path: string, body: object) => service.client.post(path, body);

  it('by signing in', () =>
    expectEqual(email, newEmail, (subject) => post('/auth/login', { email: subject, password: 'not the password' })));

  it('by asking for a reset', () =>
    expectEqual(email, newEmail, (subject) => post('/auth/password/forgot', { email: subject })));

  it('by registering', () =>
    expectEqual(email, newEmail, (subject) =>
      post('/auth/register', { email: subject, password: PASSWORD, tenant_name: 'Acme' }),
    ));

  it('by asking for another verification', () =>
    expectEqual(email, newEmail, (subject) => post('/auth/verify-email/resend', { email: subject })));

  it('by a token of a mail: a spent one is as an unknown one', async () => {
    const pending = newEmail();
    await post('/auth/register', { email: pending, password: PASSWORD, tenant_name: 'Acme' });
    const spent = await tokenTo(service, pending, 'verify_email');
    const input = { password: PASSWORD, tenant_name: 'Acme' };
    expect((await post('/auth/verify-email', { token: spent, ...input })).status).toBe(200);
    for (const path of ['/auth/verify-email', '/auth/password/reset']) {
      await expectEqual(
        () => spent,
        () => unknownToken('ott'),
        (token) => post(path, path.endsWith('reset') ? { token, password: PASSWORD } : { token, ...input }),
      );
    }
  });

  it('by the token of an invitation, of a tenant that exists or not', async () => {
    const home = owner.tenantId.replaceAll('-', '');
    await expectEqual(
      () => `inv_${home}_${randomBytes(32).toString('base64url')}`,
      () => unknownToken('inv'),
      (token) => post('/auth/invitations/preview', { token }),
    );
  });

  it('where the measure would show it: a response that does not wait for its step is a difference', async () => {
    const { difference } = await compare(
      () => 'forgot',
      () => 'reset',
      (subject) =>
        subject === 'forgot'
          ? post('/auth/password/forgot', { email: newEmail() })
          : post('/auth/password/reset', { token: unknownToken('ott'), password: PASSWORD }),
    );
    expect(difference).toBeGreaterThan(MOST_OFF);
  });

  it('by the limits: waits of an account and allowances of mails are the same', async () => {
    const limited = await startService({
      database: service.database,
      env: { REGISTRATION: 'verified', MAIL_DIRECTORY: '/nowhere', RATE_LIMIT_SIGN_IN_FREE: '3' },
    });
    try {
      // Another network than the one that the account has signed in from, which counts apart.
      await service.database.sql('delete from known_networks');
      const asked = async (subject: string, path: string, body: object, count: number): Promise<unknown[]> => {
        const responses: unknown[] = [];
        for (let at = 0; at < count; at++) {
          const response = await limited.client.post(path, { email: subject, ...body });
          responses.push([visible(response, subject), response.headers.get('retry-after')]);
        }
        return responses;
      };
      for (const [path, body, count] of [
        ['/auth/login', { password: 'not the password' }, 6],
        ['/auth/password/forgot', {}, 8],
        ['/auth/verify-email/resend', {}, 8],
        ['/auth/register', { password: PASSWORD, tenant_name: 'Acme' }, 8],
      ] as const) {
        const known = await asked(email(), path, body, count);
        expect(known).toEqual(await asked(newEmail(), path, body, count));
        if (path === '/auth/login') expect(JSON.stringify(known)).toContain('rate_limited');
      }
    } finally {
      await limited.stop();
    }
  });
});
