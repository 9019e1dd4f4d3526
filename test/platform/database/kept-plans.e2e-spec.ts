import { randomUUID } from 'node:crypto';
import { listHistoryJson, listOrdersJson, type OrderFilter } from '../../../src/orders/orders.queries';
import type { Statement } from '../../../src/platform/database/sql/statement';
import { listDeliveriesJson } from '../../../src/webhooks/deliveries/deliveries.queries';
import { listEndpointsJson } from '../../../src/webhooks/endpoints/endpoints.queries';
import { listEventsJson } from '../../../src/webhooks/events/events.queries';
import { createTestDatabase, type TestDatabase } from '../../harness/databases';
import { customPlans, explain } from '../../harness/plans';

const ORDERS = 3_000;
/** PostgreSQL plans the first five executions on a connection in any case. */
const FIRST_PLANS = 5;
const UNFILTERED = { endpointId: undefined, eventId: undefined, eventType: undefined, status: undefined };

/** Planning a page took as long as half of its execution, at each execution. */
describe('the pages of lists', () => {
  const tenantId = randomUUID();
  const customerId = randomUUID();
  let database: TestDatabase;
  let last: string;

  beforeAll(async () => {
    database = await createTestDatabase();
    await database.sql(`insert into tenants (id, name, created_at) values ($1, 'Acme', now())`, [tenantId]);
    await database.sql(
      `insert into orders (tenant_id, id, customer_id, status, total_amount, currency, metadata, version, created_at, updated_at)
       select $1, gen_random_uuid(), case when i % 10 = 0 then $2::uuid else gen_random_uuid() end,
              case when i % 10 = 0 then 'confirmed' else 'pending' end, 1, 'USD', '{}', 1, now(), now()
         from generate_series(1, $3::int) i`,
      [tenantId, customerId, ORDERS],
    );
    await database.sql(
      `insert into order_items (tenant_id, order_id, position, id, product_id, product_name, quantity, unit_price)
       select tenant_id, id, 0, gen_random_uuid(), 'p', 'P', 1, 1 from orders`,
    );
    await database.sql(
      `with event as (
         insert into events (tenant_id, id, type, aggregate_id, sequence, data, created_at)
         select $1, gen_random_uuid(), 'a.b', gen_random_uuid(), 1, '{}', now() from generate_series(1, $2::int)
         returning *
       )
       insert into deliveries (tenant_id, id, endpoint_id, event_id, event_type, status, attempt_count, tries, created_at)
       select $1, gen_random_uuid(), $3, id, 'a.b', 'succeeded', 0, 0, now() from event`,
      [tenantId, ORDERS, randomUUID()],
    );
    await database.sql(
      `insert into order_history (tenant_id, order_id, id, type, from_status, to_status, actor_type, actor_id, created_at)
       select $1, $2, gen_random_uuid(), 'order.updated', 'pending', 'pending', 'user', gen_random_uuid(), now()
         from generate_series(1, 300)`,
      [tenantId, await oneOrder()],
    );
    await database.sql('analyze orders, order_items, order_history, events, deliveries');
    last = await oneOrder();
  });
  afterAll(() => database.drop());

  async function oneOrder(): Promise<string> {
    const rows = await database.sql<{ id: string }>('select id from orders order by id offset 1500 limit 1');
    return rows[0]?.id as string;
  }

  const orders =
    (filter: OrderFilter, limit = 21) =>
    (after?: string) =>
      listOrdersJson(tenantId, filter, after, limit);
  const lists: [string, (after?: string) => Statement][] = [
    ['orders', orders({})],
    ['orders, 100 a page', orders({}, 101)],
    ['orders by status', orders({ status: 'confirmed' })],
    ['orders of a customer', orders({ customerId })],
    ['orders by currency', orders({ currency: 'USD' })],
    ['orders by time', orders({ createdAfter: new Date(0), createdBefore: new Date() })],
    ['the history of an order', (after) => listHistoryJson(tenantId, last, after, 21)],
    ['deliveries', (after) => listDeliveriesJson(tenantId, UNFILTERED, [], after, 21)],
    [
      'deliveries by status',
      (after) => listDeliveriesJson(tenantId, { ...UNFILTERED, status: 'succeeded' }, [], after, 21),
    ],
    ['events', (after) => listEventsJson(tenantId, undefined, [], after, 21)],
    ['events by type', (after) => listEventsJson(tenantId, 'a.b', [], after, 21)],
    ['endpoints', (after) => listEndpointsJson(tenantId, after, 21)],
  ];

  it.each(lists)('of %s are not planned anew at each execution', async (_, list) => {
    for (const statement of [list(), list(last)]) {
      expect(await customPlans(database.serviceUrl, tenantId, statement, 12)).toBe(FIRST_PLANS);
    }
  });

  it.each(lists)('of %s read with that plan no more than a page', async (_, list) => {
    for (const statement of [list(), list(last)]) {
      const { rowsSeen } = await explain(database.serviceUrl, tenantId, statement);
      expect(rowsSeen).toBeLessThanOrEqual(101);
    }
  });
});
