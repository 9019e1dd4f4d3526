import { BasicAuth } from './basic-auth';

const basic = (user: string, password: string) => `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
const RIGHT = basic('operator', 'correct: hörse');

describe('BasicAuth', () => {
  let now: number;
  let auth: BasicAuth;
  beforeEach(() => {
    now = 0;
    auth = new BasicAuth('operator', 'correct: hörse', 'queue', () => now);
  });

  it('lets the one user pass', () => {
    expect(auth.refusal(RIGHT, '192.0.2.1')).toBeUndefined();
    expect(auth.refusal(RIGHT.replace('Basic', 'bAsIc '), '192.0.2.1')).toBeUndefined();
  });

  it.each([
    undefined,
    '',
    'Basic',
    'Basic ',
    'Basic !!!!',
    'Bearer abc',
    basic('operator', ''),
    basic('operator', 'correct: hörs'),
    basic('operator', 'correct: hörse '),
    basic('Operator', 'correct: hörse'),
    basic('operator ', 'correct: hörse'),
    `${RIGHT}, ${RIGHT}`,
  ])('refuses %j', (authorization) =>
    expect(auth.refusal(authorization, '192.0.2.1')).toEqual({
      status: 401,
      headers: { 'www-authenticate': 'Basic realm="queue", charset="UTF-8"' },
    }),
  );

  it('delays a network after ten wrong passwords, for any request, and no other network', () => {
    const guess = (address: string) => auth.refusal(basic('operator', 'guess'), address)?.status;
    for (let i = 0; i < 10; i++) expect(guess(`2001:db8::${i}`)).toBe(401);
    expect(auth.refusal(RIGHT, '2001:db8::ffff')).toEqual({ status: 429, headers: { 'retry-after': '900' } });
    expect(auth.refusal(undefined, '2001:db8::ffff')?.status).toBe(429);
    expect(auth.refusal(RIGHT, '2001:db8:0:1::1')).toBeUndefined();
    now = 14 * 60_000;
    expect(auth.refusal(RIGHT, '2001:db8::1')).toEqual({ status: 429, headers: { 'retry-after': '60' } });
    now = 15 * 60_000;
    expect(auth.refusal(RIGHT, '2001:db8::1')).toBeUndefined();
  });

  it('does not count requests without a credential, with which every browser begins', () => {
    for (let i = 0; i < 100; i++) expect(auth.refusal(undefined, '192.0.2.1')?.status).toBe(401);
    expect(auth.refusal(RIGHT, '192.0.2.1')).toBeUndefined();
  });

  it('remembers a bounded number of networks', () => {
    for (let i = 0; i < 10_100; i++) auth.refusal(basic('operator', 'guess'), `10.0.${i >> 8}.${i & 255}`);
    expect((auth as unknown as { failures: Map<string, unknown> }).failures.size).toBe(10_000);
  });
});
