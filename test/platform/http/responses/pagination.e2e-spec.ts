import { randomUUID } from 'node:crypto';
import { ApiClient, type ApiResponse, orderInput } from '../../../harness/client';
import { expectProblem, faultsOf } from '../../../harness/problems';
import { startService, type TestService } from '../../../harness/service';

interface Row {
  id: string;
  status: string;
  currency: string;
  customer_id: string;
  created_at: string;
}

describe('lists', () => {
  let service: TestService;
  let tenant: ApiClient;

  beforeAll(async () => {
    service = await startService();
  });
  afterAll(() => service.stop());
  beforeEach(async () => {
    tenant = await service.tenant();
  });

  const batch = async (count: number, change: Record<string, unknown> = {}): Promise<Row[]> =>
    (
      await tenant.post('/orders/batch', {
        orders: Array.from({ length: count }, () => ({ ...orderInput(), ...change })),
      })
    ).body.data;
  const ids = (rows: readonly Row[]) => rows.map((row) => row.id);
  const cursorOf = async (path: string): Promise<string> => (await tenant.get(path)).body.next_cursor;

  /** Every page from here on, by `next_cursor`; checks the invariants of each. */
  async function walk(path: string, limit: number, between?: () => Promise<unknown>): Promise<Row[]> {
    const all: Row[] = [];
    let cursor: string | null = null;
    for (let page = 0; page < 1000; page++) {
      const join = path.includes('?') ? '&' : '?';
      const response: ApiResponse = await tenant.get(
        `${path}${join}limit=${limit}${cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`}`,
      );
      expect(response.status).toBe(200);
      expect(Object.keys(response.body)).toEqual(['data', 'next_cursor', 'has_more']);
      const { data, next_cursor, has_more } = response.body as {
        data: Row[];
        next_cursor: string | null;
        has_more: boolean;
      };
      expect(has_more).toBe(next_cursor !== null);
      expect(data.length).toBeLessThanOrEqual(limit);
      if (has_more) expect(data.length).toBe(limit);
      expect(response.headers.get('link')).toEqual(
        next_cursor === null ? null : expect.stringMatching(/^<\/api\/v1\/orders\S*>; rel="next"$/),
      );
      if (has_more)
        expect(response.headers.get('link')).toContain(`cursor=${encodeURIComponent(next_cursor as string)}`);
      all.push(...data);
      if (!has_more) return all;
      cursor = next_cursor;
      await between?.();
    }
    throw new Error('the list does not end');
  }

  it('has 20 rows by default, and 1 to 100 by parameter', async () => {
    await batch(100);
    await batch(5);
    expect((await tenant.get('/orders')).body.data).toHaveLength(20);
    for (const limit of [1, 2, 99, 100])
      expect((await tenant.get(`/orders?limit=${limit}`)).body.data).toHaveLength(limit);
    for (const limit of [0, 101, -1, 1000]) {
      expect(faultsOf(await tenant.get(`/orders?limit=${limit}`))[0]).toMatch(/^limit: (min|max|is_int)$/);
    }
  });

  it('is empty, without more pages', async () => {
    const response = await tenant.get('/orders');
    expect(response.body).toEqual({ data: [], next_cursor: null, has_more: false });
    expect(response.headers.get('link')).toBeNull();
  });

  it.each([1, 7, 50, 100])('gives every order once, newest first, in pages of %d', async (limit) => {
    const made = [...(await batch(50)), ...(await batch(50))];
    for (let i = 0; i < 3; i++) made.push(await tenant.createOrder());
    const listed = await walk('/orders', limit);
    expect(ids(listed)).toEqual(ids(made).reverse());
    const times = listed.map((row) => row.created_at);
    expect(times).toEqual([...times].sort().reverse());
  });

  it('ends where a page is exactly full', async () => {
    const made = await batch(10);
    for (const limit of [10, 5, 2]) expect(ids(await walk('/orders', limit))).toEqual(ids(made).reverse());
  });

  it('skips and repeats nothing among many rows of one timestamp', async () => {
    const made = await batch(100);
    // Everything in one millisecond, by the columns of the rows and by their ids.
    await service.database.sql(
      `update orders set created_at = '2026-01-31T12:00:00Z', updated_at = '2026-01-31T12:00:00Z' where tenant_id = $1`,
      [tenant.tenantId],
    );
    for (const limit of [3, 20]) expect(ids(await walk('/orders', limit))).toEqual(ids(made).reverse());
    const instants = new Map<number, number>();
    for (const { id } of await batch(100)) {
      const instant = parseInt(id.replace('-', '').slice(0, 12), 16);
      instants.set(instant, (instants.get(instant) ?? 0) + 1);
    }
    expect(Math.max(...instants.values())).toBeGreaterThan(10);
  });

  it('skips and repeats nothing while rows are being inserted', async () => {
    const before = [...(await batch(100)), ...(await batch(50))];
    let walking = true;
    const writers = Promise.all(
      [1, 2, 3].map(async () => {
        while (walking) await batch(3);
      }),
    );
    const walks = await Promise.all([
      walk('/orders', 7),
      walk('/orders', 20),
      walk('/orders?status=pending', 11),
    ]).finally(() => {
      walking = false;
    });
    await writers;
    for (const listed of walks) {
      expect(new Set(ids(listed)).size).toBe(listed.length);
      const old = new Set(ids(before));
      expect(ids(listed).filter((id) => old.has(id))).toEqual(ids(before).reverse());
    }
    expect((await tenant.get('/orders?limit=100')).body.has_more).toBe(true);
  });

  it('follows the Link header as a client would', async () => {
    const customer_id = randomUUID();
    const made = await batch(9, { customer_id });
    await batch(3);
    const seen: Row[] = [];
    let path: string | undefined =
      `/orders?customer_id=${customer_id.toUpperCase()}&limit=4&currency=usd&created_after=2020-01-01T00:00:00%2B00:00`;
    for (let page = 0; path !== undefined; page++) {
      expect(page).toBeLessThan(3);
      const response: ApiResponse = await tenant.get(path);
      seen.push(...response.body.data);
      path = response.headers.get('link')?.match(/^<\/api\/v1([^>]+)>; rel="next"$/)?.[1];
    }
    expect(ids(seen)).toEqual(ids(made).reverse());
    const slashed = await tenant.get('/orders/?limit=1');
    expect(slashed.headers.get('link')).toMatch(/^<\/api\/v1\/orders\/?\?limit=1&cursor=[\w-]+>; rel="next"$/);
  });

  describe('filters', () => {
    it('gives what fits all of them, and only that', async () => {
      const customer_id = randomUUID();
      const euros = await batch(3, { currency: 'EUR', customer_id });
      const dollars = await batch(3, { customer_id });
      const others = await batch(3);
      for (const row of [euros[0], others[0]] as Row[])
        await tenant.patch(`/orders/${row.id}/status`, { status: 'confirmed' });
      const expectList = async (query: string, rows: (Row | undefined)[]) => {
        const wanted = rows.map((row) => row?.id).sort();
        expect([query, ids(await walk(`/orders?${query}`, 2)).sort()]).toEqual([query, wanted]);
        const exported = (await tenant.get(`/orders/export?${query}`)).text.split('\n').filter(Boolean);
        expect([query, exported.map((line) => JSON.parse(line).id).sort()]).toEqual([query, wanted]);
      };
      await expectList('status=confirmed', [euros[0], others[0]]);
      await expectList('status=cancelled', []);
      await expectList('currency=EUR', euros);
      await expectList('currency=eur', euros);
      await expectList('currency=JPY', []);
      await expectList(`customer_id=${customer_id}`, [...euros, ...dollars]);
      await expectList(`customer_id=${customer_id.toUpperCase()}&currency=USD`, dollars);
      await expectList(`customer_id=${randomUUID()}`, []);
      await expectList(`status=confirmed&currency=EUR&customer_id=${customer_id}`, [euros[0]]);
      await expectList(`status=pending&currency=USD`, [...dollars, ...others.slice(1)]);
    });

    it('takes orders after and before a time, and not those of that very time', async () => {
      const made: Row[] = [];
      for (let i = 0; i < 3; i++) {
        made.push(await tenant.createOrder());
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      const [first, second, third] = made as [Row, Row, Row];
      const listOf = async (query: string) => ids((await tenant.get(`/orders?${query}`)).body.data);
      expect(await listOf(`created_after=${second.created_at}`)).toEqual([third.id]);
      expect(await listOf(`created_before=${second.created_at}`)).toEqual([first.id]);
      expect(await listOf(`created_after=${first.created_at}&created_before=${third.created_at}`)).toEqual([second.id]);
      expect(await listOf(`created_after=${third.created_at}&created_before=${first.created_at}`)).toEqual([]);
      const shifted = new Date(Date.parse(second.created_at) + 2 * 3_600_000).toISOString().replace('Z', '%2B02:00');
      expect(await listOf(`created_after=${shifted}`)).toEqual([third.id]);
      // Unescaped, the + of an offset arrives as a blank.
      expect(await listOf(`created_after=${shifted.replace('%2B', '+')}`)).toEqual([third.id]);
      expect(await listOf(`created_after=${shifted.replace('%2B', '%20')}`)).toEqual([third.id]);
      expect(await listOf('created_after=9999-12-31T23:59:59Z')).toEqual([]);
      expect(await listOf('created_before=0001-01-01T00:00:00Z')).toEqual([]);
      expect(await listOf('created_after=0001-01-01T00:00:00Z&created_before=9999-12-31T23:59:59Z')).toHaveLength(3);
    });
  });

  describe('cursors', () => {
    it('are refused with any one character changed, left out or added', async () => {
      await batch(3);
      const cursor = await cursorOf('/orders?limit=1');
      const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
      const tampered = new Set<string>();
      for (let at = 0; at < cursor.length; at++) {
        const index = alphabet.indexOf(cursor[at] as string);
        expect(index).toBeGreaterThanOrEqual(0);
        for (const step of [1, 2, 32]) {
          tampered.add(cursor.slice(0, at) + alphabet[(index + step) % 64] + cursor.slice(at + 1));
        }
        tampered.add(cursor.slice(0, at) + cursor.slice(at + 1));
        if (at > 0 && cursor[at] !== cursor[at - 1]) {
          tampered.add(cursor.slice(0, at - 1) + cursor[at] + cursor[at - 1] + cursor.slice(at + 1));
        }
      }
      for (const extra of ['A', '=', '==', '.', '%00', '%20', '%0A', '%FF', '%2B', '/', cursor])
        tampered.add(cursor + extra);
      for (const text of [
        '',
        'x',
        '%00',
        'null',
        'undefined',
        '0',
        randomUUID(),
        'A'.repeat(43),
        'A'.repeat(5000),
        '%F0%9F%98%80',
        cursor.toLowerCase(),
        encodeURIComponent(Buffer.from(cursor, 'base64url').toString('base64')),
      ]) {
        // prettier-ignore
        if (text !== cursor) tampered.add(text);
      }
      const list = [...tampered];
      for (let at = 0; at < list.length; at += 20) {
        const responses = await Promise.all(
          list.slice(at, at + 20).map((text) => tenant.get(`/orders?limit=1&cursor=${text}`)),
        );
        for (const response of responses) expectProblem(response, 'invalid_cursor');
      }
      expect((await tenant.get(`/orders?limit=1&cursor=${cursor}`)).status).toBe(200);
    });

    it('are refused for another tenant, another list and other filters', async () => {
      const [order] = (await batch(3)) as [Row];
      for (const notes of ['1', '2']) await tenant.patch(`/orders/${order.id}`, { notes });
      const [another] = (await batch(1)) as [Row];
      await tenant.patch(`/orders/${another.id}`, { notes: '1' });
      const stranger = await service.tenant();
      await stranger.createOrder();
      const cursor = await cursorOf('/orders?limit=1');
      const history = await cursorOf(`/orders/${order.id}/events?limit=1`);
      const pending = await cursorOf('/orders?limit=1&status=pending');
      expectProblem(await stranger.get(`/orders?limit=1&cursor=${cursor}`), 'invalid_cursor');
      expectProblem(await tenant.get(`/orders/${order.id}/events?cursor=${cursor}`), 'invalid_cursor');
      expectProblem(await tenant.get(`/orders?cursor=${history}`), 'invalid_cursor');
      expectProblem(await tenant.get(`/orders/${another.id}/events?cursor=${history}`), 'invalid_cursor');
      expectProblem(await stranger.get(`/orders/${order.id}/events?cursor=${history}`), 'not_found');
      for (const filter of [
        'status=pending',
        'currency=USD',
        `customer_id=${order.customer_id}`,
        'created_after=2020-01-01T00:00:00Z',
        'created_before=2099-01-01T00:00:00Z',
      ]) {
        // prettier-ignore
        expectProblem(await tenant.get(`/orders?limit=1&${filter}&cursor=${cursor}`), 'invalid_cursor');
      }
      expectProblem(await tenant.get(`/orders?cursor=${pending}`), 'invalid_cursor');
      expectProblem(await tenant.get(`/orders?status=confirmed&cursor=${pending}`), 'invalid_cursor');
      expectProblem(await tenant.get(`/orders?status=pending&currency=USD&cursor=${pending}`), 'invalid_cursor');
      expectProblem(await tenant.get(`/orders?currency=pending&cursor=${pending}`), 'validation_error');
    });

    it('go on with another limit, with the filters in another order or spelling, and at another process', async () => {
      const made = await batch(6);
      const cursor = await cursorOf('/orders?limit=2&currency=usd&status=pending');
      const rest = ids(made).reverse().slice(2);
      for (const query of [
        'limit=2&currency=USD&status=pending',
        'status=pending&currency=Usd&limit=100',
        'currency=USD&status=pending',
      ]) {
        // prettier-ignore
        const { data } = (await tenant.get(`/orders?${query}&cursor=${cursor}`)).body as { data: Row[] };
        expect(ids(data)).toEqual(rest.slice(0, data.length));
        expect(data.length).toBe(query.startsWith('limit=2&') ? 2 : 4);
      }
      const other = await startService({ database: service.database });
      const elsewhere = await new ApiClient(other.url, tenant.session).get(
        `/orders?currency=USD&status=pending&cursor=${cursor}`,
      );
      expect(ids(elsewhere.body.data)).toEqual(rest);
      await other.stop();
    });

    it('reveal nothing of their content', async () => {
      await batch(3);
      const first = (await tenant.get('/orders?limit=1')).body;
      expect(first.next_cursor).toMatch(/^[\w-]+$/);
      expect(first.next_cursor).not.toContain(first.data[0].id);
      expect(Buffer.from(first.next_cursor, 'base64url').toString('latin1')).not.toContain(tenant.tenantId);
    });

    it('go on after the row they name, even when it is gone or no longer fits the filter', async () => {
      const made = await batch(6);
      const reversed = ids(made).reverse();
      const cursor = await cursorOf('/orders?limit=2&status=pending');
      await tenant.patch(`/orders/${reversed[1]}/status`, { status: 'confirmed' });
      expect(ids((await tenant.get(`/orders?status=pending&cursor=${cursor}`)).body.data)).toEqual(reversed.slice(2));
      await service.database.sql('delete from orders where id = $1', [reversed[1]]);
      expect(ids((await tenant.get(`/orders?status=pending&cursor=${cursor}`)).body.data)).toEqual(reversed.slice(2));
    });
  });
});
