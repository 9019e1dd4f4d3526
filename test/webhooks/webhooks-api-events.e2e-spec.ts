import { randomUUID } from 'node:crypto';
import { Ajv2020 } from 'ajv/dist/2020';
import type { ApiClient } from '../harness/client';
import { expectProblem, faultsOf } from '../harness/problems';
import { startService, type TestService } from '../harness/service';
import { endpointInput, makeEndpoint, seedDeliveries } from '../harness/webhooks';

const OUR_TYPES = [
  'tenant.changed', 'member.invited', 'member.joined', 'member.changed', 'member.removed',
  'api_key.created', 'api_key.revoked',
  'order.created', 'order.updated', 'order.confirmed', 'order.processing', 'order.completed', 'order.cancelled',
  'audit.authentication', 'audit.group', 'audit.access', 'audit.account', 'audit.activity', 'audit.checkpoint',
  'webhook.test', 'webhook.challenge', 'webhook.endpoint.disabled',
]; // prettier-ignore

describe('webhook events', () => {
  let service: TestService;
  let tenant: ApiClient;

  beforeAll(async () => {
    service = await startService();
    tenant = await service.tenant();
  });
  afterAll(() => service.stop());

  const emit = (body: unknown, headers?: Record<string, string>) => tenant.post('/webhooks/events', body, headers);
  const count = async (client: ApiClient) => {
    const [row] = await service.database.sql(
      `select (select count(*)::int from events where tenant_id = $1) as events,
              (select count(*)::int from outbox where tenant_id = $1) as outbox`,
      [client.tenantId],
    );
    return row;
  };

  describe('emitting', () => {
    it('responds with 202 with the event, and shows it ever after', async () => {
      const data = {
        invoice: 'INV-1',
        lines: [{ amount: '1.20' }, null, true],
        'ключ €': '\u2028"\\',
        nested: { a: {} },
      };
      const response = await emit({ type: 'invoice.paid', data, event_id: 'my own/ID ü' });
      expect(response.status).toBe(202);
      expect(response.body).toEqual({
        id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-7/),
        type: 'invoice.paid',
        timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
        data,
        aggregate_id: null,
        sequence: null,
        event_id: 'my own/ID ü',
        filtered_count: 0,
        deliveries: [],
        has_more_deliveries: false,
      });
      const read = await tenant.get(`/webhooks/events/${response.body.id}`);
      expect(read.body).toEqual(response.body);
    });

    it('keeps numbers in the characters in which they came', async () => {
      const raw = '{"type":"a.b","data":{"n":[1e3,12345678901234567890,-0.5,0.1],"__proto__":{"x":1}}}';
      const response = await emit(raw);
      expect(response.status).toBe(202);
      const data = '"data":{"n":[1e3,12345678901234567890,-0.5,0.1],"__proto__":{"x":1}}';
      expect(response.text).toContain(data);
      expect((await tenant.get(`/webhooks/events/${response.body.id}`)).text).toContain(data.slice(7));
    });

    it('emits once for one event_id, whatever the other fields', async () => {
      const quiet = await service.tenant();
      const first = await quiet.post('/webhooks/events', { type: 'a.b', data: { n: 1 }, event_id: 'x' });
      const second = await quiet.post('/webhooks/events', { type: 'c.d', data: { n: 2 }, event_id: 'x' });
      expect([second.status, second.body]).toEqual([202, first.body]);
      expect(await count(quiet)).toEqual({ events: 1, outbox: 1 });
      const others = await tenant.post('/webhooks/events', { type: 'a.b', data: {}, event_id: 'x' });
      expect(others.body.id).not.toBe(first.body.id);
    });

    it('emits once where 20 come at the same time', async () => {
      const busy = await service.tenant();
      const responses = await Promise.all(
        Array.from({ length: 20 }, (_, n) =>
          busy.post(
            '/webhooks/events',
            { type: 'a.b', data: { n }, event_id: 'race' },
            n % 2 === 0 ? undefined : { 'idempotency-key': `key-${n}` },
          ),
        ),
      );
      expect(responses.map((response) => response.status)).toEqual(Array(20).fill(202));
      expect(new Set(responses.map((response) => JSON.stringify([response.body.id, response.body.data]))).size).toBe(1);
      expect(await count(busy)).toEqual({ events: 1, outbox: 1 });
    });

    it('replays under an Idempotency-Key', async () => {
      const key = { 'idempotency-key': randomUUID() };
      const first = await emit({ type: 'a.b', data: {} }, key);
      const second = await emit({ type: 'a.b', data: {} }, key);
      expect(second.text).toBe(first.text);
      expect(second.headers.get('idempotency-replayed')).toBe('true');
      expectProblem(await emit({ type: 'a.b', data: { n: 1 } }, key), 'idempotency_key_reused');
    });

    it.each<[string, Record<string, unknown>, string[]]>([
      ['no type', { type: undefined }, ['type: required']],
      ['one word', { type: 'paid' }, ['type: event_type']],
      ['upper case', { type: 'Invoice.paid' }, ['type: event_type']],
      ['a dot at its end', { type: 'invoice.' }, ['type: event_type']],
      ['a line break', { type: 'invoice.paid\n' }, ['type: text']],
      ['a pattern', { type: 'invoice.*' }, ['type: event_type']],
      ['a long type', { type: `a.${'b'.repeat(254)}` }, ['type: max_length']],
      ['our type', { type: 'order.created' }, ['type: reserved_event_type']],
      ['a type below ours', { type: 'webhook.mine' }, ['type: reserved_event_type']],
      ['no data', { data: undefined }, ['data: required']],
      ['data null', { data: null }, ['data: is_object']],
      ['data a list', { data: [] }, ['data: is_object']],
      ['data text', { data: '{}' }, ['data: is_object']],
      ['data over 256 KiB', { data: { a: 'ü'.repeat(131_072) } }, ['data: max_bytes']],
      ['event_id empty', { event_id: '' }, ['event_id: min_length']],
      ['event_id too long', { event_id: 'a'.repeat(256) }, ['event_id: max_length']],
      ['event_id with a tab', { event_id: 'a\tb' }, ['event_id: text']],
      ['event_id a number', { event_id: 1 }, ['event_id: is_string']],
      ['an aggregate', { aggregate_id: randomUUID() }, ['aggregate_id: unknown_field']],
    ])('responds with 422 for %s', async (_, change, faults) => {
      expect(faultsOf(await emit({ type: 'invoice.paid', data: {}, ...change }))).toEqual(faults);
    });

    it('reports every fault at once, numbers that no double holds among them', async () => {
      const response = await emit('{"type":"order.x","data":{"a":[1e999]},"event_id":""}');
      expect(faultsOf(response)).toEqual([
        'data.a.0: invalid_number',
        'event_id: min_length',
        'type: reserved_event_type',
      ]);
      const both = await emit({ type: 'Order.x', data: [], event_id: '' });
      expect(faultsOf(both)).toEqual(['data: is_object', 'event_id: min_length', 'type: event_type']);
    });

    it('takes data of just 256 KiB, and a type like ours but for its first word', async () => {
      const filler = 'a'.repeat(256 * 1024 - '{"a":""}'.length);
      expect((await emit({ type: 'orders.created', data: { a: filler } })).status).toBe(202);
    });
  });

  describe('reading', () => {
    it('lists by cursor and type, newest first, orders’ events among them', async () => {
      const lister = await service.tenant();
      const order = await lister.createOrder();
      await lister.patch(`/orders/${order.id}/status`, { status: 'confirmed' });
      for (let n = 0; n < 5; n++) await lister.post('/webhooks/events', { type: 'count.up', data: { n } });
      const all = (await lister.get('/webhooks/events')).body.data;
      expect(all.map((event: { type: string }) => event.type)).toEqual([
        ...Array(5).fill('count.up'),
        'order.confirmed',
        'order.created',
      ]);
      expect(all[6]).toMatchObject({ data: order, aggregate_id: order.id, sequence: 1, event_id: null });
      const seen: number[] = [];
      let cursor: string | null = '';
      while (cursor !== null) {
        const query: string = cursor && `&cursor=${cursor}`;
        const page = (await lister.get(`/webhooks/events?type=count.up&limit=2${query}`)).body;
        seen.push(...page.data.map((event: { data: { n: number } }) => event.data.n));
        cursor = page.next_cursor;
      }
      expect(seen).toEqual([4, 3, 2, 1, 0]);
      const typed = (await lister.get('/webhooks/events?type=count.up&limit=1')).body.next_cursor;
      expectProblem(await lister.get(`/webhooks/events?cursor=${typed}`), 'invalid_cursor');
      expect((await lister.get('/webhooks/events?type=no.such')).body.data).toEqual([]);
      expect(faultsOf(await lister.get('/webhooks/events?limit=101&colour=red'))).toEqual([
        'colour: unknown_field',
        'limit: max',
      ]);
    });

    it('shows an event with its deliveries, the first hundred of them and those not sent last', async () => {
      const { id } = (await emit({ type: 'a.b', data: {} })).body;
      for (let n = 0; n < 3; n++) {
        const endpoint = await makeEndpoint(tenant);
        const status = n === 0 ? 'filtered' : 'succeeded';
        await seedDeliveries(service.database, tenant.tenantId, endpoint.id, [{ status, type: 'a.b', eventId: id }]);
      }
      const few = await tenant.get(`/webhooks/events/${id}`);
      const statuses = few.body.deliveries.map((delivery: { status: string }) => delivery.status);
      expect(statuses).toEqual(['succeeded', 'succeeded', 'filtered']);
      expect(few.body.has_more_deliveries).toBe(false);
      const [listed] = (await tenant.get(`/webhooks/deliveries?event_id=${id}&status=filtered`)).body.data;
      expect(few.body.deliveries[2]).toEqual(listed);

      const etag = few.headers.get('etag') as string;
      expect(etag).toMatch(/^"\d+"$/);
      expect((await tenant.get(`/webhooks/events/${id}`, { 'if-none-match': etag })).status).toBe(304);
      await service.database.sql(
        `insert into deliveries (tenant_id, id, endpoint_id, event_id, event_type, status, attempt_count, tries, created_at)
         select $1, gen_random_uuid(), gen_random_uuid(), $2, 'a.b', 'succeeded', 1, 1, now() from generate_series(1, 100)`,
        [tenant.tenantId, id],
      );
      const many = await tenant.get(`/webhooks/events/${id}`, { 'if-none-match': etag });
      expect(many.status).toBe(200);
      expect(many.body.deliveries).toHaveLength(100);
      expect(many.body.has_more_deliveries).toBe(true);
    });

    it.each(['not-an-id', randomUUID()])('responds with 404 for %s', async (id) => {
      const problem = expectProblem(await tenant.get(`/webhooks/events/${id}`), 'not_found');
      expect(problem.detail).toBe(`Event '${id}' not found`);
    });
  });

  describe('the catalogue', () => {
    it('has each of our types, with a schema that its example keeps to', async () => {
      const { status, body } = await tenant.get('/webhooks/event-types');
      expect(status).toBe(200);
      const names = body.data.map((type: { name: string }) => type.name);
      expect(names).toEqual(expect.arrayContaining(OUR_TYPES));
      for (const type of body.data) {
        expect(type).toMatchObject({ schema_of: 'message', description: expect.any(String), version: null });
        expect(type.schema.$schema).toBe('https://json-schema.org/draft/2020-12/schema');
        const validate = new Ajv2020({ strict: false, validateFormats: false }).compile(type.schema);
        expect([validate(type.example), validate.errors]).toEqual([true, null]);
        expect(type.example.type).toBe(type.name);
        expect(validate({ ...type.example, type: 'another.type' })).toBe(false);
      }
    });

    it('describes the events of an order', async () => {
      const order = await tenant.createOrder({ notes: null, metadata: { a: 'b' } });
      await tenant.patch(`/orders/${order.id}`, { notes: 'n' });
      const { data: types } = (await tenant.get('/webhooks/event-types')).body;
      const { data: events } = (await tenant.get('/webhooks/events?limit=2')).body;
      expect(events.map((event: { type: string }) => event.type)).toEqual(['order.updated', 'order.created']);
      for (const { id, type, timestamp, data } of events) {
        const { schema } = types.find((candidate: { name: string }) => candidate.name === type);
        const validate = new Ajv2020({ strict: false, validateFormats: false }).compile(schema);
        expect([validate({ id, type, timestamp, data }), validate.errors]).toEqual([true, null]);
        expect(validate({ id, type, timestamp, data: { ...data, items: [{}] } })).toBe(false);
      }
    });

    it('has names that endpoints may subscribe to, and that the document describes', async () => {
      expect((await tenant.post('/webhooks/endpoints', endpointInput({ event_types: OUR_TYPES }))).status).toBe(201);
      const document = (await service.client.get('/openapi.json')).body;
      const { data } = (await tenant.get('/webhooks/event-types')).body;
      expect(Object.keys(document.webhooks)).toEqual(data.map(({ name }: { name: string }) => name));
    });
  });
});
