import { Client } from 'pg';
import type { MigrationInterface, QueryRunner } from 'typeorm';
import {
  type MigrationClass,
  migrate,
  migrationClasses,
  migrationStatus,
  revertLast,
} from '../../../../src/platform/database/migrate/migrations';
import { TestCluster } from '../../../harness/cluster';
import { createTestDatabase, type TestDatabase, withLogin } from '../../../harness/databases';
import { runProcess } from '../../../harness/run-process';
import { buildOnce } from '../../../harness/service-process';
import { TcpProxy } from '../../../harness/tcp-proxy';
import { until } from '../../../harness/until';

/** The newest migration of a future release: it builds an index while the table is in use. */
class Concurrent9000000000000 implements MigrationInterface {
  name = 'Concurrent9000000000000';
  transaction = false as const;

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`create index concurrently if not exists orders_notes_idx on orders (tenant_id, notes)`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`drop index concurrently if exists orders_notes_idx`);
  }
}

describe('a migration that builds an index concurrently', () => {
  const next = [...migrationClasses(), Concurrent9000000000000];
  let database: TestDatabase;
  const run = (migrations: readonly MigrationClass[] = next) =>
    migrate({
      migrationUrl: database.ownerUrl,
      serviceUrl: database.serviceUrl,
      statementTimeout: 15_000,
      migrations,
    });

  beforeEach(async () => {
    database = await createTestDatabase();
  });
  afterEach(() => database.drop());

  const indexes = () =>
    database.sql<{ valid: boolean }>(
      `select indisvalid as valid from pg_index where indexrelid = to_regclass('orders_notes_idx')`,
    );

  /** The result of an interrupted run: an index that PostgreSQL does not use. */
  async function interrupt(): Promise<void> {
    const writer = new Client({ connectionString: database.ownerUrl });
    await writer.connect();
    await writer.query('begin; lock table orders in row exclusive mode');
    const builder = new Client({ connectionString: database.ownerUrl });
    await builder.connect();
    const building = builder
      .query('create index concurrently orders_notes_idx on orders (tenant_id, notes)')
      .catch((error: Error) => error);
    await until('an index that waits', async () => (await indexes()).length === 1);
    await database.sql(
      `select pg_cancel_backend(pid) from pg_stat_activity
        where datname = current_database() and query like 'create index concurrently%'`,
    );
    await building;
    await Promise.all([writer.query('rollback'), builder.end()]);
    await writer.end();
    expect(await indexes()).toEqual([{ valid: false }]);
  }

  it('is applied once by several that run at once, none of which waits for ever', async () => {
    const outcomes = await Promise.all([run(), run(), run()]);
    expect(outcomes.flat()).toEqual(['Concurrent9000000000000']);
    expect(await indexes()).toEqual([{ valid: true }]);
  });

  it('replaces what an interrupted run has left', async () => {
    await interrupt();
    expect(await run()).toEqual(['Concurrent9000000000000']);
    expect(await indexes()).toEqual([{ valid: true }]);
  });

  it('is undone outside a transaction, too', async () => {
    await run();
    await revertLast(database.ownerUrl, next);
    expect(await indexes()).toEqual([]);
    expect(await run()).toEqual(['Concurrent9000000000000']);
  });

  it('is refused with how to mend it where it counts as applied and its index is invalid', async () => {
    await interrupt();
    const remedy = 'invalid index: orders_notes_idx of orders; run: reindex index concurrently orders_notes_idx';
    await expect(run(migrationClasses())).rejects.toMatchObject({ message: remedy });
    expect((await migrationStatus(database.ownerUrl)).invalid).toEqual([remedy]);
    buildOnce();
    const env = { DATABASE_URL: database.serviceUrl, MIGRATION_DATABASE_URL: database.ownerUrl };
    for (const command of ['apply', 'verify']) {
      expect(await runProcess(['migrate', command], env)).toEqual({ code: 1, stdout: '', stderr: `${remedy}\n` });
    }
    await database.sql('reindex index concurrently orders_notes_idx');
    expect(await run(migrationClasses())).toEqual([]);
  });
});

describe('migrate', () => {
  it.each(['refuses', 'says nothing'])('gives up within seconds on a host that %s, in a line', async (how) => {
    buildOnce();
    const database = await createTestDatabase();
    const proxy = await TcpProxy.start(Number(new URL(database.ownerUrl).port));
    if (how === 'refuses') await proxy.refuse();
    else proxy.hang();
    const begun = performance.now();
    const ended = await runProcess(['migrate', 'verify'], {
      DATABASE_URL: database.serviceUrl,
      MIGRATION_DATABASE_URL: proxy.through(database.ownerUrl),
    });
    expect(ended).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/^MIGRATION_DATABASE_URL: cannot reach [^\n]*\n$/),
    });
    expect(performance.now() - begun).toBeLessThan(15_000);
    await proxy.refuse();
    await database.drop();
  });

  it('can be run again by an owner that is no superuser once the queue in PostgreSQL was used', async () => {
    const cluster = await TestCluster.start();
    await cluster.sql('postgres', `create role company_owner login createrole password 'owner'`);
    await cluster.sql('postgres', `create database company owner company_owner`);
    const ownerUrl = withLogin(cluster.url('company'), 'company_owner', 'owner');
    const serviceUrl = withLogin(cluster.url('company'), 'app_service', 'service');
    const run = () => migrate({ migrationUrl: ownerUrl, serviceUrl, statementTimeout: 15_000 });
    try {
      await run();
      // BullMQ's statements for a burst of jobs, with the service's login.
      const burst = new Client({ connectionString: serviceUrl, options: '-c search_path=bullmq' });
      await burst.connect();
      await burst.query(`select add_jobs_bulk('a queue', '[{"name": "a job", "data": "{}"}]')`);
      await burst.end();
      const owned = `select 1 from pg_class where relname like 'bullmq_jid_%' and relowner = 'app_service'::regrole`;
      expect(await cluster.sql('company', owned)).toHaveLength(1);
      expect(await run()).toEqual([]);
    } finally {
      await cluster.remove();
    }
  });
});
