import type { Caller } from '../../../../src/platform/http/requests/caller';
import { Idempotency } from '../../../../src/platform/http/responses/idempotency';
import { Outcome } from '../../../../src/platform/http/responses/results';
import { rawRequest } from '../../../harness/raw-http';
import { makeEndpoint } from '../../../harness/webhooks';
import { randomUUID } from 'node:crypto';
import { ApiClient, type ApiResponse, orderInput, type SignedIn } from '../../../harness/client';
import { expectProblem, faultsOf } from '../../../harness/problems';
import { newEmail, startService, type TestService } from '../../../harness/service';
import { until } from '../../../harness/until';

/** The headers that belong to the response itself and are replayed with it. */
const KEPT = ['content-type', 'location', 'etag', 'content-length'];

describe('idempotency', () => {
  let service: TestService;
  let tenant: ApiClient;

  beforeAll(async () => {
    service = await startService();
    tenant = await service.tenant();
  });
  afterAll(() => service.stop());

  const keyed = (key: string = randomUUID()) => ({ 'idempotency-key': key });
  const ordersNoted = async (notes: string) =>
    service.database.sql<{ id: string }>('select id from orders where notes = $1', [notes]);

  function expectFirst(response: ApiResponse): void {
    expect([response.status, response.text.slice(0, 200)]).toEqual([201, expect.any(String)]);
    expect(response.headers.get('idempotency-replayed')).toBeNull();
  }

  function expectReplay(response: ApiResponse, first: ApiResponse): void {
    expect(response.headers.get('idempotency-replayed')).toBe('true');
    expect([response.status, response.text]).toEqual([first.status, first.text]);
    for (const name of KEPT) expect([name, response.headers.get(name)]).toEqual([name, first.headers.get(name)]);
    expect(response.headers.get('x-request-id')).not.toBe(first.headers.get('x-request-id'));
  }

  it('writes nothing if another request with the key commits meanwhile, past the lock', async () => {
    const { tenantId } = tenant;
    const caller = {
      tenantId,
      actor: { type: 'user', id: randomUUID() },
      role: 'owner',
      permissions: new Set(),
    } as Caller;
    const request = { key: randomUUID(), hash: Buffer.alloc(32, 1), url: '/api/v1/orders', status: 201 };
    const own = {
      name: 'own_event',
      text: `insert into webhook_event_types (tenant_id, id, name, schema, version, created_at, updated_at)
                   values ($1, $2, 'own.event', '{}', 1, now(), now())`,
      values: [tenantId, randomUUID()],
    };
    const keep = (body: string): Promise<unknown> =>
      service.database.sql(
        `insert into idempotency_keys (tenant_id, caller, key, request_hash, status, headers, body, created_at, expires_at)
           values ($1, $2, $3, $4, 201, '{}', $5, now(), now() + interval '1 day')`,
        [tenantId, `user:${caller.actor.id}`, request.key, request.hash, body],
      );
    const idempotency = service.app.get(Idempotency, { strict: false });
    const late = idempotency.transaction(caller, request, async (tx) => {
      // As a process does whose lock is on another server of Citus.
      await keep('{"made":"first"}');
      tx.defer(own);
      return new Outcome('{"made":"second"}');
    });
    await expect(late).rejects.toMatchObject({ code: 'idempotency_in_progress' });
    expect(await service.database.sql(`select 1 from webhook_event_types where name = 'own.event'`)).toEqual([]);
    const replay = await idempotency.transaction(caller, request, () => Promise.reject(new Error('runs once')));
    expect(replay).toMatchObject({ status: 201, json: '{"made":"first"}' });
  });

  describe('the same key and the same body', () => {
    it.each([
      ['/orders', (notes: string) => ({ ...orderInput(), notes, metadata: { zz: '日本語 "\\', a: '\u2028' } }), 1],
      [
        '/orders/batch',
        (notes: string) => ({
          orders: [
            { ...orderInput(), notes },
            { ...orderInput(), notes },
          ],
        }),
        2,
      ],
    ] as const)('POST %s replays the first response, byte for byte', async (path, input, count) => {
      const notes = `once ${randomUUID()}`;
      const body = input(notes);
      const key = keyed();
      const first = await tenant.post(path, body, key);
      expectFirst(first);
      for (let i = 0; i < 3; i++) expectReplay(await tenant.post(path, body, key), first);
      expectReplay(await tenant.post(`${path}/`, body, key), first);
      expect(await ordersNoted(notes)).toHaveLength(count);
      const [history] = await service.database.sql(
        'select count(*)::int as n from order_history h join orders o on o.id = h.order_id where notes = $1',
        [notes],
      );
      expect(history?.n).toBe(count);
    });

    it('makes a second order without a key, or with another', async () => {
      const notes = `thrice ${randomUUID()}`;
      const body = { ...orderInput(), notes };
      for (const headers of [keyed(), keyed(), undefined, undefined])
        expectFirst(await tenant.post('/orders', body, headers));
      expect(await ordersNoted(notes)).toHaveLength(4);
    });

    it('is stored as releases before this one stored it, and what they stored is replayed', async () => {
      const key = keyed();
      const body = orderInput();
      const first = await tenant.post('/orders', body, key);
      const location = `/api/v1/orders/${String(first.body.id)}`;
      const condition = `where key = '${key['idempotency-key']}'`;
      expect(await service.database.sql(`select status, headers, body from idempotency_keys ${condition}`)).toEqual([
        { status: 201, headers: { location, etag: '"1"' }, body: first.text },
      ]);
      await service.database.sql(
        `update idempotency_keys set status = 201, body = '{"id":"as it was"}',
                headers = '{"location":"/api/v1/orders/as-it-was","etag":"\\"1\\""}' ${condition}`,
      );
      const replayed = await tenant.post('/orders', body, key);
      expect([replayed.status, replayed.text]).toEqual([201, '{"id":"as it was"}']);
      expect(replayed.headers.get('location')).toBe('/api/v1/orders/as-it-was');
      expect(replayed.headers.get('etag')).toBe('"1"');
    });

    it('is one body however it is spaced and escaped', async () => {
      const key = keyed();
      const body = { ...orderInput(), notes: 'é' };
      const first = await tenant.post('/orders', body, key);
      expectReplay(await tenant.post('/orders', JSON.stringify(body, null, 4), key), first);
      expectReplay(await tenant.post('/orders', JSON.stringify(body).replace('é', '\\u00e9'), key), first);
    });

    it('is one request in every spelling that means the same', async () => {
      const body = {
        customer_id: randomUUID(),
        items: [{ product_id: 'p', product_name: 'n', quantity: 2, unit_price: '29.90' }],
        currency: 'USD',
        metadata: { b: '2', a: '1' },
      };
      const spellings = [
        Object.fromEntries(Object.entries(body).reverse()),
        { ...body, items: [{ unit_price: 29.9, quantity: 2, product_name: 'n', product_id: 'p' }] },
        { ...body, items: [{ ...body.items[0], unit_price: '29.9' }] },
        { ...body, currency: 'usd' },
        { ...body, notes: null },
        { ...body, customer_id: body.customer_id.toUpperCase() },
        { ...body, metadata: { a: '1', b: '2' } },
      ];
      const key = keyed();
      const first = await tenant.post('/orders', body, key);
      expectFirst(first);
      for (const spelling of spellings) expectReplay(await tenant.post('/orders', spelling, key), first);
      const batchKey = keyed();
      const batch = await tenant.post('/orders/batch', { orders: [body] }, batchKey);
      for (const spelling of spellings) {
        expectReplay(await tenant.post('/orders/batch', { orders: [spelling] }, batchKey), batch);
      }
    });

    it('is another request where free-form data differ, by the source text of a number too', async () => {
      const emit = (data: string, key: Record<string, string>) =>
        tenant.post('/webhooks/events', `{"type":"a.b","data":${data}}`, key);
      const key = keyed();
      const first = await emit('{"n":1e5,"m":null}', key);
      expect(first.status).toBe(202);
      for (const data of ['{"m":null,"n":1e5}', '{ "n" : 1e5, "m":null }']) {
        const again = await emit(data, key);
        expect([again.status, again.body.id]).toEqual([202, first.body.id]);
      }
      for (const data of [
        '{"n":{"source":"1e5"},"m":null}',
        '{"n":"1e5","m":null}',
        '{"n":100000,"m":null}',
        '{"n":1e5}',
      ]) {
        expectProblem(await emit(data, key), 'idempotency_key_reused');
      }
    });

    it('is one request for an id in the path in either case, and for an empty body', async () => {
      const { id } = (await makeEndpoint(tenant)) as { id: string };
      const key = keyed();
      const first = await tenant.post(`/webhooks/endpoints/${id}/test`, undefined, key);
      expect(first.status).toBe(202);
      for (const [path, body] of [
        [id.toUpperCase(), undefined],
        [id, {}],
      ] as const) {
        const again = await tenant.post(`/webhooks/endpoints/${path}/test`, body, key);
        expect([again.status, again.body.id]).toEqual([202, first.body.id]);
      }
    });

    it('refuses two Idempotency-Key lines, on every route that reads one', async () => {
      const notes = `twice ${randomUUID()}`;
      for (const [path, body] of [
        ['/orders', JSON.stringify({ ...orderInput(), notes })],
        ['/orders/batch', JSON.stringify({ orders: [{ ...orderInput(), notes }] })],
        ['/webhooks/events', '{"type":"a.b","data":{}}'],
      ] as const) {
        const response = await rawRequest(
          service.url,
          [
            `POST /api/v1${path} HTTP/1.1`,
            'Host: x',
            `Authorization: Bearer ${tenant.session?.access_token}`,
            'Content-Type: application/json',
            `Content-Length: ${body.length}`,
            'Idempotency-Key: k',
            'Idempotency-Key: k',
          ].join('\r\n'),
          body,
        );
        expectProblem(response as ApiResponse, 'malformed_request');
      }
      expect(await ordersNoted(notes)).toEqual([]);
    });

    it('replays the first response even when the order has changed since', async () => {
      const key = keyed();
      const body = orderInput();
      const first = await tenant.post('/orders', body, key);
      await tenant.patch(`/orders/${first.body.id}`, { notes: 'changed' });
      expectReplay(await tenant.post('/orders', body, key), first);
    });

    it('holds for another session of the same person, and for another process and after a restart', async () => {
      const { email } = tenant.session?.user as SignedIn['user'];
      const login = await service.client.post('/auth/login', { email, password: 'a password for tests' });
      const again = new ApiClient(service.url, login.body as SignedIn);
      const key = keyed();
      const body = orderInput();
      const other = await startService({ database: service.database });
      const first = await tenant.post('/orders', body, key);
      expectFirst(first);
      expectReplay(await again.post('/orders', body, key), first);
      expectReplay(await new ApiClient(other.url, tenant.session).post('/orders', body, key), first);
      await other.stop();
      const restarted = await startService({ database: service.database });
      expectReplay(await new ApiClient(restarted.url, tenant.session).post('/orders', body, key), first);
      await restarted.stop();
    });
  });

  describe('the same key and something else', () => {
    it('responds with 422 for another body, and does nothing', async () => {
      const key = keyed();
      const notes = `one ${randomUUID()}`;
      const body = {
        ...orderInput(),
        notes,
        items: [{ product_id: 'p', product_name: 'n', quantity: 1, unit_price: 1.5 }],
      };
      const first = await tenant.post('/orders', body, key);
      expectFirst(first);
      const others = [
        { ...body, customer_id: randomUUID() },
        { ...body, metadata: { a: 'b' } },
        { ...body, items: [...body.items, ...body.items] },
        { ...body, items: [{ ...body.items[0], unit_price: '1.51' }] },
        { ...body, currency: 'EUR' },
      ];
      for (const other of others) {
        const response = await tenant.post('/orders', other, key);
        expectProblem(response, 'idempotency_key_reused');
        expect(response.headers.get('idempotency-replayed')).toBeNull();
      }
      expect(await ordersNoted(notes)).toHaveLength(1);
      expectReplay(await tenant.post('/orders', body, key), first);
    });

    it('responds with 422 on another route', async () => {
      const key = keyed();
      const orders = [orderInput()];
      expectFirst(await tenant.post('/orders', orders[0], key));
      expectProblem(await tenant.post('/orders/batch', { orders }, key), 'idempotency_key_reused');
      const batchKey = keyed();
      expectFirst(await tenant.post('/orders/batch', { orders }, batchKey));
      expectProblem(await tenant.post('/orders', orders[0], batchKey), 'idempotency_key_reused');
    });

    it('is another key for another tenant, and for another person of the same tenant', async () => {
      const key = keyed();
      const body = orderInput();
      const first = await tenant.post('/orders', body, key);
      const stranger = await service.tenant();
      const theirs = await stranger.post('/orders', body, key);
      expectFirst(theirs);
      expect(theirs.body.id).not.toBe(first.body.id);

      const colleague = await service.tenant();
      await service.database.sql(
        `insert into memberships (tenant_id, user_id, role, created_at, last_used_at) values ($1, $2, 'member', now(), now())`,
        [tenant.tenantId, colleague.session?.user.id],
      );
      const login = await service.client.post('/auth/login', {
        email: colleague.session?.user.email,
        password: 'a password for tests',
        tenant_id: tenant.tenantId,
      });
      const member = new ApiClient(service.url, login.body as SignedIn);
      expect(member.tenantId).toBe(tenant.tenantId);
      const colleagues = await member.post('/orders', body, key);
      expectFirst(colleagues);
      expect(colleagues.body.id).not.toBe(first.body.id);
      expectReplay(await tenant.post('/orders', body, key), first);
      expectReplay(await stranger.post('/orders', body, key), theirs);
      expectReplay(await member.post('/orders', body, key), colleagues);
      // Under another caller's key with another body: not even "reused" is revealed.
      expectFirst(await (await service.tenant()).post('/orders', orderInput(), key));
    });
  });

  describe('at the same time', () => {
    /** Every insert of an item waits until `work` is done. */
    async function whileBlocked(work: () => Promise<void>): Promise<void> {
      await service.database.sql(`
        create or replace function wait_for_test() returns trigger language plpgsql as $$
          begin perform pg_advisory_xact_lock(4712); return new; end $$;
        create trigger wait_for_test before insert on order_items for each row execute function wait_for_test();
        select pg_advisory_lock(4712)`);
      try {
        await work();
      } finally {
        await service.database.sql('select pg_advisory_unlock(4712)');
        await service.database.sql('drop trigger wait_for_test on order_items');
      }
    }

    it('responds with 409 with Retry-After while the first call runs, and its response afterwards', async () => {
      const key = keyed();
      const body = orderInput();
      let running: Promise<ApiResponse> | undefined;
      await whileBlocked(async () => {
        running = tenant.post('/orders', body, key);
        await until('the first call waits', async () => {
          const [row] = await service.database.sql(
            `select count(*)::int as n from pg_locks where locktype = 'advisory' and not granted
                and database = (select oid from pg_database where datname = current_database())`,
          );
          return row?.n === 1;
        });
        for (const other of [body, orderInput()]) {
          const response = await tenant.post('/orders', other, key);
          expectProblem(response, 'idempotency_in_progress');
          expect(response.headers.get('retry-after')).toMatch(/^[1-9]\d*$/);
          expect(response.headers.get('idempotency-replayed')).toBeNull();
        }
      });
      const first = (await running) as ApiResponse;
      expectFirst(first);
      expectReplay(await tenant.post('/orders', body, key), first);
    });

    it('lets exactly one of many parallel calls make the order, in two processes', async () => {
      const other = await startService({ database: service.database });
      const elsewhere = new ApiClient(other.url, tenant.session);
      for (let round = 0; round < 12; round++) {
        const notes = `parallel ${randomUUID()}`;
        const body = { ...orderInput(), notes };
        const path = round % 3 === 2 ? '/orders/batch' : '/orders';
        const sent = path === '/orders' ? body : { orders: [body] };
        const key = keyed();
        const responses = await Promise.all(
          Array.from({ length: 12 }, (_, i) => (i % 2 ? elsewhere : tenant).post(path, sent, key)),
        );
        const firsts = responses.filter((a) => a.status === 201 && a.headers.get('idempotency-replayed') === null);
        expect(firsts).toHaveLength(1);
        for (const response of responses.filter((candidate) => candidate !== firsts[0])) {
          if (response.status === 201) expectReplay(response, firsts[0] as ApiResponse);
          else {
            expectProblem(response, 'idempotency_in_progress');
            expect(response.headers.get('retry-after')).toBe('1');
          }
        }
        expect(await ordersNoted(notes)).toHaveLength(1);
        expectReplay(await tenant.post(path, sent, key), firsts[0] as ApiResponse);
      }
      await other.stop();
    });

    it('lets parallel calls with keys of their own all through', async () => {
      const responses = await Promise.all(
        Array.from({ length: 40 }, () => tenant.post('/orders', orderInput(), keyed())),
      );
      for (const response of responses) expectFirst(response);
    });
  });

  describe('keys', () => {
    it('may be 1 to 255 printable ASCII characters', async () => {
      const printable = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i))
        .join('')
        .trim();
      for (const key of ['x', 'k'.repeat(255), printable, '"quoted"', 'a b', '0', "'; drop table orders; --"]) {
        const body = orderInput();
        const first = await tenant.post('/orders', body, keyed(key));
        expectFirst(first);
        expectReplay(await tenant.post('/orders', body, keyed(key)), first);
      }
    });

    it('are distinguished exactly', async () => {
      const body = orderInput();
      const base = randomUUID();
      const made = new Set<string>();
      for (const key of [base, base.toUpperCase(), `${base}.`, `.${base}`, `${base} .`, base.slice(1)]) {
        made.add((await tenant.post('/orders', body, keyed(key))).body.id);
      }
      expect(made.size).toBe(6);
    });

    it('are refused where they are anything else', async () => {
      const notes = `refused ${randomUUID()}`;
      for (const key of ['', 'k'.repeat(256), 'k'.repeat(5000), 'schlüssel', '\u00ff', 'a\tb', 'a\u0080b']) {
        for (const [path, body] of [
          ['/orders', { ...orderInput(), notes }],
          ['/orders/batch', { orders: [{ ...orderInput(), notes }] }],
        ] as const) {
          expect(faultsOf(await tenant.post(path, body, keyed(key)))).toEqual(['Idempotency-Key: idempotency_key']);
        }
      }
      expect(await ordersNoted(notes)).toEqual([]);
    });

    it('stay free when the call was refused', async () => {
      const key = keyed();
      const body = orderInput();
      const viewerToken = 'not.a.token';
      expectProblem(await tenant.post('/orders', { ...body, currency: 'XXX' }, key), 'validation_error');
      expectProblem(await tenant.post('/orders', '{', key), 'malformed_request');
      expectProblem(await tenant.post('/orders', undefined, key), 'malformed_request');
      expectProblem(
        await tenant.post('/orders', body, { ...key, 'content-type': 'text/plain' }),
        'unsupported_media_type',
      );
      expectProblem(await tenant.post('/orders', body, { ...key, accept: 'text/html' }), 'not_acceptable');
      expectProblem(await tenant.withToken(viewerToken).post('/orders', body, key), 'unauthorized');
      expectProblem(await tenant.post('/orders/batch', { orders: [] }, key), 'validation_error');
      expectFirst(await tenant.post('/orders', body, key));
    });

    it('live for 24 hours', async () => {
      const key = keyed();
      const body = orderInput();
      const first = await tenant.post('/orders', body, key);
      const [row] = await service.database.sql(
        `select extract(epoch from expires_at - created_at)::int as life, abs(extract(epoch from now() - created_at)) < 60 as fresh
           from idempotency_keys where key = $1`,
        [key['idempotency-key']],
      );
      expect(row).toEqual({ life: 86_400, fresh: true });
      const age = (seconds: number) =>
        service.database.sql(
          `update idempotency_keys set created_at = created_at - $2 * interval '1 second',
                  expires_at = expires_at - $2 * interval '1 second' where key = $1`,
          [key['idempotency-key'], seconds],
        );
      await age(86_400 - 60);
      expectReplay(await tenant.post('/orders', body, key), first);
      await age(61);
      const second = await tenant.post('/orders', orderInput(), key);
      expectFirst(second);
      expect(second.body.id).not.toBe(first.body.id);
      expectProblem(await tenant.post('/orders', body, key), 'idempotency_key_reused');
    });

    it('mean nothing where nothing is created', async () => {
      const key = keyed('k'.repeat(300));
      const { id } = await tenant.createOrder();
      for (const notes of ['one', 'two']) {
        const response = await tenant.patch(`/orders/${id}`, { notes }, key);
        expect([response.status, response.body.notes]).toEqual([200, notes]);
      }
      expect((await tenant.get('/orders', key)).status).toBe(200);
    });

    it('mean nothing to /auth', async () => {
      const key = keyed();
      const register = () => ({ email: newEmail(), password: 'a password for tests', tenant_name: 'T' });
      const responses = [];
      for (let i = 0; i < 2; i++) responses.push(await service.client.post('/auth/register', register(), key));
      expect(responses.map((response) => response.status)).toEqual([201, 201]);
      expect(responses[1]?.headers.get('idempotency-replayed')).toBeNull();
      expect(responses[0]?.body.user.id).not.toBe(responses[1]?.body.user.id);
      const stored = await service.database.sql('select 1 as one from idempotency_keys where key = $1', [
        key['idempotency-key'],
      ]);
      expect(stored).toEqual([]);
    });
  });
});
