import { ConnectionManager } from '../../src/platform/database/connections/connection-manager';
import { StatementSpans } from '../../src/platform/database/connections/statement-spans';
import { TenantDatabase } from '../../src/platform/database/tenant-database';
import { findOrderJson } from '../../src/orders/orders.queries';
import { findTenant, moveTenant } from '../../src/platform/database/migrate/move-shards';
import {
  citusUrls,
  createDistributedDatabase,
  createFakeDistributedDatabase,
  createOwnedDatabase,
  type OwnedDatabase,
} from '../harness/citus';
import { type ApiClient, orderInput } from '../harness/client';
import type { TestDatabase } from '../harness/databases';
import { startService, type TestService } from '../harness/service';

const urls = citusUrls();
const databases: [string, () => Promise<TestDatabase>][] = [
  [
    'PostgreSQL that says it is the only server of Citus',
    async () => {
      const database = await createFakeDistributedDatabase();
      await database.sql(`create or replace view pg_dist_node as select 0 as groupid, 'primary' as noderole`);
      return database;
    },
  ],
];
if (urls.length > 0) databases.push(['a real Citus of one server', () => createDistributedDatabase(urls.slice(0, 1))]);

/** Texts that JSON escapes, and keys that an object of JavaScript sorts. */
const ODD = { notes: '"quoted" \\ \u2028 </script>\n', metadata: { b: 'ü', '10': '1', '9': '"', __proto__: 'x' } };

/** Statements whose plan the sessions of a service have kept, where it has parameters. */
const KEPT = {
  name: 'plans_kept',
  text: `select name from pg_prepared_statements where generic_plans > 0 and parameter_types <> '{}'`,
  values: [],
};
const FAILS = { name: 'fails_here', text: 'select 1 / (length($1) - 1)', values: ['x'] };

function insertRow(tenantId: string) {
  const text = 'insert into outbox (tenant_id, event_id) values ($1, $2)';
  return { name: 'outbox_row', text, values: [tenantId, '01a00000-0000-7000-8000-000000000001'] };
}

/** Defers one row and a statement that fails, and expects that neither is there. */
async function expectAllOrNothing(database: TestDatabase, service: TestService, tenantId: string): Promise<void> {
  const failing = service.app.get(TenantDatabase, { strict: false }).transaction({ tenantId }, async (tx) => {
    tx.defer(insertRow(tenantId));
    tx.defer(FAILS);
  });
  await expect(failing).rejects.toThrow('division by zero');
  const [row] = await database.sql<{ count: number }>(
    'select count(*)::int as count from outbox where tenant_id = $1 and event_id = $2',
    insertRow(tenantId).values,
  );
  expect(row?.count).toBe(0);
}

