import { Client } from 'pg';
import { citusUrls, createDistributedDatabase, type DistributedDatabase } from '../harness/citus';
import { type CitusExceptions, reasonFor, statementsOnCitus } from '../harness/citus-statements';
import { readGolden } from '../harness/golden';

const urls = citusUrls();
const onCitus = urls.length > 1 ? describe : describe.skip;
const SOMEBODY = '01a00000-0000-7000-8000-000000000001';
/** Values that let Citus plan a statement, by the type of its parameter; of an array, its one item. */
const VALUES: Readonly<Record<string, string>> = {
  uuid: SOMEBODY,
  'timestamp with time zone': '2026-01-01T00:00:00Z',
  json: '{}',
  jsonb: '{}',
  boolean: 'true',
  inet: '127.0.0.1',
};

function valueOf(type: string): string {
  const value = VALUES[type.replace(/\[\]$/, '')] ?? '1';
  return `'${type.endsWith('[]') ? `{"${value}"}` : value}'`;
}

onCitus('every recorded statement, on a real Citus', () => {
  let database: DistributedDatabase;
  let owner: Client;

  beforeAll(async () => {
    database = await createDistributedDatabase(urls);
    owner = new Client({ connectionString: database.ownerUrl });
    await owner.connect();
  });
  afterAll(async () => {
    await owner?.end();
    await database?.drop();
  });

  /** The number of shards that the statement visits; 0 if Citus has no part in it. */
  async function tasksOf(text: string): Promise<number> {
    try {
      await owner.query(`prepare looked_at as ${text}`);
      const { rows: types } = await owner.query<{ type: string }>(
        `select format_type(type, null) as type from pg_prepared_statements, unnest(parameter_types) as type
          where name = 'looked_at'`,
      );
      const call = types.length > 0 ? `looked_at(${types.map(({ type }) => valueOf(type)).join(', ')})` : 'looked_at';
      const { rows } = await owner.query<{ 'QUERY PLAN': string }>(`explain (costs off) execute ${call}`);
      const plan = rows.map((row) => row['QUERY PLAN']).join('\n');
      return Math.max(0, ...[...plan.matchAll(/Task Count: (\d+)/g)].map(([, count]) => Number(count)));
    } finally {
      await owner.query('deallocate all');
    }
  }

  it('is accepted, and visits one shard unless it is listed', async () => {
    const { severalShards } = JSON.parse(readGolden('citus-exceptions.json')) as CitusExceptions;
    const faults: string[] = [];
    let single = 0;
    for (const { name, text } of statementsOnCitus()) {
      const what = name || text.slice(0, 100);
      try {
        const tasks = await tasksOf(text);
        if (tasks === 1) single++;
        if (tasks > 1 && !reasonFor(severalShards, name, text)) faults.push(`${what}: ${tasks} tasks`);
      } catch (error) {
        faults.push(`${what}: ${(error as Error).message}`);
      }
    }
    expect(faults).toEqual([]);
    expect(single).toBeGreaterThan(100);
  });
});
