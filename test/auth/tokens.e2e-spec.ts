import { createHmac, createSign, generateKeyPairSync, randomUUID } from 'node:crypto';
import { orderInput, type ApiResponse, type ApiClient, type SignedIn } from '../harness/client';
import { expectProblem } from '../harness/problems';
import { rawRequest } from '../harness/raw-http';
import { JWT_SECRET, startService, type TestService } from '../harness/service';
import { timeOf } from '../harness/timing';
import { until } from '../harness/until';

type Json = Record<string, unknown>;

const encode = (value: Json | string) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
const parse = (part: string | undefined) => JSON.parse(Buffer.from(part ?? '', 'base64url').toString()) as Json;

/** A token signed with HMAC, whatever its header contains. */
function sign(header: Json, claims: Json | string, key: string | Buffer = JWT_SECRET, hash = 'sha256'): string {
  const content = `${encode(header)}.${encode(claims)}`;
  return `${content}.${createHmac(hash, key).update(content).digest('base64url')}`;
}

const HS256 = { alg: 'HS256', typ: 'JWT' };

/** With keys of their own, the encrypted values of the database do not depend on `JWT_SECRET`, which can change. */
const ENCRYPTION_KEYS = `tests:${Buffer.alloc(32, 7).toString('base64')}`;

/** Access tokens, attacked. */
describe('an access token', () => {
  let service: TestService;
  let mine: ApiClient;
  let session: SignedIn;
  let stranger: SignedIn;
  let orderId: string;
  let claims: Json;

  beforeAll(async () => {
    service = await startService({ env: { ENCRYPTION_KEYS } });
    mine = await service.tenant();
    session = mine.session as SignedIn;
    stranger = (await service.tenant()).session as SignedIn;
    orderId = (await mine.createOrder()).id;
    claims = parse(session.access_token.split('.')[1]);
  });
  afterAll(() => service.stop());

  const now = () => Math.floor(Date.now() / 1000);

  function expectRefused(response: ApiResponse): void {
    const problem = expectProblem(response, 'unauthorized');
    expect(response.headers.get('www-authenticate')).toMatch(/^Bearer( error="invalid_token")?$/);
    expect(problem.detail).not.toMatch(/signature|algorithm|jwt|expired at|audience|issuer/i);
  }

  /** Uses a token for a read, a write and the caller's own page. */
  async function expectUseless(token: string): Promise<void> {
    const client = service.client.withToken(token);
    expectRefused(await client.get(`/orders/${orderId}`));
    expectRefused(await client.post('/orders', orderInput()));
    expectRefused(await client.get('/auth/me'));
  }

  it('that is signed here like in the service is accepted, so that the next ones fail for their own reason', async () => {
    const response = await service.client.withToken(sign(HS256, claims)).get(`/orders/${orderId}`);
    expect(response.status).toBe(200);
    expect((await service.client.withToken(sign(HS256, { ...claims, jti: randomUUID() })).get('/auth/me')).status).toBe(
      200,
    );
  });

  describe('is refused', () => {
    const other = generateKeyPairSync('rsa', { modulusLength: 2048 });

    function rs256(key: string): string {
      const content = `${encode({ alg: 'RS256', typ: 'JWT' })}.${encode(claims)}`;
      return `${content}.${createSign('sha256').update(content).sign(key, 'base64url')}`;
    }
    const pem = () => other.publicKey.export({ type: 'spki', format: 'pem' }) as string;
    const privatePem = () => other.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
    const jwk = () => other.publicKey.export({ format: 'jwk' }) as Json;

    const forged: [string, () => string][] = [
      ['alg none without a signature', () => `${encode({ alg: 'none', typ: 'JWT' })}.${encode(claims)}.`],
      ['alg None', () => `${encode({ alg: 'None', typ: 'JWT' })}.${encode(claims)}.`],
      ['alg none with the signature of HS256', () => sign({ alg: 'none' }, claims)],
      ['no alg', () => sign({ typ: 'JWT' }, claims)],
      ['an alg that is a list', () => sign({ alg: ['HS256'], typ: 'JWT' }, claims)],
      ['alg hs256 in lower case', () => sign({ alg: 'hs256', typ: 'JWT' }, claims)],
      ['alg HS384, rightly signed', () => sign({ alg: 'HS384', typ: 'JWT' }, claims, JWT_SECRET, 'sha384')],
      ['alg HS512, rightly signed', () => sign({ alg: 'HS512', typ: 'JWT' }, claims, JWT_SECRET, 'sha512')],
      ['alg RS256 with a key of the attacker’s', () => rs256(privatePem())],
      ['alg RS256 signed as HS256', () => sign({ alg: 'RS256', typ: 'JWT' }, claims)],
      ['HS256 with a public key as the secret', () => sign(HS256, claims, pem())],
      ['another secret', () => sign(HS256, claims, 'another secret that is long enough: 0123456789')],
      ['an empty secret', () => sign(HS256, claims, '')],
      ['the secret with a space behind it', () => sign(HS256, claims, `${JWT_SECRET} `)],
      ['the secret as base64', () => sign(HS256, claims, Buffer.from(JWT_SECRET, 'base64'))],
      [
        'an empty secret, and a kid that points to an empty file',
        () => sign({ ...HS256, kid: '/dev/null' }, claims, ''),
      ],
      ['a kid that climbs', () => sign({ ...HS256, kid: '../../../../dev/null' }, claims, '')],
      ['a kid with SQL', () => sign({ ...HS256, kid: "x' union select 'key" }, claims, 'key')],
      ['its own key in jwk', () => sign({ ...HS256, jwk: { kty: 'oct', k: encode('key') } }, claims, 'key')],
      ['its own public key in jwk', () => sign({ alg: 'RS256', typ: 'JWT', jwk: jwk() }, claims, 'key')],
      ['a jku', () => sign({ ...HS256, jku: 'https://attacker.example/keys' }, claims, 'key')],
      ['an x5u', () => sign({ ...HS256, x5u: 'https://attacker.example/cert' }, claims, 'key')],
      ['another issuer', () => sign(HS256, { ...claims, iss: 'another' })],
      ['no issuer', () => sign(HS256, { ...claims, iss: undefined })],
      ['another audience', () => sign(HS256, { ...claims, aud: 'another' })],
      ['no audience', () => sign(HS256, { ...claims, aud: undefined })],
      ['an empty list of audiences', () => sign(HS256, { ...claims, aud: [] })],
      ['no type', () => sign(HS256, { ...claims, type: undefined })],
      ['the type refresh', () => sign(HS256, { ...claims, type: 'refresh' })],
      ['a type that is a list', () => sign(HS256, { ...claims, type: ['access'] })],
      ['no exp', () => sign(HS256, { ...claims, exp: undefined })],
      ['an exp that is null', () => sign(HS256, { ...claims, exp: null })],
      ['an exp that is text', () => sign(HS256, { ...claims, exp: String(now() + 600) })],
      ['an exp that has come', () => sign(HS256, { ...claims, exp: now() })],
      ['an exp that is past', () => sign(HS256, { ...claims, iat: now() - 1000, exp: now() - 100 })],
      ['an exp of 0', () => sign(HS256, { ...claims, exp: 0 })],
      ['an nbf to come', () => sign(HS256, { ...claims, nbf: now() + 600 })],
      ['an nbf that is text', () => sign(HS256, { ...claims, nbf: 'now' })],
      ['no sub', () => sign(HS256, { ...claims, sub: undefined })],
      ['the sub of another user', () => sign(HS256, { ...claims, sub: stranger.user.id })],
      ['a sub that is no UUID', () => sign(HS256, { ...claims, sub: 'admin' })],
      ['no tenant_id', () => sign(HS256, { ...claims, tenant_id: undefined })],
      ['the tenant_id of another tenant', () => sign(HS256, { ...claims, tenant_id: stranger.tenant.id })],
      ['a tenant_id in upper case', () => sign(HS256, { ...claims, tenant_id: session.tenant.id.toUpperCase() })],
      ['a tenant_id with SQL', () => sign(HS256, { ...claims, tenant_id: "x'; reset role; --" })],
      ['a tenant_id that is a list', () => sign(HS256, { ...claims, tenant_id: [session.tenant.id] })],
      ['no sid', () => sign(HS256, { ...claims, sid: undefined })],
      ['a sid that does not exist', () => sign(HS256, { ...claims, sid: randomUUID() })],
      [
        'the sid of another tenant',
        () => sign(HS256, { ...claims, sid: parse(stranger.access_token.split('.')[1]).sid }),
      ],
      [
        'the sid and tenant of another, with its own sub',
        () => sign(HS256, { ...parse(stranger.access_token.split('.')[1]), sub: session.user.id }),
      ],
      ['claims that are a text', () => sign(HS256, 'claims')],
      ['claims that are a list', () => sign(HS256, '[]')],
      ['claims that are null', () => sign(HS256, 'null')],
      ['claims that are not JSON', () => sign(HS256, '{')],
      ['a header that is not JSON', () => `${encode('{')}.${encode(claims)}.x`],
      [
        'claims that were changed after signing',
        () => {
          const [header, , signature] = session.access_token.split('.');
          return `${header}.${encode({ ...claims, tenant_id: stranger.tenant.id, sub: stranger.user.id })}.${signature}`;
        },
      ],
      [
        'one bit of its signature turned',
        () => session.access_token.replace(/.(.{4})$/, (last) => `${last[0] === 'A' ? 'B' : 'A'}${last.slice(1)}`),
      ],
      ['its signature cut short', () => session.access_token.slice(0, -1)],
      ['no signature', () => `${session.access_token.split('.').slice(0, 2).join('.')}.`],
      ['two parts', () => session.access_token.split('.').slice(0, 2).join('.')],
      ['four parts', () => `${session.access_token}.x`],
      ['five parts, as if it were encrypted', () => `${session.access_token}.x.x`],
      ['a dot alone', () => '.'],
      ['two dots alone', () => '..'],
      ['characters that are not base64url', () => session.access_token.replace('.', '.+/=')],
      ['a refresh token', () => session.refresh_token],
      ['12 KB of it', () => `${session.access_token}${'A'.repeat(12_000)}`],
    ];

    it.each([
      ['an unknown crit', () => sign({ ...HS256, crit: ['x'], x: 1 }, claims)],
      ['a critical extension of JWS that it does not have', () => sign({ ...HS256, crit: ['b64'] }, claims)],
      ['an empty crit', () => sign({ ...HS256, crit: [] }, claims)],
      ['the type of another kind of token', () => sign({ alg: 'HS256', typ: 'dpop+jwt' }, claims)],
      ['the type of a refresh token', () => sign({ alg: 'HS256', typ: 'refresh+jwt' }, claims)],
      ['a type that is no text', () => sign({ alg: 'HS256', typ: 1 }, claims)],
      ['an unknown kid', () => sign({ ...HS256, kid: 'unknown' }, claims)],
      ['a kid that is no text', () => sign({ ...HS256, kid: { a: 1 } }, claims)],
      ['an iat in the future', () => sign(HS256, { ...claims, iat: now() + 60, exp: now() + 120 })],
      ['an iat that is no number', () => sign(HS256, { ...claims, iat: String(now()) })],
      ['no iat', () => sign(HS256, { ...claims, iat: undefined })],
      ['an exp beyond what is issued', () => sign(HS256, { ...claims, iat: now(), exp: now() + 901 })],
      ['an exp of a year', () => sign(HS256, { ...claims, exp: now() + 365 * 86_400 })],
      ['an exp that no double holds', () => sign(HS256, JSON.stringify(claims).replace(/"exp":\d+/, '"exp":1e400'))],
    ] as [string, () => string][])('with %s', (_, token) => expectUseless(token()));

    it('with 16 KB of header that has no blank, without the regular expression of passport-jwt', async () => {
      const avoided = timeOf(() => void /(\S+)\s+(\S+)/.exec('x'.repeat(15_000)));
      const begun = performance.now();
      const response = await service.client.get('/auth/me', { authorization: 'x'.repeat(15_000) });
      expectRefused(response);
      const bearer = await service.client.get('/auth/me', {
        authorization: `Bearer${'\t'.repeat(7_000)}${'x'.repeat(7_000)}`,
      });
      expectRefused(bearer);
      expect(performance.now() - begun).toBeLessThan(avoided);
    });

    it.each(forged)('with %s', (_, token) => expectUseless(token()));

    it('with 100 KB of it, and the service continues', async () => {
      const token = `${session.access_token}${'A'.repeat(100_000)}`;
      const response = await rawRequest(
        service.url,
        `GET /api/v1/orders HTTP/1.1\nHost: x\nAuthorization: Bearer ${token}`,
      );
      // Node refuses the headers before there is a request.
      if (response) expect([400, 401, 431]).toContain(response.status);
      expect((await mine.get('/auth/me')).status).toBe(200);
    });

    it('where a refresh token belongs', async () => {
      for (const path of ['/auth/refresh', '/auth/logout']) {
        const response = await service.client.post(path, { refresh_token: session.access_token });
        expectProblem(response, 'unauthorized');
        expect(response.headers.get('www-authenticate')).toMatch(/^Bearer\b/);
      }
      expect((await mine.get('/auth/me')).status).toBe(200);
    });
  });

  describe('is taken from the Authorization header alone', () => {
    const get = (path: string, ...headers: string[]) =>
      rawRequest(service.url, [`GET /api/v1${path} HTTP/1.1`, 'Host: x', 'Connection: close', ...headers].join('\n'));

    async function statusOf(path: string, ...headers: string[]): Promise<number> {
      const response = (await get(path, ...headers)) as ApiResponse;
      if (response.status === 401) expectRefused(response);
      return response.status;
    }

    it('in any case of the scheme, and after any spaces, as RFC 9110 has it', async () => {
      const token = session.access_token;
      for (const value of [
        `Bearer ${token}`,
        `bearer ${token}`,
        `BEARER ${token}`,
        `Bearer   ${token}`,
        `Bearer ${token}  `,
      ]) {
        expect([value.slice(0, 12), await statusOf('/auth/me', `Authorization: ${value}`)]).toEqual([
          value.slice(0, 12),
          200,
        ]);
      }
    });

    it('and not where there are two of it, the same or not', async () => {
      const good = `Authorization: Bearer ${session.access_token}`;
      const bad = `Authorization: Bearer ${stranger.access_token}`;
      for (const headers of [
        [good, good],
        [good, bad],
        [bad, good],
        [good, 'authorization: x'],
        ['Authorization: Basic eDp4', good],
      ]) {
        expect(await statusOf('/auth/me', ...headers)).toBe(401);
      }
    });

    it('and not where the header is empty, of another scheme, or has more in it', async () => {
      const token = session.access_token;
      for (const value of [
        '',
        ' ',
        'Bearer',
        'Bearer ',
        token,
        `Basic ${token}`,
        `Bearer${token}`,
        `Bearer,${token}`,
        `Bearer ${token} ${token}`,
        `Bearer ${token}, Bearer ${token}`,
        `Bearer "${token}"`,
        `Bearer\t${token}`,
        `JWT ${token}`,
        `Token ${token}`,
        `Bearer Bearer ${token}`,
      ]) {
        expect([value.slice(0, 16), await statusOf('/auth/me', `Authorization: ${value}`)]).toEqual([
          value.slice(0, 16),
          401,
        ]);
      }
      expect(await statusOf('/auth/me')).toBe(401);
    });

    it('and not from the query, a cookie, another header or a body', async () => {
      const token = session.access_token;
      expect(await statusOf(`/auth/me?access_token=${token}`)).toBe(401);
      expect(await statusOf(`/auth/me?token=${token}`)).toBe(401);
      for (const header of [
        `Cookie: access_token=${token}`,
        `X-Access-Token: ${token}`,
        `X-Authorization: Bearer ${token}`,
        `Proxy-Authorization: Bearer ${token}`,
      ]) {
        expect([header.split(':')[0], await statusOf('/auth/me', header)]).toEqual([header.split(':')[0], 401]);
      }
      expectRefused(await service.client.post('/orders', { ...orderInput(), access_token: token }));
      expectRefused(await service.client.post('/orders', { ...orderInput(), auth_token: token }));
    });

    it('and names the fault in the challenge: none without a credential', async () => {
      expect((await service.client.get('/auth/me')).headers.get('www-authenticate')).toBe('Bearer');
      const bad = await service.client.withToken('x').get('/auth/me');
      expect(bad.headers.get('www-authenticate')).toBe('Bearer error="invalid_token"');
    });
  });

  describe('that was verified before', () => {
    it('dies when it expires, though its signature is remembered', async () => {
      // iat and exp are whole seconds: it lives between one second and two.
      const token = sign(HS256, { ...claims, jti: randomUUID(), exp: now() + 2 });
      const client = service.client.withToken(token);
      expect((await client.get('/auth/me')).status).toBe(200);
      await until('it expires', async () => (await client.get('/auth/me')).status === 401, 4_000);
      await expectUseless(token);
    });

    it('does not lend its signature to another with the same signature', async () => {
      const [header, , signature] = session.access_token.split('.');
      expect((await mine.get('/auth/me')).status).toBe(200);
      await expectUseless(`${header}.${encode({ ...claims, exp: now() + 100_000 })}.${signature}`);
    });

    it('dies when its session is revoked, and its twin with it', async () => {
      const other = (await service.tenant()).session as SignedIn;
      const twin = sign(HS256, { ...parse(other.access_token.split('.')[1]), jti: randomUUID() });
      const clients = [other.access_token, twin].map((token) => service.client.withToken(token));
      for (const client of clients) expect((await client.get('/auth/me')).status).toBe(200);
      await service.client.post('/auth/logout', { refresh_token: other.refresh_token });
      for (const client of clients) expectRefused(await client.get('/auth/me'));
    });
  });

  it('has the role of the membership, with any claim of its own', async () => {
    const viewer = (await service.tenant()).session as SignedIn;
    await service.database.sql(`update memberships set role = 'viewer' where user_id = $1`, [viewer.user.id]);
    const token = sign(HS256, { ...parse(viewer.access_token.split('.')[1]), role: 'owner' });
    expectProblem(await service.client.withToken(token).post('/orders', orderInput()), 'forbidden');
    expect((await service.client.withToken(token).get('/auth/me')).body.role).toBe('viewer');
  });

  it('opens nothing on routes that are public', async () => {
    const response = await service.client
      .withToken('nonsense')
      .post('/auth/login', { email: 'nobody@example.com', password: 'x' });
    expectProblem(response, 'unauthorized');
    expect((await service.client.withToken('nonsense').get('/health')).status).toBe(200);
  });

  it('names by its kid the key that signed it', () => {
    const { alg, typ, kid } = parse(session.access_token.split('.')[0]);
    expect([alg, typ]).toEqual(['HS256', 'JWT']);
    expect(kid).toMatch(/^[\w-]{11}$/);
  });

  it('continues after a rotation of JWT_SECRET, until the previous one is removed', async () => {
    const NEXT_SECRET = 'the next secret for tests, long enough too: 0123456789';
    const { database } = service;
    const unnamed = sign(HS256, claims);
    const rotated = await startService({
      database,
      env: { JWT_SECRET: NEXT_SECRET, JWT_SECRET_PREVIOUS: JWT_SECRET, ENCRYPTION_KEYS },
    });
    try {
      for (const token of [session.access_token, unnamed]) {
        expect((await rotated.client.withToken(token).get('/auth/me')).status).toBe(200);
      }
      const { email } = session.user;
      const renewed = await rotated.client.post('/auth/login', { email, password: 'a password for tests' });
      const { access_token: token } = renewed.body as SignedIn;
      expect(parse(token.split('.')[0]).kid).not.toBe(parse(session.access_token.split('.')[0]).kid);
      expect((await rotated.client.withToken(token).get('/auth/me')).status).toBe(200);
    } finally {
      await rotated.stop();
    }
    const after = await startService({ database, env: { JWT_SECRET: NEXT_SECRET, ENCRYPTION_KEYS } });
    try {
      for (const token of [session.access_token, unnamed])
        expectRefused(await after.client.withToken(token).get('/auth/me'));
    } finally {
      await after.stop();
    }
  });
});
