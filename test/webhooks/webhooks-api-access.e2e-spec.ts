import { randomUUID } from 'node:crypto';
import type { ApiClient } from '../harness/client';
import { expectProblem } from '../harness/problems';
import { startService, type TestService } from '../harness/service';
import { endpointInput, makeEndpoint, seedDeliveries } from '../harness/webhooks';

type Route = [method: string, path: string, body?: unknown];

/** Every route of webhooks, with the ids of things that are there. */
function routesOf(ids: { endpoint: string; delivery: string; event: string }) {
  const endpoint = `/webhooks/endpoints/${ids.endpoint}`;
  const reading: Route[] = [
    ['GET', '/webhooks/endpoints'],
    ['GET', endpoint],
    ['GET', `${endpoint}/stats`],
    ['GET', '/webhooks/jwks'],
    ['GET', '/webhooks/event-types'],
    ['GET', '/webhooks/events'],
    ['GET', `/webhooks/events/${ids.event}`],
    ['GET', '/webhooks/deliveries'],
    ['GET', `/webhooks/deliveries/${ids.delivery}`],
  ];
  const writing: Route[] = [
    ['POST', '/webhooks/endpoints', endpointInput()],
    ['PATCH', endpoint, { rate_limit: 5 }],
    ['GET', `${endpoint}/secret`],
    ['POST', `${endpoint}/rotate-secret`, {}],
    ['POST', `${endpoint}/test`],
    ['POST', `${endpoint}/recover`, { since: '2020-01-01T00:00:00Z' }],
    ['POST', '/webhooks/events', { type: 'a.b', data: {} }],
    ['POST', `/webhooks/deliveries/${ids.delivery}/retry`],
    ['DELETE', endpoint],
  ];
  return { reading, writing };
}

describe('permissions of webhooks', () => {
  let service: TestService;
  let owner: ApiClient;
  let viewer: ApiClient;
  let stranger: ApiClient;
  let routes: ReturnType<typeof routesOf>;

  beforeAll(async () => {
    service = await startService();
    owner = await service.tenant();
    stranger = await service.tenant();
    viewer = await service.tenant();
    const ids = await thingsOf(owner);
    routes = routesOf(ids);
    await thingsOf(viewer);
    await service.database.sql(`update memberships set role = 'viewer' where tenant_id = $1`, [viewer.tenantId]);
    await new Promise((resolve) => setTimeout(resolve, 1_100));
  });
  afterAll(() => service.stop());

  async function thingsOf(tenant: ApiClient) {
    const endpoint = (await makeEndpoint(tenant)).id;
    const [delivery] = await seedDeliveries(service.database, tenant.tenantId, endpoint, [{ status: 'failed' }]);
    const { event_id: event } = (await tenant.get(`/webhooks/deliveries/${delivery}`)).body;
    return { endpoint, delivery: delivery as string, event };
  }
  const call = (client: ApiClient, [method, path, body]: Route) => client.request(method, path, { body });
  const state = async () =>
    JSON.stringify(
      await service.database.sql(
        `select (select json_agg(p order by id) from webhook_endpoints p) as endpoints,
                (select json_agg(d order by id) from deliveries d) as deliveries, (select count(*) from events) as events`,
      ),
    );

  it('refuses requests without a credential', async () => {
    for (const route of [...routes.reading, ...routes.writing]) {
      expectProblem(await call(service.client, route), 'unauthorized');
    }
  });

  it('lets a viewer read, but neither write nor see secrets', async () => {
    const mine = routesOf(await idsOfViewer());
    const before = await state();
    for (const route of mine.reading) expect([route[1], (await call(viewer, route)).status]).toEqual([route[1], 200]);
    for (const route of mine.writing) {
      const problem = expectProblem(await call(viewer, route), 'forbidden');
      expect(problem.detail).toBe('The role viewer may not do this: it lacks webhooks:write.');
    }
    expect(await state()).toBe(before);
  });

  it('lets a member read, but neither write nor see secrets', async () => {
    const become = async (role: string) => {
      await service.database.sql('update memberships set role = $2 where tenant_id = $1', [viewer.tenantId, role]);
      await new Promise((resolve) => setTimeout(resolve, 2_000));
    };
    await become('member');
    try {
      const mine = routesOf(await idsOfViewer());
      const before = await state();
      for (const route of mine.reading) expect([route[1], (await call(viewer, route)).status]).toEqual([route[1], 200]);
      for (const route of mine.writing) expectProblem(await call(viewer, route), 'forbidden');
      expect(await state()).toBe(before);
    } finally {
      await become('viewer');
    }
  });

  async function idsOfViewer() {
    const [row] = await service.database.sql<{ id: string; endpoint_id: string; event_id: string }>(
      'select id, endpoint_id, event_id from deliveries where tenant_id = $1',
      [viewer.tenantId],
    );
    if (!row) throw new Error('the viewer has a delivery');
    return { endpoint: row.endpoint_id, delivery: row.id, event: row.event_id };
  }

  it('responds to another tenant as if the resource did not exist', async () => {
    const before = await state();
    for (const [method, path, body] of [...routes.reading, ...routes.writing]) {
      const id = /[0-9a-f-]{36}/.exec(path)?.[0];
      if (!id) continue;
      const foreign = await call(stranger, [method, path, body]);
      const missing = randomUUID();
      const nothing = await call(stranger, [method, path.replace(id, missing), body]);
      const problem = expectProblem(foreign, 'not_found');
      expect(problem.detail).toMatch(new RegExp(`^(Endpoint|Delivery|Event) '${id}' not found$`));
      expect(problem.detail).toBe(expectProblem(nothing, 'not_found').detail.replace(missing, id));
    }
    expect(await state()).toBe(before);
    for (const list of ['endpoints', 'events', 'deliveries']) {
      expect((await stranger.get(`/webhooks/${list}`)).body).toEqual({ data: [], next_cursor: null, has_more: false });
    }
    const filtered = await stranger.get(
      `/webhooks/deliveries?endpoint_id=${/[0-9a-f-]{36}/.exec(routes.reading[1]?.[1] ?? '')}`,
    );
    expect(filtered.body.data).toEqual([]);
  });

  it('lets the owner do everything', async () => {
    for (const route of [...routes.reading, ...routes.writing]) {
      const { status } = await call(owner, route);
      expect([route[0], route[1], status < 300]).toEqual([route[0], route[1], true]);
    }
  });

  it('names the permissions of the caller', async () => {
    expect((await owner.get('/auth/me')).body.permissions).toEqual(
      expect.arrayContaining(['webhooks:read', 'webhooks:write']),
    );
    const { permissions } = (await viewer.get('/auth/me')).body;
    expect(permissions).toContain('webhooks:read');
    expect(permissions).not.toContain('webhooks:write');
  });
});
