import { admin, adminJson } from '../harness/admin';
import { createTestDatabase, type TestDatabase } from '../harness/databases';
import { runProcess } from '../harness/run-process';
import { JWT_SECRET } from '../harness/service';
import { buildOnce } from '../harness/service-process';
import { until } from '../harness/until';
import { startWorker, type TestWorker } from '../harness/worker';

const FAULT =
  'configuration: WEBHOOK_SHARDS is 8, but the workers of this database use 16: set it to 16, or stop all workers and run ' +
  'admin shards set 8';

describe('the number of shards', () => {
  let database: TestDatabase;

  beforeAll(() => buildOnce());
  beforeEach(async () => {
    database = await createTestDatabase();
  });
  afterEach(() => database.drop());

  const recorded = async () => (await database.sql<{ count: number }>('select count from webhook_shards'))[0]?.count;
  const leads = (worker: TestWorker) =>
    until('the worker to lead', () => worker.logLines.some((line) => line.includes('leading:')), 20_000);

  async function use(shards: string): Promise<void> {
    const worker = await startWorker(database, { WEBHOOK_SHARDS: shards });
    await leads(worker);
    await worker.stop();
  }

  it('is that of the first worker, and a worker with another one does not start', async () => {
    expect(await recorded()).toBeUndefined();
    await use('16');
    expect(await recorded()).toBe(16);
    const env = { DATABASE_URL: database.serviceUrl, METRICS_PORT: 'off', JWT_SECRET, WEBHOOK_SHARDS: '8' };
    const { code, stderr } = await runProcess(['worker'], env);
    expect([code, stderr]).toEqual([1, `${FAULT}\n`]);
    await use('16');
  });

  it('is changed by a command while no worker runs', async () => {
    await use('16');
    const worker = await startWorker(database);
    await leads(worker);
    expect(await admin(database, ['shards', 'set', '8'])).toEqual({
      lines: ['a worker is running: stop all workers first'],
      failed: true,
    });
    expect(await recorded()).toBe(16);
    await worker.stop();
    expect((await admin(database, ['shards', 'set', '8', '--dry-run'])).lines).toEqual([
      'would change the number of shards from 16 to 8',
    ]);
    expect(await recorded()).toBe(16);
    expect(await adminJson(database, ['shards', 'set', '8'])).toEqual({ before: 16, count: 8 });
    expect(await recorded()).toBe(8);
    await use('8');
    await expect(startWorker(database)).rejects.toThrow(/^configuration: WEBHOOK_SHARDS is 16, but .* use 8: /);
  });

  it('keeps a worker from leading whose number was changed after its start', async () => {
    const worker = await startWorker(database);
    await leads(worker);
    const joined = async () => {
      const [row] = await database.sql<{ count: string }>(
        `select count(*) from pg_locks where locktype = 'advisory' and granted and objsubid = 2 and classid = 726354014
            and database = (select oid from pg_database where datname = current_database())`,
      );
      return Number(row?.count);
    };
    await database.sql('update webhook_shards set count = 8');
    await database.sql(
      `select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and application_name like '% leader'`,
    );
    await until('a line about it', () => worker.logLines.some((line) => line.includes('WEBHOOK_SHARDS is 16')), 20_000);
    expect(await joined()).toBe(0);
    await database.sql('update webhook_shards set count = 16');
    await until('it to lead again', async () => (await joined()) === 16, 20_000);
    await worker.stop();
  });

  it.each(['0', '257', 'x'])('cannot be %s', async (count) => {
    await expect(admin(database, ['shards', 'set', count])).rejects.toThrow(
      '<count> must be a whole number from 1 to 256',
    );
  });
});