describe.each(databases)('on %s', (_, create) => {
  let database: TestDatabase;
  let service: TestService;
  let tenant: ApiClient;

  beforeAll(async () => {
    database = await create();
    service = await startService({ database });
    tenant = await service.tenant();
  });
  afterAll(async () => {
    await service?.stop();
    await database?.drop();
  });

  const tenants = (): TenantDatabase => service.app.get(TenantDatabase, { strict: false });

  it('responds with the order that PostgreSQL makes where tables are not distributed', async () => {
    const made = await tenant.post('/orders', { ...orderInput(), ...ODD });
    expect(made.status).toBe(201);
    const id = made.body.id as string;
    expect((await tenant.patch(`/orders/${id}/status`, { status: 'confirmed' })).status).toBe(200);
    for (const one of [id, (await tenant.createOrder()).id as string]) {
      const got = await tenant.get(`/orders/${one}`);
      const [row] = await tenants().query<{ json: string; version: number }>(
        { tenantId: tenant.tenantId },
        findOrderJson(tenant.tenantId, one),
      );
      expect(JSON.stringify(JSON.parse(got.text))).toBe(JSON.stringify(JSON.parse(row?.json as string)));
      expect(got.headers.get('etag')).toContain(String(row?.version));
    }
    expect((await tenant.get(`/orders/${made.body.customer_id as string}`)).status).toBe(404);
    const other = await service.tenant();
    expect((await other.get(`/orders/${id}`)).status).toBe(404);
    expect((await other.patch(`/orders/${id}`, { notes: 'x' })).status).toBe(404);
  });

  it('reads an order in one round trip, by statements of one table each', async () => {
    const { id } = await tenant.createOrder();
    const roundTrips = jest.spyOn(StatementSpans.prototype, 'around');
    try {
      await tenant.get(`/orders/${id as string}`);
      await tenant.patch(`/orders/${id as string}`, { notes: 'x' });
      const sent = roundTrips.mock.calls.map(([statements]) => statements.map(({ name }) => name));
      const apart = ['order_read_alone', 'order_read_items'];
      const reads = sent.filter((names) => names.some((name) => name.startsWith('order_read')));
      expect(reads).toEqual([apart, apart]);
    } finally {
      roundTrips.mockRestore();
    }
  });

  it('writes an order in one round trip, on a connection that transactions share', async () => {
    const acquire = jest.spyOn(ConnectionManager.prototype, 'acquire');
    try {
      await tenant.createOrder();
      expect(acquire).not.toHaveBeenCalled();
    } finally {
      acquire.mockRestore();
    }
  });

  it('commits all of the statements of a transaction, or none', () =>
    expectAllOrNothing(database, service, tenant.tenantId));

  it('keeps no plan, of which Citus would add one at each execution', async () => {
    const { id } = await tenant.createOrder();
    for (let i = 0; i < 60; i++) {
      expect((await tenant.get(`/orders/${id as string}`)).status).toBe(200);
      await tenant.createOrder();
    }
    const scope = { tenantId: tenant.tenantId };
    const kept: unknown[] = [];
    // Reads have two connections, and writes six.
    for (let i = 0; i < 6; i++)
      kept.push(...(await tenants().query(scope, KEPT)), ...(await tenants().write(scope, KEPT)));
    expect(kept).toEqual([]);
    const [pool] = await tenants().transaction(scope, (tx) => tx.query<{ mode: string }>({
      name: 'plan_cache_mode',
      text: `select current_setting('plan_cache_mode') as mode`,
      values: [],
    })); // prettier-ignore
    expect(pool?.mode).toBe('force_custom_plan');
  });
});

const onCitus = urls.length > 1 ? describe : describe.skip;

onCitus('after a second server has joined, with a process from before', () => {
  let database: OwnedDatabase;
  let service: TestService;

  beforeAll(async () => {
    const both = urls.slice(0, 2);
    database = await createOwnedDatabase(both);
    const [{ hostname, port }, second] = both.map((url) => new URL(url)) as [URL, URL];
    for (const server of both.keys()) await database.sqlOn(server, 'create extension citus');
    await database.sql(`select citus_set_coordinator_host('${hostname}', ${port})`);
    await database.sql(`select citus_set_node_property('${hostname}', ${port}, 'shouldhaveshards', true)`);
    await database.migrate();
    service = await startService({ database });
    await service.tenant();
    await database.sql(`select citus_add_node('${second.hostname}', ${second.port})`);
    await database.sql(`select replicate_reference_tables('block_writes')`);
  });
  afterAll(async () => {
    await service?.app.close();
    await database?.drop();
  });

  it('reads and writes the rows of a tenant that has moved there, each once', async () => {
    const tenant = await service.tenant();
    const { id } = await tenant.createOrder();
    const { hostname, port } = new URL(urls[1] as string);
    await moveTenant(database.ownerUrl, tenant.tenantId, { host: hostname, port: Number(port) });
    expect((await findTenant(database.ownerUrl, tenant.tenantId)).port).toBe(Number(port));
    for (let i = 0; i < 5; i++) {
      const made = await tenant.post('/orders', orderInput(), { 'idempotency-key': `after-${i}` });
      expect(made.status).toBe(201);
      expect((await tenant.get(`/orders/${made.body.id as string}`)).body).toEqual(made.body);
    }
    expect((await tenant.patch(`/orders/${id as string}/status`, { status: 'confirmed' })).status).toBe(200);
    const [row] = await database.sql<{ orders: number; events: number }>(
      `select (select count(*) from orders where tenant_id = $1)::int as orders,
              (select count(*) from events where tenant_id = $1)::int as events`,
      [tenant.tenantId],
    );
    expect(row).toEqual({ orders: 6, events: 7 });
    await expectAllOrNothing(database, service, tenant.tenantId);
  });
});
