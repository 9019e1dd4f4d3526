import { orderInput, type ApiResponse, type ApiClient } from '../harness/client';
import { expectProblem } from '../harness/problems';
import { newEmail, startService, type TestService } from '../harness/service';
import { until } from '../harness/until';

interface Shown {
  policy: { name: string; quota: number; window: number };
  remaining: number;
  reset: number;
}

/** The headers of draft-ietf-httpapi-ratelimit-headers-10, read strictly. */
function shownBy(response: ApiResponse): Shown {
  const policy = /^"([a-z]+)";q=(\d+);w=(\d+)$/.exec(response.headers.get('ratelimit-policy') ?? '');
  const limit = /^"([a-z]+)";r=(\d+);t=(\d+)$/.exec(response.headers.get('ratelimit') ?? '');
  expect([response.headers.get('ratelimit-policy'), policy]).toEqual([expect.any(String), expect.anything()]);
  expect([response.headers.get('ratelimit'), limit]).toEqual([expect.any(String), expect.anything()]);
  expect(limit?.[1]).toBe(policy?.[1]);
  return {
    policy: { name: policy?.[1] ?? '', quota: Number(policy?.[2]), window: Number(policy?.[3]) },
    remaining: Number(limit?.[2]),
    reset: Number(limit?.[3]),
  };
}

function expectLimited(response: ApiResponse): number {
  expectProblem(response, 'rate_limited');
  expect(shownBy(response).remaining).toBe(0);
  const wait = Number(response.headers.get('retry-after'));
  expect(Number.isInteger(wait) && wait >= 1).toBe(true);
  return wait;
}

describe('the limit of a tenant', () => {
  let service: TestService;

  beforeAll(async () => {
    service = await startService({ env: { RATE_LIMIT_TENANT_PER_SECOND: '1', RATE_LIMIT_TENANT_BURST: '5' } });
  });
  afterAll(() => service.stop());

  /** Uses up the tenant's allowance, including tokens that came back meanwhile. */
  const exhaust = (tenant: ApiClient) =>
    until('the tenant is limited', async () => {
      const response = await tenant.get('/auth/me');
      return response.status === 429 && response;
    });

  it('is in the headers of every response, also of an error', async () => {
    const tenant = await service.tenant();
    const first = await tenant.get('/orders');
    expect(first.status).toBe(200);
    const shown = shownBy(first);
    expect(shown.policy).toEqual({ name: 'tenant', quota: 5, window: 5 });
    expect(shown.remaining).toBe(4);
    expect(shown.reset).toBeGreaterThanOrEqual(1);
    expect(shown.reset).toBeLessThanOrEqual(5);
    for (const response of [
      await tenant.get('/orders/01890000-0000-7000-8000-000000000000'),
      await tenant.post('/orders', {}),
    ]) {
      expect([404, 422]).toContain(response.status);
      expect(shownBy(response).policy.name).toBe('tenant');
    }
  });

  it('responds with 429 beyond it, and with 200 after the time that it named', async () => {
    const tenant = await service.tenant();
    const wait = expectLimited(await exhaust(tenant));
    expect(wait).toBe(1);
    // A refused request costs nothing: otherwise this state would never be reached.
    await until('the tenant is let in', async () => (await tenant.get('/auth/me')).status === 200, 5_000);
  });

  it('refuses before anything is done', async () => {
    const tenant = await service.tenant();
    await exhaust(tenant);
    const responses = await Promise.all(Array.from({ length: 10 }, () => tenant.post('/orders', orderInput())));
    const made = responses.filter((response) => response.status === 201).length;
    expect(responses.filter((response) => response.status === 429).length).toBe(10 - made);
    expect(made).toBeLessThan(5);
    const [row] = await service.database.sql('select count(*)::int as count from orders where tenant_id = $1', [
      tenant.tenantId,
    ]);
    expect(row).toEqual({ count: made });
  });

  it('is one for all credentials of the tenant, and none of another tenant’s concern', async () => {
    const [tenant, other] = [await service.tenant(), await service.tenant()];
    const email = tenant.session?.user.email;
    const login = await service.client.post('/auth/login', { email, password: 'a password for tests' });
    await exhaust(tenant);
    const second = service.client.withToken(login.body.access_token);
    const responses = await Promise.all(Array.from({ length: 8 }, () => second.get('/auth/me')));
    expect(responses.filter((response) => response.status === 429).length).toBeGreaterThanOrEqual(3);
    const others = await Promise.all(Array.from({ length: 5 }, () => other.get('/auth/me')));
    expect(others.map((response) => response.status)).toEqual(Array(5).fill(200));
    expect(new Set(others.map((response) => shownBy(response).remaining))).toEqual(new Set([0, 1, 2, 3, 4]));
  });

  it('does not count requests without a good credential', async () => {
    const tenant = await service.tenant();
    const claims = tenant.session?.access_token.split('.')[1];
    for (let at = 0; at < 10; at++) await service.client.withToken(`x.${claims}.y`).get('/auth/me');
    expect(shownBy(await tenant.get('/auth/me')).remaining).toBe(4);
  });
});

