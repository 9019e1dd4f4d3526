import { orderInput } from '../../harness/client';
import { createTestDatabase, type TestDatabase } from '../../harness/databases';
import { adminJson } from '../../harness/admin';
import { findPgBouncer, PgBouncer } from '../../harness/pgbouncer';
import { startService, type TestService } from '../../harness/service';
import { TenantDatabase } from '../../../src/platform/database/tenant-database';

/** Each is legal, and each changes how PostgreSQL writes values or finds names. */
const HOSTILE: Readonly<Record<string, string>> = {
  datestyle: `'German, DMY'`,
  intervalstyle: `'sql_standard'`,
  timezone: `'Asia/Kathmandu'`,
  bytea_output: `'escape'`,
  extra_float_digits: '-15',
  standard_conforming_strings: 'off',
  search_path: 'decoys, public',
};

const installed = findPgBouncer();
const ways = installed ? ['directly', 'through PgBouncer'] : ['directly'];

describe.each(ways)('a database with session settings of its own, reached %s', (way) => {
  let database: TestDatabase;
  let bouncer: PgBouncer | undefined;
  let service: TestService;

  beforeAll(async () => {
    database = await createTestDatabase();
    // A table that its bare name finds first if the search path is not fixed.
    await database.sql('create schema decoys; create table decoys.orders (); grant usage on schema decoys to public');
    for (const [name, value] of Object.entries(HOSTILE)) {
      await database.sql(`alter database ${database.name} set ${name} = ${value}`);
    }
    if (way !== 'directly') bouncer = await PgBouncer.start(installed!.program, database.serviceUrl, 3);
    service = await startService({
      database,
      env: bouncer ? { DATABASE_URL: bouncer.url, DB_PREPARED_STATEMENTS: 'false' } : {},
    });
  });
  afterAll(async () => {
    await service?.stop();
    await bouncer?.stop();
    await database?.drop();
  });

  it('is used as any other: people sign in, times and numbers are right', async () => {
    const tenant = await service.tenant();
    const before = Date.now();
    const made = await tenant.post('/orders', orderInput());
    expect(made.status).toBe(201);
    expect(Math.abs(Date.parse(made.body.created_at as string) - before)).toBeLessThan(60_000);
    expect((await tenant.get(`/orders/${made.body.id}`)).body).toEqual(made.body);
    expect((await tenant.get('/orders')).body.data).toEqual([made.body]);
    expect((await tenant.get('/auth/me')).status).toBe(200);
    const email = tenant.session?.user.email;
    expect((await service.client.post('/auth/login', { email, password: 'a password for tests' })).status).toBe(200);
    const listed = (await adminJson(database, ['tenants', 'show', tenant.tenantId])) as {
      data: { created_at: string };
    };
    expect(JSON.stringify(listed)).toMatch(/20\d\d-\d\d-\d\dT/);
  });

  it('shows every way of the service the settings that reading relies on', async () => {
    const { tenantId } = await service.tenant();
    const tenantDatabase = service.app.get(TenantDatabase, { strict: false });
    const statement = {
      name: 'test_settings',
      text: `select name, current_setting(name) as value from unnest($1::text[]) as name`,
      values: [Object.keys(HOSTILE)],
    };
    for (const rows of [
      await tenantDatabase.query({ tenantId }, statement),
      await tenantDatabase.write({ tenantId }, statement),
      await tenantDatabase.transaction({ tenantId }, (tx) => tx.query(statement)),
    ]) {
      expect(Object.fromEntries(rows.map((row) => [row.name, row.value]))).toEqual({
        datestyle: 'ISO, MDY',
        intervalstyle: 'postgres',
        timezone: 'UTC',
        bytea_output: 'hex',
        extra_float_digits: '1',
        standard_conforming_strings: 'on',
        search_path: expect.stringMatching(/^"?public"?, "?pg_temp"?$/),
      });
    }
  });

  it('fails on a time that cannot be read, and never returns null', async () => {
    const { tenantId } = await service.tenant();
    const tenantDatabase = service.app.get(TenantDatabase, { strict: false });
    const statement = {
      name: 'test_unreadable',
      text: `select set_config('datestyle', 'German', true), array[now()] as times, now() as time`,
      values: [],
    };
    await expect(tenantDatabase.query({ tenantId }, statement)).rejects.toThrow(/cannot read the time/);
    await expect(tenantDatabase.write({ tenantId }, statement)).rejects.toThrow(/cannot read the time/);
    await expect(tenantDatabase.transaction({ tenantId }, (tx) => tx.query(statement))).rejects.toThrow(
      /cannot read the time/,
    );
    // Later results on the same connections are parsed as usual.
    const now = { name: 'test_now', text: 'select now() as time, array[now(), null] as times', values: [] };
    for (let i = 0; i < 12; i++) {
      const [row] = await tenantDatabase.query({ tenantId }, now);
      expect(row).toMatchObject({ time: expect.any(Date), times: [expect.any(Date), null] });
    }
  });
});
