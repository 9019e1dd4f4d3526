import { EventCatalogue } from '../../src/platform/outbox/event-catalogue';
import { PERMISSIONS } from '../../src/platform/permissions/permissions';
import type { ApiClient } from '../harness/client';
import { addMember, makeKey } from '../harness/members';
import { expectProblem } from '../harness/problems';
import { startService, type TestService } from '../harness/service';
import { endpointInput, makeEndpoint, seedDeliveries } from '../harness/webhooks';

/** Events about people, keys and the tenant have permissions of their own, which every way to them requires. */
describe('events that need a permission of their own', () => {
  let service: TestService;
  let owner: ApiClient;
  let hooks: ApiClient;

  beforeAll(async () => {
    service = await startService();
    owner = await service.tenant();
    await owner.post('/roles', { name: 'hooks', permissions: ['webhooks:read', 'webhooks:write'] });
    hooks = await addMember(service, owner, 'hooks');
  });
  afterAll(() => service.stop());

  const taking = (client: ApiClient, ...types: string[]) =>
    client.post('/webhooks/endpoints', endpointInput({ event_types: types }));

  it('are required of every caller that makes or changes an endpoint that receives them', async () => {
    for (const type of [
      'session.revoked',
      'session.*',
      'sso.changed',
      'member.joined',
      'member.*',
      'api_key.*',
      'api_key.created',
      'tenant.changed',
      'sso.*',
      'audit.*',
    ]) {
      expectProblem(await taking(hooks, 'order.*', type), 'forbidden');
      expect([type, (await taking(owner, type)).status]).toEqual([type, 201]);
    }
    const plain = await makeEndpoint(hooks, { event_types: ['*'] });
    expectProblem(await hooks.patch(`/webhooks/endpoints/${plain.id}`, { event_types: ['member.*'] }), 'forbidden');
    expect((await hooks.patch(`/webhooks/endpoints/${plain.id}`, { event_types: ['order.*'] })).status).toBe(200);
  });

  it('are required at every operation on such an endpoint', async () => {
    const { id } = await makeEndpoint(owner, { event_types: ['member.*'] });
    const path = `/webhooks/endpoints/${id}`;
    const [failed] = await seedDeliveries(service.database, owner.tenantId, id as string, [{ status: 'failed' }]);
    for (const [method, route, body] of [
      ['POST', `/webhooks/deliveries/${failed}/retry`],
      ['PATCH', path, { description: 'mine' }],
      ['GET', `${path}/secret`],
      ['POST', `${path}/rotate-secret`, {}],
      ['POST', `${path}/test`],
      ['POST', `${path}/recover`, { since: '2020-01-01T00:00:00Z' }],
    ] as const) {
      expect([route, (await hooks.request(method, route, { body })).status]).toEqual([route, 403]);
      expect([route, (await owner.request(method, route, { body })).status < 300]).toEqual([route, true]);
    }
  });

  it('are not shown in the log to others, neither in a list nor alone', async () => {
    await makeKey(owner);
    const mine = (await owner.get('/webhooks/events?type=api_key.created')).body.data;
    expect(mine).toHaveLength(1);
    expect((await hooks.get('/webhooks/events?type=api_key.created')).body.data).toEqual([]);
    expectProblem(await hooks.get(`/webhooks/events/${mine[0].id}`), 'not_found');
    await hooks.post('/webhooks/events', { type: 'a.b', data: {} });
    expect((await hooks.get('/webhooks/events')).body.data.map(({ type }: { type: string }) => type)).toContain('a.b');
  });

  it('begin like no event of a tenant’s own, and are no part of *', async () => {
    for (const type of ['member.x', 'api_key.x', 'session.x', 'sso.x', 'tenant.x', 'audit.x']) {
      expectProblem(await owner.post('/webhooks/events', { type, data: {} }), 'validation_error');
    }
    const catalogue = service.app.get(EventCatalogue, { strict: false });
    expect(
      catalogue
        .all()
        .filter(({ permission }) => permission)
        .filter(({ name, permission }) => PERMISSIONS.ofEvent(name) !== permission),
    ).toEqual([]);
  });
});
