import { TenantUsage } from '../../src/platform/usage/tenant-usage';
import { TenantDatabase } from '../../src/platform/database/tenant-database';
import { newTimedId } from '../../src/platform/ids/ids';
import { deliveryId } from '../../src/webhooks/deliveries/delivery-id';
import { type OutboxConsumer, type OutboxEvent, relayEvents } from '../../src/platform/outbox/relay';
import type { DeliveryMetrics } from '../../src/webhooks/deliveries/delivery-metrics';
import type { Offer } from '../../src/webhooks/dispatch/tenant-queues';
import type { Dispatchers } from '../../src/webhooks/dispatch/dispatchers';
import { FanOut } from '../../src/webhooks/dispatch/fan-out/fan-out';
import type { ApiClient } from '../harness/client';
import { startService, type TestService } from '../harness/service';

const MANY = 1_000_000;

/** Something that happens once. */
class Signal {
  give: () => void = () => undefined;
  readonly given = new Promise<void>((resolve) => (this.give = resolve));
}

describe('fan-out', () => {
  let service: TestService;
  let tenant: ApiClient;

  beforeAll(async () => {
    service = await startService();
  });
  beforeEach(async () => {
    tenant = await service.tenant();
    offers.length = 0;
    counts.clear();
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

  const offers: Offer[] = [];
  const counts = new Map<string, number>();
  class BoundedFanOut extends FanOut {
    constructor(deliveries: number) {
      const current = { offer: (made: readonly Offer[]) => void offers.push(...made) };
      const count = (status: string, number = 1) => counts.set(status, (counts.get(status) ?? 0) + number);
      super(
        { current } as unknown as Dispatchers,
        { count } as unknown as DeliveryMetrics,
        service.app.get(TenantUsage, { strict: false }),
      );
      this.deliveriesAtOnce = deliveries;
    }
  }

  const relay = async (events = 200, deliveries = MANY): Promise<OutboxEvent[]> => {
    const consumers = [new BoundedFanOut(deliveries)];
    return (await relayEvents(service.app.get(TenantDatabase), tenant.tenantId, consumers, events)).events;
  };
  /** The deliveries that the relay's transaction has made. */
  async function take(events?: number, deliveries?: number) {
    const taken = await relay(events, deliveries);
    return sql(
      'select * from deliveries where tenant_id = $1 and event_id = any($2::uuid[]) order by event_id, endpoint_id',
      [tenant.tenantId, taken.map(({ event_id }) => event_id)],
    );
  }

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
    [['*'], 'member.invited', false],
    [['*'], 'audit.checkpoint', false],
    [['member.*'], 'member.invited', true],
    [['*', 'webhook.*'], 'webhook.challenge', false],
    [['order.created', 'order.updated'], 'order.updated', true],
    [['order.created'], 'order.cancelled', false],
    [[], 'order.created', false],
  ])('of %j, %s: %s', async (patterns, type, wanted) => {
    await addEndpoint(patterns);
    await addEvent(type);
    expect((await take()).map(({ status }) => status)).toEqual([wanted ? 'pending' : 'filtered']);
  });

  it('writes a delivery for each endpoint, with the id of the pair, and empties the outbox', async () => {
    const endpoints = [
      await addEndpoint(['*'], { ordering: 'by_aggregate' }),
      await addEndpoint(['*'], { enabled: false }),
      await addEndpoint(['none.*']),
    ];
    const aggregateId = newTimedId().id;
    const events: string[] = [];
    for (const sequence of [1, 2]) events.push(await addEvent('order.created', { aggregateId, sequence }));
    const written = await take();
    const due = expect.any(Date) as Date;
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
        next_attempt_at: which === 0 ? due : null,
        completed_at: which === 0 ? null : due,
      })),
    );
    expect(written).toMatchObject(expected);
    expect(offers.map(({ deliveryId: id }) => id)).toEqual(events.map((id) => deliveryId(id, endpoints[0] as string)));
    expect(offers[0]?.endpoint).toMatchObject({ enabled: true, rate_limit: 7, ordering: 'by_aggregate' });
    expect(Object.fromEntries(counts)).toEqual({ disabled: 2, filtered: 2 });
    expect(await waiting()).toEqual([]);
  });

  it('gives every pair the id that deliveryId gives it', async () => {
    for (let i = 0; i < 8; i++) await addEndpoint(['*']);
    for (let i = 0; i < 25; i++) await addEvent('order.created');
    const rows = await take();
    expect(rows).toHaveLength(200);
    expect(rows.map((row) => row.id)).toEqual(rows.map((row) => deliveryId(row.event_id, row.endpoint_id)));
  });

  it('sends an event for one endpoint to that one alone, with any subscriptions, enabled or not', async () => {
    const [endpointId] = [await addEndpoint([], { enabled: false }), await addEndpoint(['*'])];
    await addEvent('webhook.test', { endpointId });
    expect(await take()).toMatchObject([{ endpoint_id: endpointId, status: 'pending' }]);
  });

  it('removes events without an endpoint from the outbox', async () => {
    const event = await addEvent('order.created');
    const gone = await addEvent('webhook.test', { endpointId: newTimedId().id });
    const expired = await addEvent('order.created');
    await sql('delete from events where id = $1', [expired]);
    expect(await relay()).toMatchObject([{ event_id: event }, { event_id: gone }, { event_id: expired }]);
    expect(offers).toEqual([]);
    expect(await waiting()).toEqual([]);
  });

  it('does not change an existing delivery', async () => {
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
      new Set((await relay(most, deliveries)).map((row) => row.event_id));
    expect(await taken(3, MANY)).toEqual(new Set(events.slice(0, 3)));
    expect(await taken(200, 8)).toEqual(new Set(events.slice(3, 5)));
    expect(await taken(200, 1)).toEqual(new Set(events.slice(5, 6)));
    expect(await waiting()).toEqual(events.slice(6));
  });

  it('of a tenant is one at a time, in order, and cannot read another tenant', async () => {
    await addEndpoint(['*']);
    const events: string[] = [];
    for (let i = 0; i < 3; i++) events.push(await addEvent('order.created'));
    const others = await service.tenant();
    await others.createOrder();
    // A relay whose process died while its transaction still runs in PostgreSQL: no event overtakes it.
    const [locked, ended] = [new Signal(), new Signal()];
    const running = service.app.get(TenantDatabase).transaction(tenant, async (tx) => {
      const text = `select pg_advisory_xact_lock(hashtextextended('outbox/' || $1::text, 11))`;
      await tx.query({ name: 'test_outbox_lock', text, values: [tenant.tenantId] });
      locked.give();
      await ended.given;
    });
    await locked.given;
    expect(await relay(1)).toEqual([]);
    expect(await waiting()).toEqual(events);
    ended.give();
    await running;
    expect((await relay(2)).map((event) => event.event_id)).toEqual(events.slice(0, 2));
    const relays = await Promise.all([relay(), relay(), relay()]);
    expect(relays.flat().map((event) => event.event_id)).toEqual(events.slice(2));
    expect(await sql('select count(*)::int as waiting from outbox where tenant_id = $1', [others.tenantId])).toEqual([
      { waiting: 1 },
    ]);
  });

  it('does not wait for the disk: its own commit can be repeated', async () => {
    await addEvent('order.created');
    const text = `select setting, source from pg_settings where name = 'synchronous_commit'`;
    const settings: unknown[] = [];
    const consumer: OutboxConsumer = {
      open: async (tx) => {
        settings.push(...(await tx.query({ name: 'test_synchronous_commit', text, values: [] })));
        return { limit: 1, take: () => undefined, committed: () => undefined };
      },
    };
    const database = service.app.get(TenantDatabase);
    expect((await relayEvents(database, tenant.tenantId, [consumer])).events).toHaveLength(1);
    expect(settings).toEqual([{ setting: 'off', source: 'session' }]);
    // Of this transaction alone: those after it on the same connection wait as the database says.
    for (let connection = 0; connection < 20; connection++) {
      const query = { name: 'test_synchronous_commit', text, values: [] };
      const [after] = await database.transaction(tenant, (tx) => tx.query<{ source: string }>(query));
      expect(after?.source).not.toBe('session');
    }
  });

  it('counts unsubscribed endpoints in the event, and writes a row for the first hundred of them', async () => {
    const endpoints = [];
    for (let i = 0; i < 105; i++) endpoints.push(await addEndpoint(['none.*']));
    const wanting = await addEndpoint(['order.created']);
    const [many, few] = [await addEvent('order.created'), await addEvent('none.x')];
    const rows = await take();
    const of = (eventId: string, status: string) =>
      rows.filter((row) => row.event_id === eventId && row.status === status).map((row) => row.endpoint_id as string);
    expect(of(many, 'filtered')).toEqual(endpoints.slice(0, 100));
    expect([of(many, 'pending'), of(few, 'filtered')]).toEqual([[wanting], [wanting]]);
    expect(of(few, 'pending')).toHaveLength(105);
    expect(counts.get('filtered')).toBe(106);
    const shown = async (id: string) => (await tenant.get(`/webhooks/events/${id}`)).body.filtered_count as number;
    expect([await shown(many), await shown(few)]).toEqual([105, 1]);
    const { body } = await tenant.get('/webhooks/events');
    expect(body.data.map((event: { filtered_count: number }) => event.filtered_count)).toEqual([1, 105]);
    const { body: filtered } = await tenant.get(`/webhooks/deliveries?event_id=${many}&status=filtered&limit=100`);
    expect([filtered.data.length, filtered.has_more]).toEqual([100, false]);
  });
});
