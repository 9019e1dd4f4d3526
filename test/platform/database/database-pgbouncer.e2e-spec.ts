import { Client } from 'pg';
import { TenantDatabase } from '../../../src/platform/database/tenant-database';
import { type ApiClient, orderInput } from '../../harness/client';
import { createTestDatabase, type TestDatabase } from '../../harness/databases';
import { findPgBouncer, PgBouncer } from '../../harness/pgbouncer';
import { startService, type TestService } from '../../harness/service';
import { checkTenantIsolation, registerTenants } from '../../harness/tenant-isolation';
import { until } from '../../harness/until';

const SERVER_CONNECTIONS = 4;
const installed = findPgBouncer();

if (!installed && process.env.CI === 'true') {
  it('runs behind PgBouncer', () => {
    throw new Error('PgBouncer is not installed, and CI may not go without this suite: apt-get install pgbouncer');
  });
} else if (!installed) {
  process.stderr.write(
    '\n  SKIPPED: PgBouncer is not installed, so nothing was tested behind it: apt-get install pgbouncer\n\n',
  );
}

/** Named prepared statements are off: PgBouncer supports them since 1.21. */
(installed ? describe : describe.skip)(`behind PgBouncer ${installed?.version ?? ''} in transaction mode`, () => {
  let database: TestDatabase;
  let bouncer: PgBouncer;
  let service: TestService;
  let tenants: ApiClient[];

  beforeAll(async () => {
    database = await createTestDatabase();
    bouncer = await PgBouncer.start(installed?.program ?? '', database.serviceUrl, SERVER_CONNECTIONS);
    service = await startService({
      database,
      env: { DATABASE_URL: bouncer.url, DIRECT_DATABASE_URL: database.serviceUrl, DB_PREPARED_STATEMENTS: 'false' },
    });
    tenants = await registerTenants(service, 20);
  });
  afterAll(async () => {
    await service?.stop();
    await bouncer?.stop();
    await database?.drop();
  });

  it('makes, reads, lists, changes and exports orders', async () => {
    const tenant = await service.tenant();
    const body = orderInput();
    const made = await tenant.post('/orders', body, { 'idempotency-key': 'once' });
    expect(made.status).toBe(201);
    expect((await tenant.post('/orders', body, { 'idempotency-key': 'once' })).text).toBe(made.text);
    expect((await tenant.get(`/orders/${made.body.id}`)).body).toEqual(made.body);
    expect((await tenant.get('/orders')).body.data).toEqual([made.body]);
    const changed = await tenant.patch(`/orders/${made.body.id}/status`, { status: 'confirmed' });
    expect(changed.body).toMatchObject({ status: 'confirmed', version: 2 });
    expect((await tenant.get('/orders/export')).text).toContain(made.body.id);
    expect((await tenant.get('/auth/me')).status).toBe(200);
    expect((await service.client.get('/health/ready')).status).toBe(200);
  });

  it('keeps tenants apart in hundreds of interleaved requests over a few server connections', async () => {
    // 20 tenants × 4 rounds × 4 requests.
    await checkTenantIsolation(tenants, 4);
    const servers = (await bouncer.show('servers')).filter((server) => server.database === database.name);
    expect(servers.length).toBeGreaterThan(0);
    expect(servers.length).toBeLessThanOrEqual(SERVER_CONNECTIONS);
  });

  it('sees its own rows by a statement that forgot its tenant, 300 times interleaved, by every way', async () => {
    const tenantDatabase = service.app.get(TenantDatabase, { strict: false });
    const forgetful = { name: 'test_forgetful', text: 'select tenant_id from orders', values: [] };
    const asked = Array.from({ length: 300 }, (_, at) => (tenants[at % tenants.length] as ApiClient).tenantId);
    await Promise.all(
      asked.map(async (tenantId, at) => {
        const rows =
          at % 3 === 0
            ? await tenantDatabase.transaction({ tenantId }, (tx) => tx.query(forgetful))
            : await tenantDatabase.query({ tenantId }, forgetful);
        expect(rows.length).toBeGreaterThan(0);
        expect(new Set(rows.map((row) => row.tenant_id))).toEqual(new Set([tenantId]));
      }),
    );
  });

  it('keeps nothing of a pipelined transaction that fails between others, and leaves no setting behind', async () => {
    const tenantDatabase = service.app.get(TenantDatabase, { strict: false });
    const insert = (tenantId: string, key: string) => ({
      name: 'test_insert_key',
      text: `insert into idempotency_keys (tenant_id, caller, key, request_hash, status, headers, body, created_at, expires_at)
             values ($1, 'test', $2, '', 200, '{}', '', now(), now())`,
      values: [tenantId, key],
    });
    const failing = { name: 'test_divide', text: 'select 1 / $1::int', values: [0] };
    const flights = Array.from({ length: 60 }, (_, at) => {
      const { tenantId } = tenants[at % tenants.length] as ApiClient;
      return tenantDatabase.transaction({ tenantId }, async (tx) => {
        tx.defer(insert(tenantId, `flight-${at}`));
        if (at % 2 === 1) tx.defer(failing);
        tx.defer(insert(tenantId, `flight-${at}-second`));
      });
    });
    const outcomes = await Promise.allSettled(flights);
    expect(outcomes.map((outcome) => outcome.status)).toEqual(
      outcomes.map((_, at) => (at % 2 === 1 ? 'rejected' : 'fulfilled')),
    );
    const kept = await database.sql<{ key: string }>(`select key from idempotency_keys where key like 'flight-%'`);
    expect(kept.map((row) => row.key).sort()).toEqual(
      outcomes.flatMap((_, at) => (at % 2 === 1 ? [] : [`flight-${at}`, `flight-${at}-second`])).sort(),
    );
    for (let connection = 0; connection < 2 * SERVER_CONNECTIONS; connection++) {
      const other = new Client({ connectionString: bouncer.url });
      await other.connect();
      await expect(other.query('select 1 from orders')).rejects.toMatchObject({
        code: expect.stringMatching(/^(42704|22P02)$/),
      });
      await other.end();
    }
  });

  it('responds with 503 while the pooler is away, and recovers when it is back', async () => {
    const tenant = tenants[0] as ApiClient;
    await bouncer.end();
    const away = await tenant.get('/orders');
    expect([away.status, away.headers.get('retry-after')]).toEqual([503, '1']);
    await bouncer.begin();
    await until('a list is read', async () => (await tenant.get('/orders')).status === 200);
    await until('an order is made', async () => (await tenant.post('/orders', orderInput())).status === 201);
  });
});
