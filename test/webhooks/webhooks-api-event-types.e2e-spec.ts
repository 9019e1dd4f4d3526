import { randomUUID } from 'node:crypto';
import { SchemaCache } from '../../src/webhooks/event-types/schema-cache';
import { type ApiResponse, ApiClient } from '../harness/client';
import { expectProblem, faultsOf } from '../harness/problems';
import { startService, type TestService } from '../harness/service';
import { makeEndpoint } from '../harness/webhooks';

const SCHEMA = {
  type: 'object',
  required: ['invoice', 'amount'],
  additionalProperties: false,
  properties: {
    invoice: { type: 'string', maxLength: 20 },
    amount: { type: 'number', minimum: 0, multipleOf: 0.01 },
    lines: { type: 'array', maxItems: 3, items: { $ref: '#/$defs/line' } },
  },
  $defs: { line: { type: 'object', required: ['sku'], properties: { sku: { enum: ['A', 'B'] } } } },
};
const EXAMPLE = { invoice: 'INV-1', amount: 19.99 };

describe('event types', () => {
  let service: TestService;
  /** A second process on the same database, which gets no notification. */
  let other: TestService;
  let tenant: ApiClient;

  beforeAll(async () => {
    service = await startService();
    other = await startService({ database: service.database });
    tenant = await service.tenant();
  });
  afterAll(async () => {
    await other.stop();
    await service.stop();
  });

  const put = (name: string, body: unknown, headers?: Record<string, string>, client = tenant) =>
    client.request('PUT', `/webhooks/event-types/${name}`, { body, headers });
  const get = (name: string, headers?: Record<string, string>) => tenant.get(`/webhooks/event-types/${name}`, headers);
  const remove = (name: string, headers?: Record<string, string>) =>
    tenant.delete(`/webhooks/event-types/${name}`, headers);
  const emit = (type: string, data: unknown, headers?: Record<string, string>, more: object = {}) =>
    tenant.post('/webhooks/events', { type, data, ...more }, headers);
  const elsewhere = (client: ApiClient) => new ApiClient(other.url, client.session);
  let count = 0;
  /** A name that no other test uses. */
  const fresh = () => `kind_${++count}.happened`;
  const etagOf = (response: ApiResponse) => response.headers.get('etag') as string;

  describe('registering', () => {
    it('responds with 201 with the type, 200 for each change, and shows it ever after', async () => {
      const name = fresh();
      const first = await put(name, { description: 'Paid.\nIn full.', schema: SCHEMA, example: EXAMPLE });
      expect(first.status).toBe(201);
      expect(first.body).toEqual({
        name,
        description: 'Paid.\nIn full.',
        schema_of: 'data',
        schema: SCHEMA,
        example: EXAMPLE,
        version: 1,
        created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
        updated_at: first.body.created_at,
      });
      expect(Object.keys(first.body.schema)).toEqual(Object.keys(SCHEMA));
      const read = await get(name);
      expect([read.text, etagOf(read)]).toEqual([first.text, etagOf(first)]);

      const second = await put(name, { schema: { type: 'object' } });
      expect(second.status).toBe(200);
      expect(second.body).toMatchObject({ description: null, schema: { type: 'object' }, example: null, version: 2 });
      expect(second.body.created_at).toBe(first.body.created_at);
      expect(etagOf(second)).not.toBe(etagOf(first));
      expect((await get(name)).text).toBe(second.text);
    });

    it('makes no new version where nothing changes, in whatever order the keys come', async () => {
      const name = fresh();
      const first = await put(name, {
        schema: { a: undefined, type: 'object', minProperties: 1 },
        example: { a: 1, b: -0 },
      });
      expect(first.status).toBe(201);
      for (const body of [
        '{"example":{"b":-0,"a":1},"description":null,"schema":{"minProperties":1,"type":"object"}}',
        '{"schema":{"type":"object","minProperties":1.0},"example":{"a":1e0,"b":0}}',
      ]) {
        const again = await put(name, body);
        expect([again.status, again.text, etagOf(again)]).toEqual([200, first.text, etagOf(first)]);
      }
    });

    it('lets one of two first calls make it, and counts a version for each change', async () => {
      const name = fresh();
      const bodies = Array.from({ length: 8 }, (_, n) => ({ schema: { minProperties: n } }));
      const responses = await Promise.all(
        bodies.map((body, n) => put(name, body, {}, n % 2 === 0 ? tenant : elsewhere(tenant))),
      );
      expect(responses.map((response) => response.status).sort()).toEqual([...Array(7).fill(200), 201]);
      expect(responses.map((response) => response.body.version).sort()).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
      const last = responses.find((response) => response.body.version === 8);
      expect((await get(name)).text).toBe(last?.text);
    });

    it('makes one version where the same is put many times at once', async () => {
      const name = fresh();
      const responses = await Promise.all(Array.from({ length: 6 }, () => put(name, { schema: SCHEMA })));
      expect(responses.map((response) => response.status).sort()).toEqual([...Array(5).fill(200), 201]);
      expect(new Set(responses.map((response) => response.text)).size).toBe(1);
    });

    it('keeps to If-Match, of which one of two racing changes wins', async () => {
      const name = fresh();
      expectProblem(await put(name, { schema: {} }, { 'if-match': '*' }), 'version_conflict');
      const etag = etagOf(await put(name, { schema: {} }));
      expect((await get(name, { 'if-none-match': etag })).status).toBe(304);
      const racing = await Promise.all(
        [1, 2, 3].map((n) => put(name, { schema: { minProperties: n } }, { 'if-match': etag })),
      );
      expect(racing.map((response) => response.status).sort()).toEqual([200, 412, 412]);
      expectProblem(await remove(name, { 'if-match': etag }), 'version_conflict');
      expect((await remove(name, { 'if-match': etagOf(await get(name)) })).status).toBe(204);
    });

    it.each<[string, string]>([
      ['upper case', 'Invoice.paid'],
      ['one word', 'paid'],
      ['a pattern', 'invoice.*'],
      ['a dot at its end', 'invoice.'],
      ['a line break', 'invoice.paid%0A'],
      ['a long name', `a.${'b'.repeat(254)}`],
    ])('responds with 422 for %s, and 404 where it is read or removed', async (_, name) => {
      expect(faultsOf(await put(name, { schema: {} }))).toEqual(['name: event_type']);
      expectProblem(await get(name), 'not_found');
      expectProblem(await remove(name), 'not_found');
    });

    it('takes a name of 255 characters', async () => {
      const name = `a.${'b'.repeat(253)}`;
      expect((await put(name, { schema: {} })).status).toBe(201);
      expect((await remove(name)).status).toBe(204);
    });

    it.each(['order.created', 'order.mine', 'webhook.test', 'webhook.a.b'])(
      'refuses %s, which is ours',
      async (name) => {
        expect(faultsOf(await put(name, { schema: {} }))).toEqual(['name: reserved_event_type']);
      },
    );

    it.each<[string, unknown, string[]]>([
      ['no schema', {}, ['schema: required']],
      ['null', { schema: null }, ['schema: is_object']],
      ['a list', { schema: [] }, ['schema: is_object']],
      ['true', { schema: true }, ['schema: is_object']],
      ['17 KiB', { schema: { title: 'a'.repeat(17 * 1024) } }, ['schema: max_bytes']],
      ['an example of 17 KiB', { schema: {}, example: { a: 'a'.repeat(17 * 1024) } }, ['example: max_bytes']],
      ['a long description', { schema: {}, description: 'a'.repeat(501) }, ['description: max_length']],
      ['a number that no double holds', '{"schema":{"minimum":1e999},"example":{"a":-1e999}}', ['example.a: invalid_number', 'schema.minimum: invalid_number']],
      ['its name once more', { schema: {}, name: 'a.b' }, ['name: unknown_field']],
      ['many faults, all at once', { schema: { requried: [], properties: { a: { pattern: '(a+)+$' }, b: { $ref: 'https://169.254.169.254/' } } }, description: '\u0007' }, ['description: text', 'schema.properties.a.pattern: refused_keyword', 'schema.properties.b.$ref: keyword_value', 'schema.requried: unknown_keyword']],
      ['itself', { schema: { allOf: [{ $ref: '#' }] } }, ['schema: endless']],
      ['an example that does not fit', { schema: SCHEMA, example: { amount: -1, lines: [{ sku: 'C' }] } }, ['example.amount: minimum', 'example.invoice: required', 'example.lines.0.sku: enum']],
      ['an example that costs too much to check', { schema: costly(), example: {} }, ['example: too_costly']],
    ])('responds with 422 for %s', async (_, body, faults) => {
      expect(faultsOf(await put('invoice.refused', body))).toEqual(faults);
      expectProblem(await get('invoice.refused'), 'not_found');
    }); // prettier-ignore

    it('responds with 400 without a body, and for a schema as deep as no body may be', async () => {
      expectProblem(await put('a.b', undefined), 'malformed_request');
      expectProblem(await put('a.b', `{"schema":${'{"not":'.repeat(40)}{}${'}'.repeat(40)}}`), 'malformed_request');
    });

    it('stops at 500 types of a tenant, also where several come at once, and at 1 MiB of schemas', async () => {
      const crowded = await service.tenant();
      const ours = (await crowded.get('/webhooks/event-types')).body.data.length as number;
      const fill = (types: number, schema: string) =>
        service.database.sql(
          `insert into webhook_event_types
             select $1, 'filler.n' || n, gen_random_uuid(), null, $3::json, null, 1, now(), now() from generate_series(1, $2::int) n`,
          [crowded.tenantId, types, schema],
        );
      await fill(499, '{}');
      const responses = await Promise.all(['a.a', 'a.b', 'a.c'].map((name) => put(name, { schema: {} }, {}, crowded)));
      expect(responses.map((response) => response.status).sort()).toEqual([201, 422, 422]);
      const refused = responses.find((response) => response.status === 422) as ApiResponse;
      expect(expectProblem(refused, 'business_rule_violation').detail).toBe('A tenant has at most 500 event types of its own.');
      expect((await put('filler.n1', { schema: { title: 'changed' } }, {}, crowded)).status).toBe(200);
      expect((await crowded.get('/webhooks/event-types')).body.data).toHaveLength(500 + ours);

      await service.database.sql('delete from webhook_event_types where tenant_id = $1', [crowded.tenantId]);
      await fill(64, JSON.stringify({ title: 'a'.repeat(16 * 1024 - 12) }));
      const full = await put('a.b', { schema: {} }, {}, crowded);
      expect(expectProblem(full, 'business_rule_violation').detail).toBe('The schemas and examples of a tenant are at most 1 MiB in all.');
      expect((await put('filler.n1', { schema: {} }, {}, crowded)).status).toBe(200);
      expect((await put('a.b', { schema: {} }, {}, crowded)).status).toBe(201);
    }); // prettier-ignore
  });

  describe('the catalogue', () => {
    it('lists ours, then the tenant’s own by name, as each is shown alone', async () => {
      const own = await service.tenant();
      const ours = (await own.get('/webhooks/event-types')).body.data.length as number;
      await put('b.second', { schema: SCHEMA, description: 'B' }, {}, own);
      await put('a.first', { schema: {}, example: { a: 1 } }, {}, own);
      const list = await own.get('/webhooks/event-types');
      expect(list.body).toMatchObject({ next_cursor: null, has_more: false });
      const names = list.body.data.map((type: { name: string }) => type.name);
      expect(names.slice(0, ours)).toEqual(expect.arrayContaining(['order.created', 'order.updated', 'webhook.test']));
      expect(names.slice(ours)).toEqual(['a.first', 'b.second']);
      for (const type of list.body.data) {
        const alone = await own.get(`/webhooks/event-types/${type.name}`);
        expect([alone.status, alone.body]).toEqual([200, type]);
        const again = await own.get(`/webhooks/event-types/${type.name}`, { 'if-none-match': etagOf(alone) });
        expect(again.status).toBe(304);
      }
    });

    it('removes the tenant’s own and nothing else', async () => {
      const name = fresh();
      await put(name, { schema: SCHEMA });
      expect((await remove(name)).status).toBe(204);
      expectProblem(await get(name), 'not_found');
      const problem = expectProblem(await remove(name), 'not_found');
      expect(problem.detail).toBe(`Event type '${name}' not found`);
      const ours = expectProblem(await remove('order.created'), 'business_rule_violation');
      expect(ours.detail).toBe("Event type 'order.created' is the service's own and cannot be removed.");
      expectProblem(await remove('order.unknown'), 'not_found');
      expect((await get('order.created')).body).toMatchObject({ schema_of: 'message', version: null });
    });

    it('has a new ETag for a type that was removed and registered again as it was', async () => {
      const name = fresh();
      const etag = etagOf(await put(name, { schema: {} }));
      await remove(name);
      const again = await put(name, { schema: {} });
      expect([again.status, again.body.version]).toEqual([201, 1]);
      expect(etagOf(again)).not.toBe(etag);
      expect((await get(name, { 'if-none-match': etag })).status).toBe(200);
    });

    it('shows, changes and removes nothing of another tenant’s', async () => {
      const name = fresh();
      const mine = await put(name, { schema: SCHEMA });
      const stranger = await service.tenant();
      const path = `/webhooks/event-types/${name}`;
      expectProblem(await stranger.get(path), 'not_found');
      expectProblem(await stranger.delete(path), 'not_found');
      expect((await stranger.get('/webhooks/event-types')).text).not.toContain(name);
      expect((await stranger.post('/webhooks/events', { type: name, data: { anything: 'goes' } })).status).toBe(202);
      const theirs = await put(name, { schema: { required: ['x'] } }, {}, stranger);
      expect([theirs.status, theirs.body.version]).toEqual([201, 1]);
      expect((await get(name)).text).toBe(mine.text);
      expect((await emit(name, EXAMPLE)).status).toBe(202);
      expect(faultsOf(await stranger.post('/webhooks/events', { type: name, data: EXAMPLE }))).toEqual(['data.x: required']);
      expect((await stranger.delete(path)).status).toBe(204);
      expect((await get(name)).text).toBe(mine.text);
    }); // prettier-ignore

    it('lets a viewer read, and nothing else', async () => {
      const viewer = await service.tenant();
      await put('a.b', { schema: {} }, {}, viewer);
      await service.database.sql(`update memberships set role = 'viewer' where tenant_id = $1`, [viewer.tenantId]);
      const reading = elsewhere(viewer);
      expect((await reading.get('/webhooks/event-types/a.b')).status).toBe(200);
      const put403 = await put('a.b', { schema: { minProperties: 1 } }, {}, reading);
      expect(expectProblem(put403, 'forbidden').detail).toBe('The role viewer may not do this: it lacks webhooks:write.');
      expectProblem(await reading.delete('/webhooks/event-types/a.b'), 'forbidden');
      expect((await reading.get('/webhooks/event-types/a.b')).body.version).toBe(1);
    }); // prettier-ignore
  });

  describe('emitting an event of a registered type', () => {
    it('takes what fits the schema, and delivers it as any other', async () => {
      const name = fresh();
      await put(name, { schema: SCHEMA });
      await makeEndpoint(tenant, { event_types: [name] });
      const response = await emit(name, { ...EXAMPLE, lines: [{ sku: 'A' }] });
      expect(response.status).toBe(202);
      expect((await tenant.get(`/webhooks/events/${response.body.id}`)).body.data).toEqual(response.body.data);
    });

    it.each<[string, unknown, string[]]>([
      ['nothing', {}, ['data.amount: required', 'data.invoice: required']],
      ['a type that is wrong', { ...EXAMPLE, amount: '19.99' }, ['data.amount: type']],
      ['a fraction of a cent', { ...EXAMPLE, amount: 19.999 }, ['data.amount: multiple_of']],
      ['a field too many', { ...EXAMPLE, colour: 1, __proto: 1 }, ['data.__proto: not_allowed', 'data.colour: not_allowed']],
      ['a list too long, with a fault in it', { ...EXAMPLE, lines: [{ sku: 'A' }, {}, { sku: 'C' }, 1] }, ['data.lines.1.sku: required', 'data.lines.2.sku: enum', 'data.lines.3: type', 'data.lines: max_items']],
      ['faults everywhere', { invoice: 'x'.repeat(21), amount: -1, lines: {} }, ['data.amount: minimum', 'data.invoice: max_length', 'data.lines: type']],
    ])('responds with 422 for %s', async (_, data, faults) => {
      await put('invoice.checked', { schema: SCHEMA });
      const before = (await tenant.get('/webhooks/events?type=invoice.checked')).body.data.length;
      expect(faultsOf(await emit('invoice.checked', data))).toEqual(faults);
      expect(faultsOf(await emit('invoice.checked', data, { 'idempotency-key': randomUUID() }))).toEqual(faults);
      expect((await tenant.get('/webhooks/events?type=invoice.checked')).body.data).toHaveLength(before);
    }); // prettier-ignore

    it('reports a hundred faults of a hundred thousand', async () => {
      const name = fresh();
      await put(name, { schema: { properties: { list: { items: { type: 'string' } } } } });
      const response = await emit(name, { list: Array(100_000).fill(1) });
      expect(expectProblem(response, 'validation_error').errors).toHaveLength(100);
    });

    it('gives up on a schema that would take for ever, and on nothing else', async () => {
      const name = fresh();
      expect((await put(name, { schema: costly() })).status).toBe(201);
      expect(faultsOf(await emit(name, {}))).toEqual(['data: too_costly']);
      expect((await emit(fresh(), {})).status).toBe(202);
    });

    it('takes anything once the type is removed, and checks again once it is registered', async () => {
      const name = fresh();
      expect((await emit(name, {})).status).toBe(202);
      await put(name, { schema: SCHEMA });
      expect((await emit(name, {})).status).toBe(422);
      await remove(name);
      expect((await emit(name, {})).status).toBe(202);
    });

    it('checks by the schema that is registered now, whichever process registered it', async () => {
      const name = fresh();
      const there = elsewhere(tenant);
      const emitThere = (data: unknown, headers?: Record<string, string>) =>
        there.post('/webhooks/events', { type: name, data }, headers);
      const key = { 'idempotency-key': randomUUID() };
      // The other process reads that there is none, then each version, then a type with a known version number.
      expect((await emitThere({})).status).toBe(202);
      await put(name, { schema: { required: ['a'] } });
      expect(faultsOf(await emitThere({}))).toEqual(['data.a: required']);
      expect((await emitThere({ a: 1 })).status).toBe(202);
      await put(name, { schema: { required: ['b'] } });
      expect(faultsOf(await emitThere({ a: 1 }, key))).toEqual(['data.b: required']);
      expect((await emitThere({ b: 1 }, key)).status).toBe(202);
      await remove(name);
      await put(name, { schema: { required: ['c'] } });
      await put(name, { schema: { required: ['d'] } });
      expect(faultsOf(await emitThere({ b: 1 }))).toEqual(['data.d: required']);
      await remove(name);
      expect((await emitThere({})).status).toBe(202);
    });

    it('takes no event that no schema took, while it changes all the time', async () => {
      const name = fresh();
      const versions = ['a', 'b'];
      const change = (n: number) => put(name, { schema: { required: [versions[n % 2]], maxProperties: 1 } });
      await change(1);
      let changing = true;
      const changes = (async () => {
        for (let n = 0; changing; n++) await change(n);
      })();
      const taken: unknown[] = [];
      try {
        for (let n = 0; n < 15; n++) {
          for (const client of [tenant, elsewhere(tenant)]) {
            const data = { [versions[n % 2] as string]: n };
            const [good, bad] = await Promise.all(
              [data, { neither: n }].map((data) => client.post('/webhooks/events', { type: name, data })),
            );
            expect(bad?.status).toBe(422);
            // 503 after the schema changed during each of five checks.
            expect([202, 422, 503]).toContain(good?.status);
            if (good?.status === 202) taken.unshift(data);
          }
        }
      } finally {
        changing = false;
        await changes;
      }
      const events = (await tenant.get(`/webhooks/events?type=${name}&limit=100`)).body.data;
      expect(events.map((event: { data: unknown }) => event.data)).toEqual(taken);
      expect(taken.length).toBeGreaterThan(0);
    });

    it('keeps a bounded size of schemas in the process, and checks with all of them', async () => {
      const kept = service.app.get(SchemaCache) as unknown as {
        entries: Map<string, unknown>;
        characters: number;
      };
      const large = JSON.stringify({ required: ['a'], title: 'a'.repeat(16_000) });
      const tenants = await Promise.all([1, 2, 3].map(() => service.tenant()));
      for (const { tenantId } of tenants) {
        await service.database.sql(
          `insert into webhook_event_types
             select $1, 'large.n' || n, gen_random_uuid(), null, $2::json, null, 1, now(), now() from generate_series(1, 60) n`,
          [tenantId, large],
        );
      }
      for (const client of [...tenants, tenants[0] as ApiClient]) {
        for (let n = 1; n <= 60; n++) {
          const response = await client.post('/webhooks/events', { type: `large.n${n}`, data: {} });
          expect(faultsOf(response)).toEqual(['data.a: required']);
        }
      }
      expect(kept.characters).toBeLessThanOrEqual(2 * 1024 * 1024);
      expect(kept.characters).toBeGreaterThan(1.9 * 1024 * 1024);
      expect(kept.entries.size).toBeLessThan(140);
    });

    it('replays the first response for a key or an event_id, though the schema has changed since', async () => {
      const name = fresh();
      const key = { 'idempotency-key': randomUUID() };
      const id = { event_id: randomUUID() };
      const [byKey, byId] = [await emit(name, { a: 1 }, key), await emit(name, { a: 2 }, {}, id)];
      await put(name, { schema: SCHEMA });
      const again = await emit(name, { a: 1 }, key);
      expect([again.text, again.headers.get('idempotency-replayed')]).toEqual([byKey.text, 'true']);
      expect((await emit(name, { a: 2 }, {}, id)).body).toEqual(byId.body);
      expectProblem(await emit(name, { a: 3 }, key), 'idempotency_key_reused');
      expect(faultsOf(await emit(name, { a: 3 }, {}, { event_id: randomUUID() }))).toEqual([
        'data.a: not_allowed',
        'data.amount: required',
        'data.invoice: required',
      ]);
      // A refused call leaves its key free.
      const free = { 'idempotency-key': randomUUID() };
      expect((await emit(name, {}, free)).status).toBe(422);
      expect((await emit(name, EXAMPLE, free)).status).toBe(202);
    });
  });

  /** A million ways to the same question. */
  function costly(): Record<string, unknown> {
    const level = (next: number) => ({ anyOf: Array(32).fill({ $ref: `#/$defs/l${next}` }) });
    return { ...level(1), $defs: { l1: level(2), l2: level(3), l3: level(4), l4: { required: ['a'] } } };
  }
});