describe('the limit of an address', () => {
  let service: TestService;
  let addresses = 0;

  beforeAll(async () => {
    service = await startService({ env: { RATE_LIMIT_ADDRESS_PER_MINUTE: '6', TRUST_PROXY: 'true' } });
  });
  afterAll(() => service.stop());

  const from = (address: string) => ({ 'x-forwarded-for': address });
  const newAddress = () => `203.0.113.${addresses++}`;
  const login = (address: string) =>
    service.client.post('/auth/login', { email: newEmail(), password: 'x' }, from(address));

  it('holds on public routes, is in the headers, and responds with 429 beyond it', async () => {
    const address = newAddress();
    const responses = [];
    for (let at = 0; at < 6; at++) {
      responses.push(await service.client.post('/auth/refresh', { refresh_token: 'x' }, from(address)));
    }
    expect(responses.map((response) => response.status)).toEqual(Array(6).fill(401));
    expect(shownBy(responses[0] as ApiResponse)).toMatchObject({
      policy: { name: 'address', quota: 6, window: 60 },
      remaining: 5,
    });
    const limited = await until('the address is limited', async () => {
      const response = await login(address);
      return response.status === 429 && response;
    });
    // One token comes back every ten seconds.
    expect(expectLimited(limited)).toBeLessThanOrEqual(10);
    for (const path of ['/auth/register', '/auth/login', '/auth/logout']) {
      expectLimited(await service.client.post(path, {}, from(address)));
    }
    expect((await login(newAddress())).status).toBe(401);
  });

  it('holds for callers with invalid credentials, and not for valid ones', async () => {
    const address = newAddress();
    const tenant = await service.client.request('POST', '/auth/register', {
      body: { email: newEmail(), password: 'a password for tests', tenant_name: 'T' },
      headers: from(address),
    });
    const client = service.client.withToken(tenant.body.access_token);
    const guesses = [];
    for (let at = 0; at < 12; at++)
      guesses.push(await service.client.withToken(`a.b.${at}`).get('/orders', from(address)));
    const refused = guesses.map((response) => response.status);
    expect(refused.slice(0, 5)).toEqual(Array(5).fill(401));
    expect(refused.filter((status) => status === 429).length).toBeGreaterThanOrEqual(4);
    expectLimited(guesses.find((response) => response.status === 429) as ApiResponse);
    for (let at = 0; at < 10; at++) {
      const reply = await client.get('/orders', from(address));
      expect(reply.status).toBe(200);
      expect(shownBy(reply).policy.name).toBe('tenant');
    }
  });

  it('holds for a network of IPv6 together, and for no other', async () => {
    for (let at = 0; at < 6; at++) expect((await login(`2001:db8:0:1:${at}::${at + 1}`)).status).toBe(401);
    expectLimited(await login('2001:db8:0:1:ffff:ffff:ffff:ffff'));
    expect((await login('2001:db8:0:2::1')).status).toBe(401);
  });

  it('holds for an IPv4 address in either spelling', async () => {
    const address = newAddress();
    for (let at = 0; at < 6; at++) expect((await login(at % 2 ? address : `::ffff:${address}`)).status).toBe(401);
    expectLimited(await login(address));
    expectLimited(await login(`::ffff:${address}`));
  });

  it('does not hold for health; liveness shows no limit, and readiness has its own', async () => {
    const address = newAddress();
    for (let at = 0; at < 10; at++) {
      expect((await service.client.get('/health/ready', from(address))).status).toBe(200);
      for (const path of ['/health', '/health/live']) {
        const response = await service.client.get(path, from(address));
        expect([response.status, response.headers.get('ratelimit')]).toEqual([200, null]);
      }
    }
    expect(shownBy(await login(address)).remaining).toBe(5);
  });
});

