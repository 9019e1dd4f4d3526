import { randomUUID } from 'node:crypto';
import { orderInput, type ApiClient } from '../harness/client';
import { expectProblem, faultsOf } from '../harness/problems';
import { startService, type TestService } from '../harness/service';

describe('orders', () => {
  let service: TestService;
  let tenant: ApiClient;

  beforeAll(async () => {
    service = await startService();
    tenant = await service.tenant();
  });
  afterAll(() => service.stop());

  const item = (change: Record<string, unknown> = {}) => ({
    product_id: 'p',
    product_name: 'n',
    quantity: 1,
    unit_price: '1.00',
    ...change,
  });

  describe('creating', () => {
    it('creates an order with an exact total', async () => {
      const response = await tenant.post('/orders', orderInput());
      expect(response.status).toBe(201);
      expect(response.body).toMatchObject({ status: 'pending', total_amount: '64.48', currency: 'USD', version: 1 });
      expect(response.headers.get('location')).toBe(`/api/v1/orders/${response.body.id}`);
      expect((await tenant.get(`/orders/${response.body.id}`)).body).toEqual(response.body);
    });

    it('returns the contract’s fields and no others, on every route', async () => {
      const fields = ['created_at', 'currency', 'customer_id', 'id', 'items', 'metadata', 'notes', 'status', 'total_amount', 'updated_at', 'version']; // prettier-ignore
      const made = (await tenant.post('/orders', orderInput())).body;
      const batch = (await tenant.post('/orders/batch', { orders: [orderInput()] })).body.data[0];
      const got = (await tenant.get(`/orders/${made.id}`)).body;
      const patched = (await tenant.patch(`/orders/${made.id}`, { notes: 'x' })).body;
      const moved = (await tenant.patch(`/orders/${made.id}/status`, { status: 'confirmed' })).body;
      const listed = (await tenant.get('/orders')).body.data[0];
      const exported = JSON.parse((await tenant.get('/orders/export')).text.split('\n')[0] as string);
      for (const view of [made, batch, got, patched, moved, listed, exported]) {
        expect(Object.keys(view).sort()).toEqual(fields);
        for (const line of view.items) {
          expect(Object.keys(line).sort()).toEqual(['id', 'product_id', 'product_name', 'quantity', 'unit_price']);
        }
      }
    });

    it('keeps everything that was sent', async () => {
      const input = {
        customer_id: randomUUID(),
        currency: 'EUR',
        notes: 'Leave at the door',
        metadata: { channel: 'web', constructor: 'x', '1': 'one', empty: '' },
        items: [item({ product_id: 'a', product_name: 'A', quantity: 3, unit_price: '0.10' })],
      };
      const made = (await tenant.post('/orders', input)).body;
      expect(made).toMatchObject({ ...input, total_amount: '0.30' });
      expect((await tenant.get(`/orders/${made.id}`)).body).toEqual(made);
      const bare = (await tenant.post('/orders', orderInput())).body;
      expect(bare).toMatchObject({ notes: null, metadata: {} });
      expect((await tenant.post('/orders', { ...orderInput(), notes: null })).body.notes).toBeNull();
      expect((await tenant.post('/orders', { ...orderInput(), notes: '', metadata: {} })).body.notes).toBe('');
    });

    it('makes the same order once for each call without a key', async () => {
      const input = orderInput();
      const ids = await Promise.all(
        Array.from({ length: 5 }, async () => (await tenant.post('/orders', input)).body.id),
      );
      expect(new Set(ids).size).toBe(5);
    });

    it.each([
      ['product_id', (n: number) => ({ items: [item({ product_id: 'x'.repeat(n) })] }), 1, 36],
      ['product_name', (n: number) => ({ items: [item({ product_name: 'x'.repeat(n) })] }), 1, 200],
      ['quantity', (n: number) => ({ items: [item({ quantity: n })] }), 1, 1000],
      ['items', (n: number) => ({ items: new Array(n).fill(item()) }), 1, 50],
      ['notes', (n: number) => ({ notes: 'x'.repeat(n) }), 0, 500],
      ['metadata', (n: number) => ({ metadata: pairs(n) }), 0, 50],
      ['a key of metadata', (n: number) => ({ metadata: { ['k'.repeat(n)]: 'v' } }), 1, 40],
      ['a value of metadata', (n: number) => ({ metadata: { k: 'v'.repeat(n) } }), 0, 500],
    ] as const)('takes the bounds of %s and nothing beyond', async (_, change, min, max) => {
      for (const n of [min, max]) {
        const made = await tenant.post('/orders', { ...orderInput(), ...change(n) });
        expect([n, made.status]).toEqual([n, 201]);
        expect((await tenant.get(`/orders/${made.body.id}`)).body).toMatchObject(change(n));
      }
      for (const n of [min - 1, max + 1].filter((value) => value >= 0)) {
        const refused = await tenant.post('/orders', { ...orderInput(), ...change(n) });
        expect([n, expectProblem(refused, 'validation_error').errors?.length]).toEqual([n, 1]);
      }
    });

    it('takes a currency in any case, and only one that ISO 4217 lists', async () => {
      for (const [sent, kept] of [['usd', 'USD'], ['Eur', 'EUR'], ['JPY', 'JPY']]) {
        expect((await tenant.createOrder({ currency: sent, items: [item({ unit_price: 5 })] })).currency).toBe(kept);
      } // prettier-ignore
      // Among them letters that become ASCII ones in upper case, and Object's own names.
      for (const currency of [
        'US',
        'USDD',
        '',
        'XXX',
        'ABC',
        'HRK',
        '___',
        'u$d',
        'uſd',
        'ıdr',
        'ßd',
        ' US',
        'toString',
      ]) {
        const [fault, ...others] = faultsOf(await tenant.post('/orders', { ...orderInput(), currency }));
        expect([currency, fault?.split(':')[0], others]).toEqual([currency, 'currency', []]);
      }
    });

    it('takes a customer id of any version of RFC 9562 and keeps it in lower case', async () => {
      const ids = [...'12345678'].map((version) => `c232ab00-9414-${version}1ec-b3c8-9f6bdeced846`);
      ids.push('00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff');
      for (const id of ids) {
        expect((await tenant.createOrder({ customer_id: id })).customer_id).toBe(id);
        const made = await tenant.createOrder({ customer_id: id.toUpperCase() });
        expect((await tenant.get(`/orders/${made.id}`)).body.customer_id).toBe(id);
      }
      const one = ids[0] as string;
      for (const id of [
        `{${one}}`,
        `urn:uuid:${one}`,
        one.replaceAll('-', ''),
        `${one} `,
        `${one}\n`,
        one.slice(1),
        `g${one.slice(1)}`,
      ]) {
        // prettier-ignore
        expect(faultsOf(await tenant.post('/orders', { ...orderInput(), customer_id: id }))).toEqual([
          'customer_id: uuid',
        ]);
      }
    });
  });

  describe('items', () => {
    it('keeps their order, on every route', async () => {
      const items = Array.from({ length: 50 }, (_, i) =>
        item({ product_id: `p${(i * 37) % 50}`, product_name: `n${i}` }),
      );
      const made = (await tenant.post('/orders', { ...orderInput(), items })).body;
      const batch = (await tenant.post('/orders/batch', { orders: [{ ...orderInput(), items }] })).body.data[0];
      const listed = (await tenant.get('/orders?limit=2')).body.data;
      const exported = (await tenant.get('/orders/export')).text.split('\n').slice(0, 2);
      const views = [made, batch, ...listed, ...exported.map((line) => JSON.parse(line))];
      for (const id of [made.id, batch.id]) {
        views.push((await tenant.get(`/orders/${id}`)).body);
        views.push((await tenant.patch(`/orders/${id}`, { notes: 'x' })).body);
        views.push((await tenant.patch(`/orders/${id}/status`, { status: 'confirmed' })).body);
      }
      const sent = items.map(({ product_id, product_name }) => ({ product_id, product_name }));
      expect(views).toHaveLength(12);
      for (const view of views) {
        const kept = view.items.map(({ product_id, product_name }: Record<string, string>) => ({
          product_id,
          product_name,
        }));
        expect(kept).toEqual(sent);
        expect(new Set(view.items.map(({ id }: { id: string }) => id)).size).toBe(50);
      }
    });

    it('may be the same product twice', async () => {
      const made = await tenant.createOrder({ items: [item(), item({ quantity: 2 }), item()] });
      expect(made.items.map(({ quantity }: { quantity: number }) => quantity)).toEqual([1, 2, 1]);
      expect(made.total_amount).toBe('4.00');
    });
  });

  describe('polling by after_id', () => {
    const ids = (response: { body: { data: { id: string }[] } }) => response.body.data.map(({ id }) => id);

    it('gives the orders made after one, those of its millisecond included', async () => {
      const made = await tenant.post('/orders/batch', { orders: Array.from({ length: 60 }, orderInput) });
      const newestFirst = ids(made).reverse();
      // The request is meaningful only if orders of one millisecond are distinguished.
      expect(new Set(newestFirst.map((id) => id.slice(0, 13))).size).toBeLessThan(60);
      for (const at of [0, 1, 20, 59]) {
        const response = await tenant.get(`/orders?limit=100&after_id=${newestFirst[at]?.toUpperCase()}`);
        expect(ids(response)).toEqual(newestFirst.slice(0, at));
      }
      const oldest = newestFirst[59] as string;
      const pages: string[] = [];
      for (let cursor = ''; ;) {
        const page = await tenant.get(`/orders?limit=7&after_id=${oldest}${cursor}`);
        pages.push(...ids(page));
        if (!page.body.has_more) break;
        cursor = `&cursor=${page.body.next_cursor}`;
      }
      expect(pages).toEqual(newestFirst.slice(0, 59));
      const exported = await tenant.get(`/orders/export?status=pending&after_id=${newestFirst[3]}`);
      expect(exported.text.split('\n').filter(Boolean)).toHaveLength(3);
    });

    it('refuses a malformed id, and reveals nothing of another tenant', async () => {
      const refused = await tenant.get('/orders?after_id=yesterday');
      expect([refused.status, refused.body.errors]).toMatchObject([422, [{ field: 'after_id' }]]);
      const order = await tenant.createOrder();
      const stranger = await service.tenant();
      expect(ids(await stranger.get(`/orders?after_id=${order.id}`))).toEqual([]);
      await stranger.createOrder();
      expect(ids(await stranger.get(`/orders?after_id=${order.id}`))).toHaveLength(1);
    });
  });

  describe('another tenant', () => {
    it('responds with 404 for another tenant’s order', async () => {
      const order = await tenant.createOrder();
      const response = await (await service.tenant()).get(`/orders/${order.id}`);
      expect(response.status).toBe(404);
      expect(response.body.detail).toBe(`Order '${order.id}' not found`);
    });

    it('sees nothing in lists and exports, whatever it filters by', async () => {
      const stranger = await service.tenant();
      const order = await tenant.createOrder();
      const filters = ['', `?customer_id=${order.customer_id}`, '?status=pending', '?currency=USD'];
      filters.push(
        `?created_after=2020-01-01T00:00:00Z`,
        `?customer_id=${order.customer_id}&status=pending&currency=usd`,
      );
      for (const filter of filters) {
        expect((await stranger.get(`/orders${filter}`)).body).toEqual({ data: [], next_cursor: null, has_more: false });
        expect((await stranger.get(`/orders/export${filter}`)).text).toBe('');
      }
    });

    it('cannot be named in the request', async () => {
      const stranger = await service.tenant();
      const order = await tenant.createOrder();
      const headers = { 'x-tenant-id': tenant.tenantId, 'x-forwarded-tenant': tenant.tenantId };
      expect((await stranger.get(`/orders/${order.id}`, headers)).status).toBe(404);
      const made = await stranger.post('/orders', orderInput(), headers);
      const [row] = await service.database.sql<{ tenant_id: string }>('select tenant_id from orders where id = $1', [
        made.body.id,
      ]);
      expect(row?.tenant_id).toBe(stranger.tenantId);
    });
  });
});

function pairs(count: number): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, `v${i}`]));
}
