import { randomUUID } from 'node:crypto';
import { newTimedId } from '../../../src/platform/ids/ids';
import { isInShards, shardOf } from '../../../src/platform/shards/tenant-shard';
import { createTestDatabase, type TestDatabase } from '../../harness/databases';

describe('the shard of a tenant', () => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await createTestDatabase();
  });
  afterAll(() => database.drop());

  it.each([1, 3, 16, 256])('is the same in SQL, of %d', async (shards) => {
    const tenants = Array.from({ length: 500 }, (_, at) => (at % 2 === 0 ? randomUUID() : newTimedId().id));
    tenants.push('00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff');
    const owned = Array.from({ length: shards }, (_, shard) => shard).filter((shard) => shard % 3 === 0);
    const rows = await database.sql<{ id: string }>(
      `select id from unnest($1::uuid[]) as id where ${isInShards('id', '$2', '$3')}`,
      [tenants, shards, owned],
    );
    const expected = tenants.filter((tenant) => owned.includes(shardOf(tenant, shards)));
    expect(rows.map(({ id }) => id).sort()).toEqual(expected.sort());
  });
});
