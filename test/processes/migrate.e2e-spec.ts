import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import pino from 'pino';
import { createApi } from '../../src/processes/api/api.module';
import { loadConfig } from '../../src/platform/config/config';
import { migrate, migrationNames, revertLast } from '../../src/platform/database/migrate/migrations';
import { createEmptyDatabase, createTestDatabase, type TestDatabase, withLogin } from '../harness/databases';
import { runProcess } from '../harness/run-process';
import { describeSchema } from '../harness/schema';
import { JWT_SECRET, startService } from '../harness/service';
import { until } from '../harness/until';
import { buildOnce } from '../harness/service-process';

const NEWEST = migrationNames().slice(-1)[0] as string;

const MIGRATIONS = join(__dirname, '..', '..', 'migrations');
/** The migrations that build an index concurrently, which no transaction may hold. */
const CONCURRENT = new Set(
  readdirSync(MIGRATIONS)
    .map((file) => readFileSync(join(MIGRATIONS, file), 'utf8'))
    .filter((text) => text.includes('transaction = false'))
    .map((text) => /class (\w+)/.exec(text)?.[1]),
);

describe('the role migrate', () => {
  let database: TestDatabase;
  let env: Record<string, string>;

  beforeAll(async () => {
    buildOnce();
    database = await createEmptyDatabase();
    env = { DATABASE_URL: database.serviceUrl, MIGRATION_DATABASE_URL: database.ownerUrl };
  });
  afterAll(() => database.drop());

  it('plans: prints what is pending with its SQL, and leaves an empty database empty', async () => {
    const before = await describeSchema(database);
    const { code, stdout, stderr } = await runProcess(['migrate', 'plan'], env);
    expect([code, stderr]).toEqual([0, '']);
    for (const name of migrationNames()) {
      expect(stdout).toContain(`-- ${name} (in ${CONCURRENT.has(name) ? 'no' : 'one'} transaction)\n`);
    }
    expect(stdout).toMatch(/^create table orders \(\n {2}tenant_id uuid not null,$/m);
    expect(await describeSchema(database)).toBe(before);
    expect(await database.sql(`select to_regclass('migrations') as made`)).toEqual([{ made: null }]);
  });

  it('prints SQL that makes the same schema when it is run by hand', async () => {
    const byHand = await createEmptyDatabase();
    const { stdout } = await runProcess(['migrate', 'plan'], { ...env, MIGRATION_DATABASE_URL: byHand.ownerUrl });
    for (const migration of stdout.split(/^(?=-- \w+ \(in )/m)) {
      // psql sends one statement at a time, which an index that is built concurrently needs.
      const parts = migration.includes('(in no transaction)') ? migration.split(/;\s*$/m) : [migration];
      for (const sql of parts) if (sql.trim() !== '') await byHand.sql(sql);
    }
    const migrated = await createTestDatabase();
    await migrated.sql('drop table migrations');
    await migrated.sql('drop schema bullmq cascade');
    expect(await describeSchema(byHand)).toBe(await describeSchema(migrated));
    await Promise.all([byHand.drop(), migrated.drop()]);
  });

  it('verifies: names every migration that is pending, and fails', async () => {
    expect(await runProcess(['migrate', 'verify'], env)).toEqual({
      code: 1,
      stdout: '',
      stderr: migrationNames()
        .map((name) => `pending: ${name}\n`)
        .join(''),
    });
  });

  it('applies, also without an argument', async () => {
    const applied = `applied ${migrationNames().join(', ')}\n`;
    expect(await runProcess(['migrate'], env)).toEqual({ code: 0, stdout: applied, stderr: '' });
    const nothing = { code: 0, stdout: 'nothing to migrate\n', stderr: '' };
    expect(await runProcess(['migrate', 'apply'], env)).toEqual(nothing);
    expect(await runProcess(['migrate', 'plan'], env)).toEqual(nothing);
    expect(await runProcess(['migrate', 'verify'], env)).toEqual({
      code: 0,
      stdout: 'the database is at the schema of this build\n',
      stderr: '',
    });
  });

  it('lets the owner and the service connect, and no other login of the cluster', async () => {
    const login = `outsider_${database.name}`;
    await database.sql(`create role ${login} login password 'outsider'`);
    const outsider = new Client({ connectionString: withLogin(database.ownerUrl, login, 'outsider') });
    await expect(outsider.connect()).rejects.toMatchObject({ code: '42501' });
    const service = new Client({ connectionString: database.serviceUrl });
    await service.connect();
    await service.end();
    // A second login of the service's, as for a rotation of the password, connects beside the first.
    const second = withLogin(database.serviceUrl, `second_${database.name}`, 'second');
    expect(await runProcess(['migrate'], { ...env, DATABASE_URL: second })).toMatchObject({ code: 0, stderr: '' });
    for (const connectionString of [second, database.serviceUrl]) {
      const client = new Client({ connectionString });
      await client.connect();
      await client.end();
    }
    await database.sql(`drop role ${login}`);
    await database.sql(`drop owned by second_${database.name}; drop role second_${database.name}`);
  });

  it('verifies that no newer release has been there', async () => {
    await database.sql(`insert into migrations (timestamp, name) values (9999999999999, 'Future9999999999999')`);
    expect(await runProcess(['migrate', 'verify'], env)).toEqual({
      code: 1,
      stdout: '',
      stderr: 'unknown to this build: Future9999999999999\n',
    });
    await database.sql(`delete from migrations where name = 'Future9999999999999'`);
  });

  it.each([
    [
      ['migrate', 'aply'],
      expect.stringMatching(/^migrate: .*'aply' is invalid.* plan, apply, verify; see migrate --help\n$/),
    ],
    [['migrate', 'plan', 'apply'], 'migrate: too many arguments. Expected 1 argument but got 2; see migrate --help\n'],
    [['api', 'plan'], 'the role api takes no arguments\n'],
    [['migrate', '--force'], expect.stringMatching(/^migrate: unknown option '--force'; see migrate --help\n$/)],
  ])('refuses %j in a line', async (args, stderr) => {
    expect(await runProcess(args)).toEqual({ code: 2, stdout: '', stderr });
  });

  it('needs to know which database', async () => {
    const stderr = 'configuration: DATABASE_URL is required\n';
    expect(await runProcess(['migrate', 'plan'])).toEqual({ code: 1, stdout: '', stderr });
  });

  it('explains itself without a database', async () => {
    expect(await runProcess(['migrate', '--help'])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^Usage: migrate \[plan \| apply \| verify\]\n/),
    });
  });
});

