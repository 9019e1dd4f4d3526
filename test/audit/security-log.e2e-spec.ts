import { createEndpoint } from '../harness/endpoints';
import { ApiClient, type SignedIn } from '../harness/client';
import { makeKey } from '../harness/members';
import { newEmail, startService, type TestService } from '../harness/service';

const PASSWORD = 'a password for tests';

describe('the security log', () => {
  let service: TestService;
  let owner: ApiClient;

  beforeAll(async () => {
    service = await startService();
    owner = await service.tenant();
  });
  afterAll(() => service.stop());

  interface Line {
    action: string;
    outcome: string;
    tenant_id?: string;
    actor?: string;
    session_id?: string;
    network?: string;
    address_hmac?: string;
    level: number;
  }
  /** The lines that the work writes. */
  async function linesOf(work: () => Promise<unknown>): Promise<Line[]> {
    const before = service.logLines.length;
    await work();
    return service.logLines
      .slice(before)
      .map((line) => JSON.parse(line) as Line & { msg: string })
      .filter(({ msg }) => msg === 'security event');
  }
  const counted = async (action: string, outcome: string): Promise<number> => {
    const text = await service.metrics.registry.getSingleMetricAsString('security_events_total');
    const found = new RegExp(`action="${action}",outcome="${outcome}"} (\\d+)`).exec(text);
    return Number(found?.[1] ?? NaN);
  };
  const login = (email: string, password: string) => service.client.post('/auth/login', { email, password });

  it('has a line for each sign-in and each failure, with an HMAC of the address, known or not', async () => {
    const { user } = owner.session as SignedIn;
    const unknown = newEmail();
    const lines = await linesOf(async () => {
      await login(user.email, PASSWORD);
      await login(user.email.toUpperCase(), 'wrong');
      await login(unknown, 'wrong');
    });
    const started = lines.find(({ action }) => action === 'session.started');
    const [failed, stranger] = lines.filter((line) => line.action === 'sign_in.failed' && line.address_hmac);
    expect(started).toMatchObject({
      action: 'session.started',
      outcome: 'success',
      tenant_id: owner.tenantId,
      actor: `user:${user.id}`,
      session_id: expect.any(String),
      network: '127.0.0.1',
    });
    expect(failed).toMatchObject({ action: 'sign_in.failed', outcome: 'failure', network: '127.0.0.1' });
    expect(stranger).toMatchObject({ action: 'sign_in.failed', outcome: 'failure', actor: 'anonymous' });
    // Capital letters of ASCII make no other address.
    expect(failed?.address_hmac).toBe(started?.address_hmac);
    expect(stranger?.address_hmac).toMatch(/^[\w-]{22}$/);
    expect(stranger?.address_hmac).not.toBe(failed?.address_hmac);
    for (const address of [user.email, unknown]) expect(JSON.stringify(lines)).not.toContain(address);
  });

  it('warns of a refresh token that is used again, and counts it for the alert, which sees the first one', async () => {
    expect(await counted('refresh_token.reused', 'denied')).toBe(0);
    const body = (await login((owner.session as SignedIn).user.email, PASSWORD)).body as SignedIn;
    const refresh = (token: string) => service.client.post('/auth/refresh', { refresh_token: token });
    const next = (await refresh(body.refresh_token)).body as SignedIn;
    await refresh(next.refresh_token);
    const lines = await linesOf(() => refresh(body.refresh_token));
    expect(lines).toContainEqual(
      expect.objectContaining({
        level: 40,
        action: 'refresh_token.reused',
        outcome: 'denied',
        tenant_id: owner.tenantId,
        actor: `user:${body.user.id}`,
        session_id: expect.any(String),
        network: '127.0.0.1',
      }),
    );
    expect(await counted('refresh_token.reused', 'denied')).toBe(1);
  });

  it('has a line for each secret that is read or made, each change, and each kind of refusal', async () => {
    const endpoint = await createEndpoint(owner, 'https://receiver.example.com/hook');
    const viewerKey = await makeKey(owner, { scopes: ['orders:read'] });
    const lines = await linesOf(async () => {
      await owner.get(`/webhooks/endpoints/${endpoint.id as string}/secret`);
      await owner.post(`/webhooks/endpoints/${endpoint.id as string}/rotate-secret`);
      await owner.post(`/api-keys/${viewerKey.key.id}/rotate`, { overlap_seconds: 0 });
      await owner.post('/roles', { name: 'support', permissions: ['orders:read'] });
      for (let i = 0; i < 5; i++) await login((owner.session as SignedIn).user.email, 'wrong');
    });
    const actions = lines.map(({ action }) => action);
    expect(actions).toEqual(expect.arrayContaining(['api_key.rotated', 'role.created']));
    expect(actions.filter((action) => /secret/.test(action))).toHaveLength(2);
    expect(JSON.stringify(lines)).not.toContain(viewerKey.key.key);
  });

  it('has no line for a rolled-back change, nor for frequent operations', async () => {
    const { id } = (await owner.createOrder()) as { id: string };
    const lines = await linesOf(async () => {
      expect((await owner.post('/roles', { name: 'support', permissions: ['orders:read'] })).status).toBe(409);
      expect((await owner.patch(`/orders/${id}/status`, { status: 'confirmed' })).status).toBe(200);
    });
    expect(lines).toEqual([]);
  });
});
