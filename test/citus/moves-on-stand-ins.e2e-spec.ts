import { runCommand } from '../../src/processes/admin/admin';
import { loadConfig } from '../../src/platform/config/config';
import { createFakeDistributedDatabase, type DistributedDatabase } from '../harness/citus';
import { JWT_SECRET } from '../harness/service';

const TENANT = '01a00000-0000-7000-8000-000000000001';

/** The commands `citus …` on plain PostgreSQL, with stand-ins that record whether row-level security is forced. */
describe('npm run admin -- citus', () => {
  let database: DistributedDatabase;

  beforeAll(async () => {
    database = await createFakeDistributedDatabase();
    await database.sql(`
      create or replace view public.pg_dist_partition as
        select logicalrelid, case function when 'create_distributed_table' then 'h' else 'n' end as partmethod
          from fake_citus.calls`);
    await database.sql('create table fake_citus.pg_dist_placement as select 102008::bigint as shardid, 1 as groupid');
    await database.sql(
      `create table fake_citus.pg_dist_node as select 1 as groupid, '10.0.0.1'::text as nodename, 5432 as nodeport`,
    );
    await database.sql('create view public.pg_dist_placement as select * from fake_citus.pg_dist_placement');
    await database.sql('drop view public.pg_dist_node');
    await database.sql('create view public.pg_dist_node as select * from fake_citus.pg_dist_node');
    await database.sql(
      'create function get_shard_id_for_distribution_column(regclass, uuid) returns bigint language sql as $$ select 102008 $$',
    );
    await database.sql('create table fake_citus.moves (id serial, command text, forced bigint)');
    const forced = `(select count(*) from pg_class where relnamespace = 'public'::regnamespace and relforcerowsecurity)`;
    const records = (name: string): string =>
      `$$ insert into fake_citus.moves (command, forced) values ('${name}', ${forced}) $$`;
    await database.sql(
      `create function citus_move_shard_placement(bigint, text, integer, text, integer) returns void language plpgsql as $$
       begin
         insert into fake_citus.moves (command, forced) values ('move to ' || $4 || ':' || $5, ${forced});
         if $4 = 'nowhere' then raise exception 'could not find the node'; end if;
         if $4 = 'slow' then perform pg_sleep(30); end if;
       end $$`,
    );
    await database.sql(
      `create function isolate_tenant_to_new_shard(regclass, uuid, text, shard_transfer_mode text) returns void
       language sql as ${records('isolate')}`,
    );
    await database.sql(`create function rebalance_table_shards() returns void language sql as ${records('rebalance')}`);
  });
  afterAll(() => database.drop());

  const admin = (...words: string[]) =>
    runCommand(
      loadConfig({ DATABASE_URL: database.serviceUrl, MIGRATION_DATABASE_URL: database.ownerUrl, JWT_SECRET }),
      ['citus', ...words],
    );

  async function unforced(): Promise<string[]> {
    const rows = await database.sql<{ name: string }>(
      `select relname as name from pg_class
        where relnamespace = 'public'::regnamespace and relrowsecurity and not relforcerowsecurity`,
    );
    return rows.map(({ name }) => name);
  }

  it.each([
    [
      ['move', TENANT, '10.0.0.2:5432'],
      'move to 10.0.0.2:5432',
      'moved shard 102008 from 10.0.0.1:5432 to 10.0.0.2:5432',
    ],
    [['isolate', TENANT], 'isolate', 'it has shard 102008 on 10.0.0.1:5432'],
    [['rebalance'], 'rebalance', 'rebalanced the shards'],
  ])('%j moves without forced row-level security, and restores it', async (words, command, line) => {
    expect(await admin(...words)).toEqual({ lines: [line], failed: false });
    const [last] = await database.sql('select command, forced::int from fake_citus.moves order by id desc limit 1');
    expect(last).toEqual({ command, forced: 0 });
    expect(await unforced()).toEqual([]);
  });

  it('restores forced row-level security when Citus refuses', async () => {
    await expect(admin('move', TENANT, 'nowhere:1')).rejects.toThrow('could not find the node');
    expect(await unforced()).toEqual([]);
  });

  it('restores forced row-level security when a signal cancels the move', async () => {
    const moved = expect(admin('move', TENANT, 'slow:1')).rejects.toMatchObject({
      internal: expect.stringContaining('canceling statement'),
    });
    for (;;) {
      const running = await database.sql(
        `select pid from pg_stat_activity where query like '%citus_move_shard_placement%' and state = 'active' and pid <> pg_backend_pid()`,
      );
      if (running.length > 0) break;
    }
    process.emit('SIGTERM');
    await moved;
    expect(await unforced()).toEqual([]);
  });

  it.each([['migrate'], ['the next command']])(
    '%s restores forced row-level security after a killed command',
    async (by) => {
      await database.sql('alter table orders no force row level security');
      await database.sql('alter table sessions no force row level security');
      if (by === 'migrate') await database.migrate();
      else await admin('move', TENANT, '10.0.0.1:5432');
      expect(await unforced()).toEqual([]);
    },
  );

  it('changes nothing with --dry-run, and refuses an invalid server', async () => {
    const before = await database.sql('select id from fake_citus.moves');
    expect((await admin('move', TENANT, '10.0.0.2:5432', '--dry-run')).lines).toEqual([
      'would move shard 102008 from 10.0.0.1:5432 to 10.0.0.2:5432',
    ]);
    expect((await admin('isolate', TENANT, '--dry-run')).lines).toEqual([
      'would take it out of shard 102008 on 10.0.0.1:5432',
    ]);
    expect((await admin('rebalance', '--dry-run')).lines).toEqual(['would rebalance the shards']);
    expect(await database.sql('select id from fake_citus.moves')).toEqual(before);
    await expect(admin('move', TENANT, 'there')).rejects.toThrow('host:port');
  });
});
