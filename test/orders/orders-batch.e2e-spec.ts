import { type ApiClient, orderInput } from '../harness/client';
import { expectProblem, faultsOf } from '../harness/problems';
import { startService, type TestService } from '../harness/service';

describe('making many orders, all or none', () => {
  let service: TestService;
  let tenant: ApiClient;

  beforeAll(async () => {
    service = await startService();
    tenant = await service.tenant();
  });
  afterAll(() => service.stop());

  /** How many rows every table of a tenant's has. */
  async function rows(): Promise<Record<string, number>> {
    const tables = await service.database.sql<{ name: string }>(
      `select table_name as name from information_schema.columns where column_name = 'tenant_id' and table_schema = 'public'
        order by 1`,
    );
    const counts: Record<string, number> = {};
    for (const { name } of tables) {
      const [row] = await service.database.sql<{ n: number }>(
        `select count(*)::int as n from ${name} where tenant_id = $1`,
        [tenant.tenantId],
      );
      counts[name] = row?.n as number;
    }
    expect(Object.keys(counts)).toEqual(
      expect.arrayContaining(['orders', 'order_items', 'order_history', 'idempotency_keys']),
    );
    return counts;
  }

  describe('a batch', () => {
    it('makes 100 orders of 50 items in one transaction, in the order they were sent', async () => {
      const items = Array.from({ length: 50 }, (_, i) => ({
        product_id: `p${i}`,
        product_name: `Product ${i}`,
        quantity: i + 1,
        unit_price: '1.01',
      }));
      const before = await rows();
      const orders = Array.from({ length: 100 }, (_, i) => ({ ...orderInput(), items, notes: `order ${i}` }));
      const response = await tenant.post('/orders/batch', { orders });
      expect(response.status).toBe(201);
      expect(Object.keys(response.body)).toEqual(['data']);
      expect(response.body.data.map((order: { notes: string }) => order.notes)).toEqual(
        orders.map((order) => order.notes),
      );
      for (const order of response.body.data)
        expect(order).toMatchObject({ total_amount: '1287.75', status: 'pending' });
      const after = await rows();
      expect(after.orders).toBe((before.orders as number) + 100);
      expect(after.order_items).toBe((before.order_items as number) + 5000);
      expect(after.order_history).toBe((before.order_history as number) + 100);
      const transactions = await service.database.sql('select distinct xmin::text from orders where notes like $1', [
        'order %',
      ]);
      expect(transactions).toHaveLength(1);
      for (const order of [response.body.data[0], response.body.data[99]]) {
        expect((await tenant.get(`/orders/${order.id}`)).body).toEqual(order);
        expect((await tenant.get(`/orders/${order.id}/events`)).body.data).toHaveLength(1);
      }
      // Newest first: the last of the batch is the first of the list.
      const listed = (await tenant.get('/orders?limit=100')).body.data.map((order: { id: string }) => order.id);
      expect(listed).toEqual(response.body.data.map((order: { id: string }) => order.id).reverse());
    });

    it('takes 1 to 100 orders', async () => {
      expect((await tenant.post('/orders/batch', { orders: [orderInput()] })).status).toBe(201);
      expect(faultsOf(await tenant.post('/orders/batch', { orders: [] }))).toEqual(['orders: array_min_size']);
      const many = new Array(101).fill(orderInput());
      expect(faultsOf(await tenant.post('/orders/batch', { orders: many }))).toEqual(['orders: array_max_size']);
    });

    it('names the faults of every order, and makes none of them', async () => {
      const before = await rows();
      const response = await tenant.post('/orders/batch', {
        orders: [
          orderInput(),
          { ...orderInput(), currency: 'XXX' },
          { ...orderInput(), customer_id: 'no', items: [] },
          {
            ...orderInput(),
            currency: 'JPY',
            items: [{ product_id: 'p', product_name: 'n', quantity: 0, unit_price: '1.5' }],
          },
          { ...orderInput(), metadata: { k: 1 }, extra: true },
          null,
          orderInput(),
        ],
      });
      expect(faultsOf(response)).toEqual([
        'orders.1.currency: currency',
        'orders.2.customer_id: uuid',
        'orders.2.items: array_min_size',
        'orders.3.items.0.quantity: min',
        'orders.3.items.0.unit_price: money_digits',
        'orders.4.extra: unknown_field',
        'orders.4.metadata.k: is_string',
        'orders.5: is_object',
      ]);
      expect(await rows()).toEqual(before);
    });

    it('is not made because its last order has a fault', async () => {
      const before = await rows();
      const orders = [...Array.from({ length: 99 }, orderInput), { ...orderInput(), currency: 'no' }];
      expect(faultsOf(await tenant.post('/orders/batch', { orders }))).toEqual(['orders.99.currency: min_length']);
      expect(await rows()).toEqual(before);
    });

    it('takes nothing beside its orders', async () => {
      expect(faultsOf(await tenant.post('/orders/batch', { orders: [orderInput()], currency: 'USD' }))).toEqual([
        'currency: unknown_field',
      ]);
      expectProblem(await tenant.post('/orders/batch', [orderInput()]), 'validation_error');
    });
  });

  describe('a failure in the middle', () => {
    const TABLES = ['orders', 'order_items', 'order_history', 'events', 'outbox', 'idempotency_keys'];

    /** Makes every insert into the table fail while `work` runs. */
    async function whileFailing(table: string, code: string, work: () => Promise<void>): Promise<void> {
      await service.database.sql(`
        create or replace function fail_for_test() returns trigger language plpgsql as $$
          begin raise exception 'secret inside %', tg_table_name using errcode = '${code}'; end $$;
        create trigger fail_for_test before insert on ${table} for each row execute function fail_for_test()`);
      try {
        await work();
      } finally {
        await service.database.sql(`drop trigger fail_for_test on ${table}`);
      }
    }

    it.each(TABLES)('leaves nothing of an order when %s cannot be written', async (table) => {
      const before = await rows();
      const key = { 'idempotency-key': `rollback of ${table}` };
      const orders = [orderInput(), orderInput()];
      await whileFailing(table, 'XX000', async () => {
        for (const response of [
          await tenant.post('/orders', orders[0], key),
          await tenant.post('/orders/batch', { orders }, { 'idempotency-key': `batch, ${key['idempotency-key']}` }),
        ]) {
          const problem = expectProblem(response, 'internal_error');
          expect(problem.detail).toBe('Something went wrong on our side.');
          expect(response.text).not.toMatch(/secret|trigger|insert|order_|XX000/);
        }
        // Without a key, all of it is one pipelined transaction.
        if (table !== 'idempotency_keys') expectProblem(await tenant.post('/orders', orders[0]), 'internal_error');
      });
      expect(await rows()).toEqual(before);
      expect(service.logLines.some((line) => line.includes(`secret inside ${table}`))).toBe(true);
      // The refused call has left its key free.
      const again = await tenant.post('/orders', orders[0], key);
      expect([again.status, again.headers.get('idempotency-replayed')]).toEqual([201, null]);
    });

    it('leaves an order as it was when its history cannot be written', async () => {
      const order = await tenant.createOrder({ metadata: { a: 'b' } });
      const before = await rows();
      await whileFailing('order_history', 'XX000', async () => {
        expectProblem(await tenant.patch(`/orders/${order.id}`, { notes: 'x' }), 'internal_error');
        expectProblem(await tenant.patch(`/orders/${order.id}/status`, { status: 'confirmed' }), 'internal_error');
        expect((await tenant.get(`/orders/${order.id}`)).body).toEqual(order);
      });
      expect(await rows()).toEqual(before);
      expect((await tenant.patch(`/orders/${order.id}`, { notes: 'x' })).body.version).toBe(2);
    });

    it('responds with 503 with Retry-After where the database is temporarily unavailable', async () => {
      const before = await rows();
      for (const code of ['40001', '40P01', '57014', '53300', '55P03']) {
        await whileFailing('order_items', code, async () => {
          const response = await tenant.post('/orders', orderInput());
          expectProblem(response, 'unavailable');
          expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0);
        });
      }
      expect(await rows()).toEqual(before);
    });

    it('serves on after all of them', async () => {
      const orders = await Promise.all(Array.from({ length: 30 }, () => tenant.createOrder()));
      expect(new Set(orders.map((order) => order.id)).size).toBe(30);
    });
  });
});
