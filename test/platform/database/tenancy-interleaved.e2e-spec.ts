import { Order } from '../../../src/orders/order.entity';
import type { Statement } from '../../../src/platform/database/sql/statement';
import { TenantDatabase } from '../../../src/platform/database/tenant-database';
import { expectProblem } from '../../harness/problems';
import { orderInput, type ApiClient } from '../../harness/client';
import { startService, type TestService } from '../../harness/service';
import { checkTenantIsolation, registerTenants } from '../../harness/tenant-isolation';

/** Many concurrent tenants on few connections: each sees its own rows, even with faulty statements. */
describe('fifty tenants, interleaved', () => {
  let service: TestService;
  let tenants: ApiClient[];
  let database: TenantDatabase;

  beforeAll(async () => {
    service = await startService({ env: { DB_POOL_SIZE: '5' } });
    database = service.app.get(TenantDatabase, { strict: false });
    tenants = await registerTenants(service, 50);
  });
  afterAll(() => service.stop());

  it('each see and change their own orders alone', async () => {
    await checkTenantIsolation(tenants, 2);
  });

  /** Statements without their tenant, by every way to the database. */
  const forgetful: Statement = { name: 'test_forgetful', text: 'select tenant_id from orders', values: [] };
  const ways: [string, (tenantId: string) => Promise<string[]>][] = [
    [
      'a read',
      async (tenantId) =>
        (await database.query<{ tenant_id: string }>({ tenantId }, forgetful)).map((row) => row.tenant_id),
    ],
    [
      'a transaction',
      (tenantId) =>
        database.transaction({ tenantId }, async (tx) =>
          (await tx.query<{ tenant_id: string }>(forgetful)).map((row) => row.tenant_id),
        ),
    ],
    [
      'a repository',
      (tenantId) =>
        database.transaction({ tenantId }, async (tx) =>
          (await tx.repository(Order).find()).map((order) => order.tenantId),
        ),
    ],
  ];

  it.each(ways)('see their own rows by a statement that forgot its tenant (%s)', async (_, ask) => {
    const runs = Array.from({ length: 4 }, () => tenants).flat();
    await Promise.all(
      runs.map(async ({ tenantId }) => {
        const seen = await ask(tenantId);
        expect(seen.length).toBeGreaterThan(0);
        expect(new Set(seen)).toEqual(new Set([tenantId]));
      }),
    );
  });

  it('change their own rows by a statement that forgot its tenant', async () => {
    const before = await service.database.sql(
      'select tenant_id, count(*)::int as count from orders group by 1 order by 1',
    );
    await Promise.all(
      tenants.map(({ tenantId }) =>
        database.transaction({ tenantId }, async (tx) =>
          tx.defer({ name: 'test_forgetful_mark', text: 'update orders set notes = $1', values: [tenantId] }),
        ),
      ),
    );
    const after = await service.database.sql(
      'select tenant_id, count(*)::int as count from orders where notes = tenant_id::text group by 1 order by 1',
    );
    expect(after).toEqual(before);
  });

  it('get 404 for one another’s orders by every route, the same as for none', async () => {
    const [a, b] = tenants as [ApiClient, ApiClient];
    const order = await a.createOrder();
    const nobodys = '01890000-0000-7000-8000-000000000000';
    for (const id of [order.id, nobodys]) {
      for (const [method, path, body] of [
        ['GET', `/orders/${id}`],
        ['GET', `/orders/${id}/events`],
        ['PATCH', `/orders/${id}`, { notes: 'mine' }],
        ['PATCH', `/orders/${id}/status`, { status: 'confirmed' }],
      ] as const) {
        const response = await b.request(method, path, { body });
        expect(expectProblem(response, 'not_found').detail).toBe(`Order '${id}' not found`);
      }
    }
    expect((await a.get(`/orders/${order.id}`)).body).toEqual(order);
  });

  it('take the tenant from the credential alone', async () => {
    const [a, b] = tenants as [ApiClient, ApiClient];
    const order = await a.createOrder();
    const claims = { 'x-tenant-id': a.tenantId, 'x-tenant': a.tenantId, 'tenant-id': a.tenantId };
    expect((await b.get(`/orders/${order.id}?tenant_id=${a.tenantId}`, claims)).status).toBe(404);
    expectProblem(await b.post('/orders', { ...orderInput(), tenant_id: a.tenantId }, claims), 'validation_error');
    const made = await b.post('/orders', orderInput(), claims);
    expect((await a.get(`/orders/${made.body.id}`)).status).toBe(404);
  });

  it('get nothing from one another’s cursors and exports', async () => {
    const [a, b] = tenants as [ApiClient, ApiClient];
    const { next_cursor: cursor } = (await a.get('/orders?limit=1')).body;
    expectProblem(await b.get(`/orders?limit=1&cursor=${cursor}`), 'invalid_cursor');
    const lines = (await b.get('/orders/export')).text.trim().split('\n');
    const ids = lines.map((line) => (JSON.parse(line) as { id: string }).id);
    const owners = await service.database.sql('select distinct tenant_id from orders where id = any ($1)', [ids]);
    expect(owners).toEqual([{ tenant_id: b.tenantId }]);
  });
});
