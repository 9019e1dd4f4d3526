import { Client } from 'pg';
import { Order } from '../../../src/orders/order.entity';
import { ConnectionManager } from '../../../src/platform/database/connections/connection-manager';
import { migrate, migrationNames } from '../../../src/platform/database/migrate/migrations';
import { SignInDatabase } from '../../../src/platform/database/roles/sign-in-database';
import type { TransactionSettings } from '../../../src/platform/database/connections/transaction-settings';
import type { Statement } from '../../../src/platform/database/sql/statement';
import { runTransaction, TenantDatabase } from '../../../src/platform/database/tenant-database';
import { Transaction } from '../../../src/platform/database/transaction';
import { adminJson } from '../../harness/admin';
import { type ApiClient, orderInput } from '../../harness/client';
import { TestCluster } from '../../harness/cluster';
import { createTestDatabase, type TestDatabase, withLogin } from '../../harness/databases';
import { startService, type TestService } from '../../harness/service';
import { checkTenantIsolation, registerTenants } from '../../harness/tenant-isolation';

const WHO: Statement = {
  name: 'test_who',
  text: 'select current_user as "current", session_user as login',
  values: [],
};
const FORGETFUL: Statement = { name: 'test_forgetful', text: 'select tenant_id from orders', values: [] };

/** A login with access to everything gives up its rights in every transaction. */
function behavesLikeTheService(given: () => { service: TestService; login: string }): void {
  const database = () => given().service.app.get(TenantDatabase, { strict: false });
  let tenants: ApiClient[];

  beforeAll(async () => {
    tenants = await registerTenants(given().service, 4);
  });

  it('does its whole work: registers, signs in, refreshes, signs out, and manages orders', async () => {
    const { client } = given().service;
    const [tenant] = tenants as [ApiClient];
    const email = tenant.session?.user.email;
    const login = await client.post('/auth/login', { email, password: 'a password for tests' });
    expect(login.status).toBe(200);
    const refreshed = await client.post('/auth/refresh', { refresh_token: login.body.refresh_token });
    expect(refreshed.status).toBe(200);
    expect((await tenant.get('/auth/me')).body.user.email).toBe(email);
    expect((await client.post('/auth/logout', { refresh_token: refreshed.body.refresh_token })).status).toBe(204);
    const key = { 'idempotency-key': 'once' };
    const body = orderInput();
    const made = await tenant.post('/orders', body, key);
    const again = await tenant.post('/orders', body, key);
    expect([made.status, again.status, again.text]).toEqual([201, 201, made.text]);
    const confirmed = await tenant.patch(`/orders/${made.body.id}/status`, { status: 'confirmed' });
    expect(confirmed.body).toMatchObject({ status: 'confirmed', version: 2 });
    expect((await tenant.get(`/orders/${made.body.id}/events`)).body.data).toHaveLength(2);
    expect((await tenant.get('/orders/export')).text).toContain(made.body.id);
    expect((await client.get('/health/ready')).body).toMatchObject({ status: 'ok', checks: { database: 'ok' } });
  });

  it('runs every statement as the service’s role', async () => {
    const [{ tenantId }] = tenants as [ApiClient];
    const me = { current: 'app_service', login: given().login };
    expect(await database().query({ tenantId }, WHO)).toEqual([me]);
    expect(await database().transaction({ tenantId }, (tx) => tx.query(WHO))).toEqual([me]);
    const repository = await database().transaction({ tenantId }, (tx) => tx.repository(Order).query(WHO.text));
    expect(repository).toEqual([me]);
    await database().transaction({ tenantId }, async (tx) => {
      tx.defer({
        name: 'test_note_who',
        text: `insert into idempotency_keys (tenant_id, caller, key, request_hash, status, headers, body, created_at, expires_at)
               values ($1, 'test', 'who', '', 200, '{}', current_user, now(), now())`,
        values: [tenantId],
      });
    });
    const noted = await given().service.database.sql(`select body from idempotency_keys where key = 'who'`);
    expect(noted).toEqual([{ body: 'app_service' }]);
    const signIn = given().service.app.get(SignInDatabase, { strict: false });
    expect(await signIn.transaction({}, (tx) => tx.query(WHO))).toEqual([{ ...me, current: 'app_sign_in' }]);
  });

  it('keeps tenants apart, by statements that name them and by those that forgot', async () => {
    await checkTenantIsolation(tenants.slice(1), 2);
    for (const { tenantId } of tenants) {
      const seen = [
        ...(await database().query({ tenantId }, FORGETFUL)),
        ...(await database().transaction({ tenantId }, (tx) => tx.query(FORGETFUL))),
      ].map((row) => row.tenant_id);
      expect(new Set(seen)).toEqual(new Set([tenantId]));
    }
  });

  it('runs nothing when it could not give up its powers', async () => {
    const core = given().service.app.get(ConnectionManager, { strict: false });
    const [{ tenantId }] = tenants as [ApiClient];
    const insert: Statement = {
      name: 'test_insert_tenant',
      text: `insert into tenants (id, name, created_at) values (gen_random_uuid(), 'not to be', now())`,
      values: [],
    };
    // The first is refused whole, BEGIN included: a statement behind it would run as the login.
    const prologues: TransactionSettings[] = [
      { settings: [['no such setting', '']] },
      { settings: [['role', 'nobody_at_all']] },
    ];
    for (const prologue of prologues) {
      await expect(core.write(prologue, [insert])).rejects.toThrow();
      await expect(core.query(prologue, insert)).rejects.toThrow();
      await expect(runTransaction(new Transaction(core, prologue), (tx) => tx.query(insert))).rejects.toThrow();
      const repository = runTransaction(new Transaction(core, prologue), (tx) =>
        tx.repository(Order).query(insert.text),
      );
      await expect(repository).rejects.toThrow();
    }
    const made = await given().service.database.sql(`select 1 from tenants where name = 'not to be'`);
    expect(made).toEqual([]);
    expect(await database().query({ tenantId }, WHO)).toMatchObject([{ current: 'app_service' }]);
  });

  it('bounds how long a statement may run', async () => {
    const [{ tenantId }] = tenants as [ApiClient];
    const sleep: Statement = { name: 'test_sleep', text: 'select pg_sleep(20)', values: [] };
    const started = Date.now();
    await expect(database().query({ tenantId }, sleep)).rejects.toMatchObject({ code: 'unavailable' });
    await expect(database().transaction({ tenantId }, (tx) => tx.query(sleep))).rejects.toMatchObject({
      code: 'unavailable',
    });
    expect(Date.now() - started).toBeLessThan(10_000);
  });
}

