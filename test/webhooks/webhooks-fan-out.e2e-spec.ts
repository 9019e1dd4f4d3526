import { TenantDatabase } from '../../src/platform/database/tenant-database';
import { newTimedId } from '../../src/platform/ids/ids';
import { deliveryId } from '../../src/webhooks/deliveries/delivery-id';
import { type FannedOutRow, fanOut } from '../../src/webhooks/dispatch/fan-out.queries';
import type { ApiClient } from '../harness/client';
import { startService, type TestService } from '../harness/service';

const MANY = 1_000_000;

describe('fan-out', () => {
  let service: TestService;
  let tenant: ApiClient;

  beforeAll(async () => {
    service = await startService();
  });
  beforeEach(async () => {
    tenant = await service.tenant();
  });
  afterAll(() => service.stop());

  const sql = (text: string, values: unknown[] = []) => service.database.sql(text, values) as Promise<any[]>; // eslint-disable-line @typescript-eslint/no-explicit-any

  async function addEndpoint(eventTypes: string[], change: { enabled?: boolean; ordering?: string } = {}) {
    const { id } = newTimedId();
    await sql(
      `insert into webhook_endpoints (tenant_id, id, url, event_types, headers, secret, signature, enabled, ordering, rate_limit,
                                      version, created_at, updated_at)
       values ($1, $2, 'https://example.com', $3, '{}', 'sealed', 'v1', $4, $5, 7, 1, now(), now())`,
      [tenant.tenantId, id, eventTypes, change.enabled ?? true, change.ordering ?? 'none'],
    );
    return id;
  }

  async function addEvent(type: string, change: { endpointId?: string; aggregateId?: string; sequence?: number } = {}) {
    const { id } = newTimedId();
    await sql(
      `insert into events (tenant_id, id, type, data, aggregate_id, sequence, created_at) values ($1, $2, $3, '{}', $4, $5, now())`,
      [tenant.tenantId, id, type, change.aggregateId, change.sequence],
    );
    await sql('insert into outbox (tenant_id, event_id, endpoint_id) values ($1, $2, $3)', [
      tenant.tenantId,
      id,
      change.endpointId,
    ]);
    return id;
  }

  const take = (events = 200, deliveries = MANY, now = new Date()): Promise<FannedOutRow[]> =>
    service.app.get(TenantDatabase).write<FannedOutRow>(tenant, fanOut(tenant.tenantId, events, deliveries, now));

  const waiting = async () =>
    (await sql('select event_id from outbox where tenant_id = $1 order by position', [tenant.tenantId])).map(
      (row) => row.event_id,
    );

  it.each([
    [['*'], 'order.created', true],
    [['*'], 'webhook.endpoint.disabled', true],
    [['*'], 'webhook.test', false],
    [['webhook.test'], 'webhook.test', false],
    [['webhook.*'], 'webhook.test', false],
    [['order.*'], 'order.created', true],
    [['order.*'], 'order.line.added', true],
    [['order.*'], 'orders.created', false],
    [['order.*'], 'order', false],
    [['order.%'], 'order.created', false],
    [['order_.*'], 'orders.created', false],
    [['order.created', 'order.updated'], 'order.updated', true],
    [['order.created'], 'order.cancelled', false],
    [[], 'order.created', false],
  ])('of %j, %s: %s', async (patterns, type, wanted) => {
    await addEndpoint(patterns);
    await addEvent(type);
    expect((await take()).map(({ status }) => status)).toEqual([wanted ? 'pending' : 'filtered']);
  });

  it('writes a delivery for each endpoint, under the id that stands for the pair, and empties the outbox', async () => {
    const endpoints = [
      await addEndpoint(['*'], { ordering: 'by_aggregate' }),
      await addEndpoint(['*'], { enabled: false }),
      await addEndpoint(['none.*']),
    ];
    const aggregateId = newTimedId().id;
    const events: string[] = [];
    for (const sequence of [1, 2]) events.push(await addEvent('order.created', { aggregateId, sequence }));
    const now = new Date('2026-01-02T03:04:05.678Z');
    const rows = await take(200, MANY, now);
    expect([...new Set(rows.map(({ event_id }) => event_id))]).toEqual(events);
    expect(rows).toHaveLength(6);
    const written = await sql('select * from deliveries where tenant_id = $1 order by event_id, endpoint_id', [
      tenant.tenantId,
    ]);
    const expected = events.flatMap((eventId, at) =>
      endpoints.map((endpointId, which) => ({
        id: deliveryId(eventId, endpointId),
        endpoint_id: endpointId,
        event_id: eventId,
        event_type: 'order.created',
        aggregate_id: aggregateId,
        sequence: at + 1,
        status: ['pending', 'disabled', 'filtered'][which],
        attempt_count: 0,
        tries: 0,
        next_attempt_at: which === 0 ? now : null,
        completed_at: which === 0 ? null : now,
      })),
    );
    expect(written).toMatchObject(expected);
    expect(rows.find(({ id }) => id === endpoints[0])).toMatchObject({
      status: 'pending',
      enabled: true,
      rate_limit: 7,
      ordering: 'by_aggregate',
    });
    expect(await waiting()).toEqual([]);
  });

  it('gives every pair the id that deliveryId gives it', async () => {
    for (let i = 0; i < 8; i++) await addEndpoint(['*']);
    for (let i = 0; i < 25; i++) await addEvent('order.created');
    const rows = await take();
    expect(rows).toHaveLength(200);
    expect(rows.map((row) => row.delivery_id)).toEqual(rows.map((row) => deliveryId(row.event_id, row.id)));
  });

  it('sends what is for one endpoint to that one alone, whatever it subscribes to, enabled or not', async () => {
    const [endpointId] = [await addEndpoint([], { enabled: false }), await addEndpoint(['*'])];
    await addEvent('webhook.test', { endpointId });
    expect(await take()).toMatchObject([{ id: endpointId, status: 'pending' }]);
  });

  it('takes out of the outbox what nobody is there for', async () => {
    const event = await addEvent('order.created');
    const gone = await addEvent('webhook.test', { endpointId: newTimedId().id });
    expect(await take()).toMatchObject([
      { event_id: event, delivery_id: null, status: null },
      { event_id: gone, delivery_id: null, status: null },
    ]);
    expect(await waiting()).toEqual([]);
  });

  it('leaves a delivery that is there as it is', async () => {
    const endpointId = await addEndpoint(['*']);
    const event = await addEvent('order.created');
    await take();
    await sql(
      `update deliveries set status = 'succeeded', next_attempt_at = null, completed_at = now() where event_id = $1`,
      [event],
    );
    await sql('insert into outbox (tenant_id, event_id) values ($1, $2)', [tenant.tenantId, event]);
    await take();
    expect(await sql('select id, status from deliveries where event_id = $1', [event])).toEqual([
      { id: deliveryId(event, endpointId), status: 'succeeded' },
    ]);
  });

  it('takes the first, and of a tenant of many endpoints fewer, but one at least', async () => {
    for (let i = 0; i < 4; i++) await addEndpoint(['*']);
    const events: string[] = [];
    for (let i = 0; i < 10; i++) events.push(await addEvent('order.created'));
    const taken = async (most: number, deliveries: number) =>
      new Set((await take(most, deliveries)).map((row) => row.event_id));
    expect(await taken(3, MANY)).toEqual(new Set(events.slice(0, 3)));
    expect(await taken(200, 8)).toEqual(new Set(events.slice(3, 5)));
    expect(await taken(200, 1)).toEqual(new Set(events.slice(5, 6)));
    expect(await waiting()).toEqual(events.slice(6));
  });

  it('passes over what another relay holds, and sees nothing of another tenant', async () => {
    await addEndpoint(['*']);
    const events = [await addEvent('order.created'), await addEvent('order.updated')];
    const others = await service.tenant();
    await others.createOrder();
    const relays = await Promise.all([take(1), take(1), take(1)]);
    expect(
      relays
        .flat()
        .map((row) => row.event_id)
        .sort(),
    ).toEqual(events);
    expect(await sql('select count(*)::int as waiting from outbox where tenant_id = $1', [others.tenantId])).toEqual([
      { waiting: 1 },
    ]);
  });
});
