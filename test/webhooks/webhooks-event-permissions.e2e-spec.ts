import type { ApiClient } from '../harness/client';
import { expectProblem, faultsOf } from '../harness/problems';
import { startService, type TestService } from '../harness/service';
import { makeEndpoint } from '../harness/webhooks';

describe('the permissions that read types of events', () => {
  let service: TestService;
  let tenant: ApiClient;

  beforeAll(async () => {
    service = await startService();
    tenant = await service.tenant();
  });
  afterAll(() => service.stop());

  it.each([
    'member.invited',
    'api_key.created',
    'session.revoked',
    'sso.changed',
    'tenant.changed',
    'audit.checkpoint',
  ])('keep %s for the service', async (type) => {
    const answer = await tenant.post('/webhooks/events', { type, data: {} });
    expect(faultsOf(answer)).toEqual(['type: reserved_event_type']);
  });

  it('are asked of those who make, change, or read the secret of an endpoint that takes them', async () => {
    const own = await makeEndpoint(tenant, { event_types: ['*'] });
    const owners = await makeEndpoint(tenant, { event_types: ['sso.*'] });
    // An admin may write webhooks, and not set up single sign-on.
    await service.database.sql(`update memberships set role = 'admin' where tenant_id = $1`, [tenant.tenantId]);
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    const refused = [
      await tenant.post('/webhooks/endpoints', { url: 'https://example.com', event_types: ['sso.changed'] }),
      await tenant.patch(`/webhooks/endpoints/${own.id}`, { event_types: ['sso.*'] }),
      await tenant.patch(`/webhooks/endpoints/${owners.id}`, { description: 'x' }),
      await tenant.get(`/webhooks/endpoints/${owners.id}/secret`),
      await tenant.post(`/webhooks/endpoints/${owners.id}/rotate-secret`),
    ];
    for (const answer of refused) expect(expectProblem(answer, 'forbidden').detail).toContain('sso:manage');
    expect((await tenant.patch(`/webhooks/endpoints/${own.id}`, { event_types: ['member.*', '*'] })).status).toBe(200);
    expect((await tenant.get(`/webhooks/endpoints/${own.id}/secret`)).status).toBe(200);
  });
});
