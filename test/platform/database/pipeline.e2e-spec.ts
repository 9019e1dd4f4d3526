import { Pipeline } from '../../../src/platform/database/connections/pipeline';
import type { Statement } from '../../../src/platform/database/sql/statement';
import { createTestDatabase, type TestDatabase } from '../../harness/databases';

const NO_SETTINGS = { settings: [] };
const one: Statement = { name: 'pipeline_one', text: 'select 1 as one', values: [] };
const sleep = (seconds: number): Statement => ({
  name: 'pipeline_sleep',
  text: 'select pg_sleep($1)',
  values: [seconds],
});
const delay = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describe('the connections of a pipeline', () => {
  let database: TestDatabase;
  let pipeline: Pipeline;

  beforeAll(async () => {
    database = await createTestDatabase();
    pipeline = new Pipeline({
      connection: { connectionString: database.serviceUrl },
      connections: 2,
      preparedStatements: true,
      deadline: 20_000,
      onError: () => undefined,
      onWait: () => undefined,
    });
    await pipeline.connect();
    // Both know how long a transaction takes.
    for (let i = 0; i < 20; i++) await pipeline.run(NO_SETTINGS, [one]);
  });
  afterAll(async () => {
    await pipeline.close();
    await database.drop();
  });

  it('run on the connection with the shortest expected wait: none waits behind a slow one', async () => {
    let slept = false;
    const slow = pipeline.run(NO_SETTINGS, [sleep(3)]).then(() => (slept = true));
    await delay(100);
    const responses = await Promise.all(Array.from({ length: 20 }, () => pipeline.run(NO_SETTINGS, [one])));
    expect(responses.map(([rows]) => rows?.[0]?.one)).toEqual(Array(20).fill(1));
    expect(slept).toBe(false);
    await slow;
  });

  it('take turns while all are idle', async () => {
    const backend: Statement = { name: 'pipeline_backend', text: 'select pg_backend_pid() as pid', values: [] };
    const pids: unknown[] = [];
    for (let i = 0; i < 4; i++) pids.push((await pipeline.run(NO_SETTINGS, [backend]))[0]?.[0]?.pid);
    expect(pids[1]).not.toBe(pids[0]);
    expect(pids.slice(2)).toEqual(pids.slice(0, 2));
  });

  it('rejects an invalid statement, and continues', async () => {
    const invalid: Statement = { name: 'pipeline_invalid', text: 'select $1::timestamptz', values: [new Date(NaN)] };
    await expect(pipeline.run(NO_SETTINGS, [invalid])).rejects.toThrow('Invalid time value');
    expect(await pipeline.run(NO_SETTINGS, [one])).toEqual([[{ one: 1 }]]);
    expect(pipeline.state()).toEqual({ used: 0, idle: 2, waiting: 0 });
  });
});
