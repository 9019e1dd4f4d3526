import { createHash } from 'node:crypto';
import { emailKey } from '../../src/platform/net/email-key';
import { type ApiClient, type ApiResponse } from '../harness/client';
import { createTestDatabase, type TestDatabase } from '../harness/databases';
import { expectProblem } from '../harness/problems';
import { newEmail, startService, type TestService } from '../harness/service';

const PASSWORD = 'a password for tests';
let addresses = 0;

/** The limits of failed sign-ins, with their defaults, on two processes' worth of service. */
describe('failed sign-ins', () => {
  let database: TestDatabase;
  let service: TestService;
  let second: TestService;

  beforeAll(async () => {
    database = await createTestDatabase();
    const env = { TRUST_PROXY: 'true', RATE_LIMIT_SIGN_IN_FREE: '10', RATE_LIMIT_SIGN_IN_ADDRESS: '60' };
    [service, second] = await Promise.all([startService({ database, env }), startService({ database, env })]);
  });
  afterAll(async () => {
    await Promise.all([service.stop(), second.stop()]);
    await database.drop();
  });

  const newAddress = () => `198.51.${Math.floor(addresses / 250)}.${addresses++ % 250}`;

  function signIn(
    email: string,
    password: string,
    address = newAddress(),
    at: TestService = service,
  ): Promise<ApiResponse> {
    return at.client.post('/auth/login', { email, password }, { 'x-forwarded-for': address });
  }
  const guess = (email: string, address?: string, at?: TestService) => signIn(email, 'a wrong guess', address, at);

  function statuses(responses: ApiResponse[]): Record<number, number> {
    const counts: Record<number, number> = {};
    for (const { status } of responses) counts[status] = (counts[status] ?? 0) + 1;
    return counts;
  }

  function retryAfter(response: ApiResponse): number {
    expectProblem(response, 'rate_limited');
    return Number(response.headers.get('retry-after'));
  }

  async function account(): Promise<string> {
    const client: ApiClient = await service.tenant();
    return client.session?.user.email as string;
  }

  const keyOf = (kind: string, value: string) =>
    `${kind}:${createHash('sha256').update(value.toLowerCase()).digest('hex')}`;

  interface Counter extends Record<string, unknown> {
    failures: number;
    blocked_until: Date | null;
  }

  async function counter(kind: string, value: string): Promise<Counter | undefined> {
    const [row] = await database.sql<Counter>('select failures, blocked_until from sign_in_failures where key = $1', [
      keyOf(kind, value),
    ]);
    return row;
  }

  /** Simulates this number of failures, without an active pause or with one of this length. */
  function pretend(email: string, failures: number, pauseSeconds?: number): Promise<unknown> {
    return database.sql(
      `insert into sign_in_failures (key, failures, window_started_at, expires_at, blocked_until)
       values ($1, $2, now(), now() + interval '1 day', now() + $3 * interval '1 second')
       on conflict (key) do update set failures = excluded.failures, blocked_until = excluded.blocked_until`,
      [keyOf('account', email), failures, pauseSeconds ?? null],
    );
  }

  describe.each([
    ['of an account', account],
    ['of an unknown address', async () => newEmail()],
  ])('%s', (_, newAccount) => {
    it('are free ten times, then followed by a pause', async () => {
      const email = await newAccount();
      const responses = [];
      for (let at = 0; at < 9; at++) responses.push(await guess(email));
      expect(await counter('account', email)).toEqual({ failures: 9, blocked_until: null });
      const before = Date.now();
      responses.push(await guess(email));
      expect(statuses(responses)).toEqual({ 401: 10 });
      const pause = (await counter('account', email))?.blocked_until?.getTime() ?? 0;
      expect(pause).toBeGreaterThanOrEqual(before + 1_000);
      expect(pause).toBeLessThanOrEqual(Date.now() + 1_000);
    });

    it('are refused while the pause lasts, and not counted', async () => {
      const email = await newAccount();
      await pretend(email, 10, 20);
      const wait = retryAfter(await guess(email));
      expect(wait).toBeGreaterThan(10);
      expect(wait).toBeLessThanOrEqual(20);
      expect((await counter('account', email))?.failures).toBe(10);
    });

    it('are not more when they are sent at once, to two processes', async () => {
      const email = await newAccount();
      const begun = Date.now();
      const responses = await Promise.all(
        Array.from({ length: 30 }, (__, at) => guess(email, undefined, at % 2 ? service : second)),
      );
      const seconds = (Date.now() - begun) / 1000;
      const counts = statuses(responses);
      expect((counts[401] ?? 0) + (counts[429] ?? 0)).toBe(30);
      expect(counts[401]).toBeGreaterThanOrEqual(10);
      // One second after the tenth an eleventh is free, two seconds after that another.
      expect(counts[401]).toBeLessThanOrEqual(10 + Math.floor(Math.log2(1 + seconds)));
    });
  });

  it.each([
    [10, 2],
    [11, 4],
    [12, 8],
    [19, 900],
    [60, 900],
  ])(
    'are followed by a pause that doubles, up to a quarter of an hour (after %i failures: %i s)',
    async (failures, pause) => {
      const email = newEmail();
      await pretend(email, failures);
      const before = Date.now();
      expect((await guess(email)).status).toBe(401);
      const after = await counter('account', email);
      expect(after?.failures).toBe(failures + 1);
      const until = after?.blocked_until?.getTime() ?? 0;
      expect(until).toBeGreaterThanOrEqual(before + pause * 1_000);
      expect(until).toBeLessThanOrEqual(Date.now() + pause * 1_000);
    },
  );

  it('are counted for the account in any case of its address', async () => {
    const email = newEmail();
    await pretend(email, 10, 60);
    expect(statuses([await guess(email.toUpperCase()), await guess(email.replace('person', 'PerSon'))])).toEqual({
      429: 2,
    });
  });

  it('are forgotten after a day', async () => {
    const email = newEmail();
    await pretend(email, 40, 600);
    await database.sql(`update sign_in_failures set expires_at = now() - interval '1 millisecond' where key = $1`, [
      keyOf('account', email),
    ]);
    expect((await guess(email)).status).toBe(401);
    expect(await counter('account', email)).toEqual({ failures: 1, blocked_until: null });
  });

  it('make the right password wait as well, and are forgotten once it has come', async () => {
    const email = await account();
    await pretend(email, 12, 60);
    retryAfter(await signIn(email, PASSWORD));
    await pretend(email, 12);
    expect((await signIn(email, PASSWORD)).status).toBe(200);
    expect(await counter('account', email)).toBeUndefined();
  });

  it('count by the key of the address, and not by the case folding of PostgreSQL', async () => {
    const email = newEmail();
    const spellings = [
      email,
      email.toUpperCase(),
      email.replaceAll('i', 'İ'),
      email.replaceAll('k', '\u212a'),
      email.replaceAll('s', 'ſ'),
    ];
    const [before] = await database.sql<{ count: number }>(
      `select count(*)::int from sign_in_failures where key like 'account:%'`,
    );
    for (const spelling of spellings) expect((await guess(spelling)).status).toBe(401);
    const [after] = await database.sql<{ count: number }>(
      `select count(*)::int from sign_in_failures where key like 'account:%'`,
    );
    expect((after?.count ?? 0) - (before?.count ?? 0)).toBe(new Set(spellings.map(emailKey)).size);
  });

  it('of strangers lock no person out of an account, from a network that it has signed in from', async () => {
    const email = await account();
    const known = newAddress();
    expect((await signIn(email, PASSWORD, known)).status).toBe(200);
    await pretend(email, 500, 900);
    retryAfter(await guess(email));
    expect((await signIn(email, PASSWORD, known)).status).toBe(200);
    // Guesses from there have the same waits.
    for (let at = 0; at < 10; at++) expect((await guess(email, known)).status).toBe(401);
    retryAfter(await signIn(email, PASSWORD, known));
  });

  it('are none where twenty right passwords come at once, to two processes', async () => {
    const email = await account();
    const responses = await Promise.all(
      Array.from({ length: 20 }, (__, at) => signIn(email, PASSWORD, undefined, at % 2 ? service : second)),
    );
    expect(statuses(responses)).toEqual({ 200: 20 });
    expect(new Set(responses.map((response) => response.body.refresh_token)).size).toBe(20);
  });

  it('do not count successful sign-ins against the address', async () => {
    const [email, address] = [await account(), newAddress()];
    const responses = await Promise.all(Array.from({ length: 12 }, () => signIn(email, PASSWORD, address)));
    expect(statuses(responses)).toEqual({ 200: 12 });
    expect((await counter('address', address))?.failures).toBe(0);
  });

  it('of one address are limited to sixty in a quarter of an hour over two processes, for any accounts', async () => {
    const address = newAddress();
    const responses = await Promise.all(
      Array.from({ length: 80 }, (__, at) => guess(newEmail(), address, at % 2 ? service : second)),
    );
    expect(statuses(responses)).toEqual({ 401: 60, 429: 20 });
    const email = await account();
    const wait = retryAfter(await signIn(email, PASSWORD, address));
    expect(wait).toBeGreaterThan(800);
    expect(wait).toBeLessThanOrEqual(900);
    // The account did not count a refusal for its address.
    expect(await counter('account', email)).toBeUndefined();
    expect((await signIn(await account(), PASSWORD, newAddress())).status).toBe(200);
  });

  it('count the addresses of one IPv6 network together', async () => {
    for (const at of ['::1', ':a:b:c:d', ':ffff:ffff:ffff:ffff']) await guess(newEmail(), `2001:db8:7:8${at}`);
    await guess(newEmail(), '2001:db8:7:9::1');
    expect((await counter('address', '2001:db8:7:8::/64'))?.failures).toBe(3);
    expect((await counter('address', '2001:db8:7:9::/64'))?.failures).toBe(1);
  });

  it('leave neither an e-mail address nor a network address in the table', async () => {
    const [email, address] = [newEmail(), newAddress()];
    await guess(email, address);
    const rows = await database.sql<{ key: string }>('select key from sign_in_failures');
    expect(rows.length).toBeGreaterThan(0);
    expect(
      rows.filter(({ key }) => !/^(account|address|mails-hour|mails-day):[0-9a-f]{64}(:[0-9a-f]{64})?$/.test(key)),
    ).toEqual([]);
  });

  it('ignore times that were stored by a clock that was set back since', async () => {
    const [email, other, address] = [await account(), await account(), newAddress()];
    for (let tries = 0; tries < 11; tries++) await guess(email);
    for (let tries = 0; tries < 60; tries++) await guess(newEmail(), address);
    expect((await signIn(other, PASSWORD, address)).status).toBe(429);
    await database.sql(
      `update sign_in_failures set blocked_until = blocked_until + interval '2 hours', expires_at = expires_at + interval '2 hours'`,
    );
    expect((await signIn(email, PASSWORD)).status).toBe(200);
    expect((await signIn(other, PASSWORD, address)).status).toBe(200);
  });
});