describe('X-Forwarded-For', () => {
  async function limitedAfter(
    service: TestService,
    headers: (at: number) => Record<string, string>,
  ): Promise<number[]> {
    const statuses = [];
    for (let at = 0; at < 8; at++) {
      const response = await service.client.post('/auth/refresh', { refresh_token: 'x' }, headers(at));
      statuses.push(response.status);
    }
    return statuses;
  }
  const LIMITED = [...Array<number>(4).fill(401), ...Array<number>(4).fill(429)];
  const FREE = Array<number>(8).fill(401);

  it.each([
    ['is not believed unless a proxy is trusted', 'false', (at: number) => `203.0.113.${at}`, LIMITED],
    ['is believed where every proxy is trusted', 'true', (at: number) => `203.0.113.${at}`, FREE],
    ['is believed from a proxy that is named', '127.0.0.1', (at: number) => `203.0.113.${at}`, FREE],
    ['is not believed from another', '10.0.0.0/8', (at: number) => `203.0.113.${at}`, LIMITED],
    // With one hop, the entries that the client wrote before the proxy's entry do not count.
    ['is believed as far as there are hops', '1', (at: number) => `203.0.113.${at}, 198.51.100.1`, LIMITED],
    ['is believed as far as there are hops, and no nearer', '1', (at: number) => `198.51.100.1, 203.0.113.${at}`, FREE],
    ['is one address whatever the port', '1', (at: number) => `203.0.113.9:${40_000 + at}`, LIMITED],
    ['is one address whatever the port, of IPv6 too', '1', (at: number) => `[2001:db8::1]:${40_000 + at}`, LIMITED],
    ['is read behind a named proxy that writes its port', '127.0.0.1', (at: number) => `203.0.113.${at}:1`, FREE],
    ['counts as the peer where it is no address', '1', (at: number) => `unknown-${at}`, LIMITED],
  ])('%s (TRUST_PROXY=%s)', async (_, trust, header, expected) => {
    const service = await startService({ env: { RATE_LIMIT_ADDRESS_PER_MINUTE: '4', TRUST_PROXY: trust } });
    try {
      expect(await limitedAfter(service, (at) => ({ 'x-forwarded-for': header(at) }))).toEqual(expected);
    } finally {
      await service.stop();
    }
  });
});

describe('TRUST_PROXY=true', () => {
  it('warns at start that the caller then chooses its address', async () => {
    const service = await startService({ env: { TRUST_PROXY: 'true' } });
    await service.stop();
    expect(service.logLines.filter((line) => line.includes('TRUST_PROXY=true trusts'))).toHaveLength(1);
  });
});

describe('RATE_LIMIT_ENABLED=false', () => {
  it('turns the limits of requests off', async () => {
    const service = await startService({
      env: {
        RATE_LIMIT_ENABLED: 'false',
        RATE_LIMIT_TENANT_PER_SECOND: '1',
        RATE_LIMIT_TENANT_BURST: '1',
        RATE_LIMIT_ADDRESS_PER_MINUTE: '1',
      },
    });
    try {
      const tenant = await service.tenant();
      const responses = await Promise.all(Array.from({ length: 5 }, () => tenant.get('/orders')));
      expect(responses.map((response) => [response.status, response.headers.get('ratelimit')])).toEqual(
        Array(5).fill([200, null]),
      );
    } finally {
      await service.stop();
    }
  });
});