describe('a migration that needs a table in use', () => {
  it('lets go of its place in the queue, and gets the lock when it is free', async () => {
    const database = await createTestDatabase();
    // The repeated migrations begin with foreign keys to tenants, and writers of that table block their lock.
    const again = migrationNames().slice(migrationNames().indexOf('Webhooks1764028920000'));
    for (let undone = 0; undone < again.length; undone++) await revertLast(database.ownerUrl);
    const writer = new Client({ connectionString: database.ownerUrl });
    const other = new Client({ connectionString: database.ownerUrl });
    await Promise.all([writer.connect(), other.connect()]);
    await writer.query('begin; lock table tenants in row exclusive mode');
    const attempts: number[] = [];
    const migrating = migrate({
      onTableInUse: (attempt) => attempts.push(attempt),
      migrationUrl: database.ownerUrl,
      serviceUrl: database.serviceUrl,
      statementTimeout: 15_000,
    });
    let settled = false;
    void migrating.finally(() => (settled = true)).catch(() => undefined);
    const waiting = async (): Promise<boolean> => {
      const [row] = await database.sql<{ waits: boolean }>(
        `select count(*) > 0 as waits from pg_locks
          where relation = 'tenants'::regclass and not granted and mode = 'ShareRowExclusiveLock'
            and database = (select oid from pg_database where datname = current_database())`,
      );
      return row?.waits ?? false;
    };
    await until('a migration that waits', waiting);
    // Another writer waits behind it, though it could run with the first; it waits no longer than until a retry.
    await other.query('begin; lock table tenants in row exclusive mode; commit');
    await until('an attempt given up', () => attempts.length > 0);
    expect(settled).toBe(false);
    await writer.query('commit');
    expect(await migrating).toEqual(again);
    await Promise.all([writer.end(), other.end()]);
    await database.drop();
  });
});

describe('the roles that serve', () => {
  let database: TestDatabase;
  let env: Record<string, string>;

  beforeAll(async () => {
    buildOnce();
    database = await createTestDatabase();
    env = { DATABASE_URL: database.serviceUrl, JWT_SECRET, PORT: '0' };
  });
  afterAll(() => database.drop());

  it.each(['api', 'worker'])(
    'end before the database is migrated where they must not wait, and name the pending migrations: %s',
    async (role) => {
      await database.sql(`update migrations set name = 'Held' where name = $1`, [NEWEST]);
      const { host, pathname } = new URL(database.serviceUrl);
      const stderr = `DATABASE_URL: ${host}${pathname}: migrations are pending: ${NEWEST}; run the role migrate first\n`;
      expect(await runProcess([role], { ...env, MIGRATIONS_WAIT: '0' })).toMatchObject({ code: 1, stderr });
      await database.sql(`update migrations set name = $1 where name = 'Held'`, [NEWEST]);
    },
  );

  it('name every migration for a new database, with the owner’s login too', async () => {
    const empty = await createEmptyDatabase();
    const names = migrationNames().join(', ');
    for (const url of [empty.serviceUrl, empty.ownerUrl]) {
      const config = loadConfig({ DATABASE_URL: url, JWT_SECRET });
      await expect(createApi(config, pino({ level: 'silent' }))).rejects.toMatchObject({
        internal: `database: migrations are pending: ${names}; run the role migrate first`,
      });
    }
    await empty.drop();
  });

  it('start on a database that a newer release has migrated', async () => {
    await database.sql(`insert into migrations (timestamp, name) values (9999999999999, 'Future9999999999999')`);
    const service = await startService({ database });
    expect(await service.client.get('/health/ready')).toMatchObject({ status: 200, body: { status: 'ok' } });
    await service.stop();
  });
});
