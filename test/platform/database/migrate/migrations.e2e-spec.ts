import { Client } from 'pg';
import { migrate, migrationNames, revertLast } from '../../../../src/platform/database/migrate/migrations';
import { adminUrl, createEmptyDatabase, SERVICE_PASSWORD, type TestDatabase } from '../../../harness/databases';
import { expectGolden } from '../../../harness/golden';
import { describeSchema } from '../../../harness/schema';
import { fillTenant } from '../../../harness/tenant-rows';
import { until } from '../../../harness/until';

describe('migrations', () => {
  const databases: TestDatabase[] = [];

  async function emptyDatabase(): Promise<TestDatabase> {
    const database = await createEmptyDatabase();
    databases.push(database);
    return database;
  }
  afterAll(() => Promise.all(databases.map((database) => database.drop())));

  function run(database: TestDatabase): Promise<string[]> {
    return migrate({ migrationUrl: database.ownerUrl, serviceUrl: database.serviceUrl, statementTimeout: 15_000 });
  }

  it('make the schema of the golden file', async () => {
    const database = await emptyDatabase();
    expect(await run(database)).toEqual(migrationNames());
    expectGolden('schema.sql', await describeSchema(database));
  });

  it('do nothing the second time, and leave the service’s login able to log in', async () => {
    const [database] = databases as [TestDatabase];
    const before = await describeSchema(database);
    expect(await run(database)).toEqual([]);
    expect(await describeSchema(database)).toBe(before);
    const login = new Client({ connectionString: database.serviceUrl });
    await login.connect();
    expect((await login.query('select current_user as name')).rows).toEqual([{ name: 'app_service' }]);
    await login.end();
  });

  it('leave alone what they find when they are applied once more', async () => {
    const [database] = databases as [TestDatabase];
    const { tenantId } = await fillTenant(database);
    await run(database);
    expect(await database.sql('select id from tenants')).toEqual([{ id: tenantId }]);
  });

  it('can each be undone, and applied again to the same schema', async () => {
    const database = await emptyDatabase();
    const empty = await describeSchema(database);
    await run(database);
    const full = await describeSchema(database);
    for (const name of migrationNames().reverse()) {
      await revertLast(database.ownerUrl);
      const left = await database.sql<{ name: string }>('select name from migrations');
      expect(left.map((row) => row.name)).not.toContain(name);
    }
    // Objects outside of migrations stay: TypeORM's list of them, and the schema of the queue.
    await database.sql('drop table migrations');
    await database.sql('drop schema bullmq cascade');
    expect(await describeSchema(database)).toBe(empty);
    await run(database);
    expect(await describeSchema(database)).toBe(full);
    await revertLast(database.ownerUrl);
    expect(await run(database)).toEqual(migrationNames().slice(-1));
    expect(await describeSchema(database)).toBe(full);
  });

  it('exclude each other: of two at once, one applies everything and the other nothing', async () => {
    const database = await emptyDatabase();
    const outcomes = await Promise.all([run(database), run(database), run(database)]);
    expect(outcomes.sort((a, b) => b.length - a.length)).toEqual([migrationNames(), [], []]);
  });

  it('wait for a running one, also for a revert', async () => {
    const [database] = databases as [TestDatabase];
    const holder = new Client({ connectionString: database.ownerUrl });
    await holder.connect();
    await holder.query('select pg_advisory_lock(7263540119)');
    const waiting = Promise.all([run(database), revertLast(database.ownerUrl).then(() => run(database))]);
    let settled = false;
    void waiting.finally(() => (settled = true));
    await until('two that wait', async () => {
      const rows = await database.sql(
        `select 1 from pg_stat_activity
          where datname = current_database() and application_name like '% migrate' and query like '%pg_try_advisory_lock%'`,
      );
      return rows.length === 2;
    });
    expect(settled).toBe(false);
    await holder.end();
    await waiting;
  });

  it('of several databases of one server do not get in each other’s way, though the roles are shared', async () => {
    const several = await Promise.all(Array.from({ length: 5 }, emptyDatabase));
    const outcomes = await Promise.all(several.map(run));
    expect(outcomes).toEqual(several.map(() => migrationNames()));
  });

  it('make a login of another name, which may take on the service’s roles and has none of their rights itself', async () => {
    const [database] = databases as [TestDatabase];
    const name = `login_${database.name}`;
    const url = new URL(database.serviceUrl);
    url.username = name;
    await migrate({ migrationUrl: database.ownerUrl, serviceUrl: url.href, statementTimeout: 12_000 });
    const login = new Client({ connectionString: url.href });
    await login.connect();
    try {
      await expect(login.query('select 1 from orders')).rejects.toMatchObject({ code: '42501' });
      await expect(login.query('select 1 from users')).rejects.toMatchObject({ code: '42501' });
      await login.query('begin; set local role app_sign_in');
      await login.query('select 1 from users');
      await login.query('rollback');
      expect((await login.query('show statement_timeout')).rows).toEqual([{ statement_timeout: '12s' }]);
    } finally {
      await login.end();
      const admin = new Client({ connectionString: adminUrl() });
      await admin.connect();
      await database.sql(`drop owned by ${name}`);
      await admin.query(`drop role ${name}`);
      await admin.end();
    }
  });

  it('keep the login’s password when the URL has none', async () => {
    const [database] = databases as [TestDatabase];
    const url = new URL(database.serviceUrl);
    url.password = '';
    await migrate({ migrationUrl: database.ownerUrl, serviceUrl: url.href, statementTimeout: 15_000 });
    const login = new Client({ connectionString: database.serviceUrl });
    await login.connect();
    await login.end();
    expect(decodeURIComponent(new URL(database.serviceUrl).password)).toBe(SERVICE_PASSWORD);
  });
});