describe('with one URL, of a superuser', () => {
  let database: TestDatabase;
  let service: TestService;

  beforeAll(async () => {
    database = await createTestDatabase();
    service = await startService({ database, env: { DATABASE_URL: database.ownerUrl, DB_STATEMENT_TIMEOUT: '500ms' } });
  });
  afterAll(async () => {
    await service.stop();
    await database.drop();
  });

  behavesLikeTheService(() => ({ service, login: new URL(database.ownerUrl).username }));
});

describe('with one URL, of an owner that is no superuser', () => {
  const LOGIN = 'company_owner';
  let cluster: TestCluster;
  let database: TestDatabase;
  let service: TestService;

  beforeAll(async () => {
    cluster = await TestCluster.start();
    await cluster.sql('postgres', `create role ${LOGIN} login createrole password 'owner'`);
    await cluster.sql('postgres', `create database company owner ${LOGIN}`);
    const superuser = new Client({ connectionString: cluster.url('company') });
    await superuser.connect();
    const ownerUrl = withLogin(cluster.url('company'), LOGIN, 'owner');
    database = {
      name: 'company',
      serviceUrl: ownerUrl,
      ownerUrl,
      sql: async <R extends Record<string, unknown>>(text: string, values: unknown[] = []) =>
        (await superuser.query<R>(text, values)).rows,
      drop: () => superuser.end(),
    };
  });
  afterAll(async () => {
    await service?.stop();
    await database.drop();
    await cluster.remove();
  });

  const run = () =>
    migrate({ migrationUrl: database.ownerUrl, serviceUrl: database.ownerUrl, statementTimeout: 15_000 });

  it('is migrated from nothing by the owner, and the second time there is nothing to do', async () => {
    expect(await run()).toEqual(migrationNames());
    expect(await run()).toEqual([]);
  });

  describe('once it is migrated', () => {
    beforeAll(async () => {
      await run();
      service = await startService({ database, env: { DB_STATEMENT_TIMEOUT: '500ms' } });
    });

    behavesLikeTheService(() => ({ service, login: LOGIN }));

    it('shows the owner itself no row, without becoming the service’s role', async () => {
      const owner = new Client({ connectionString: database.ownerUrl });
      await owner.connect();
      try {
        const [made] = await database.sql('select count(*)::int > 0 as any from orders');
        expect(made).toEqual({ any: true });
        expect((await owner.query('select 1 from orders')).rowCount).toBe(0);
        await owner.query(`set app.tenant_id = '${(await database.sql('select id from tenants limit 1'))[0]?.id}'`);
        expect((await owner.query('select 1 from orders')).rowCount).toBe(0);
      } finally {
        await owner.end();
      }
    });

    it('lets the owner become the operator, which lists tenants', async () => {
      const made = await database.sql<{ id: string }>('select id from tenants order by id');
      const listed = (await adminJson(database, ['tenants', 'list'])) as { data: { id: string }[] };
      expect(listed.data.map(({ id }) => id)).toEqual(made.map(({ id }) => id));
      expect(made.length).toBeGreaterThan(1);
    });

    it('does not start while the service’s role could look past its walls', async () => {
      for (const power of ['bypassrls', 'superuser']) {
        await database.sql(`alter role app_service ${power}`);
        await expect(startService({ database })).rejects.toThrow('bypasses row-level security');
        await database.sql(`alter role app_service no${power}`);
      }
    });
  });
});
