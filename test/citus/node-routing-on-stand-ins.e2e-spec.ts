import pino from 'pino';
import { ConnectionManager } from '../../src/platform/database/connections/connection-manager';
import { hashOfUuid } from '../../src/platform/database/connections/node-map';
import { NodeRouting } from '../../src/platform/database/connections/node-routing';
import { TenantDatabase } from '../../src/platform/database/tenant-database';
import { findNotMigrated } from '../../src/platform/database/start-check';
import { migrate } from '../../src/platform/database/migrate/migrations';
import { loadConfig } from '../../src/platform/config/config';
import { createTracing } from '../../src/platform/observability/create-tracing';
import { Metrics } from '../../src/platform/observability/metrics';
import { PLACEMENTS } from '../../src/processes/tables';
import { CITUS_STAND_INS } from '../harness/citus';
import { TestCluster } from '../harness/cluster';
import { SERVICE_PASSWORD, withLogin } from '../harness/databases';
import { JWT_SECRET } from '../harness/service';
import { TcpProxy } from '../harness/tcp-proxy';
import { until } from '../harness/until';

/** As Citus has it: a coordinator, two servers of which the second one's address is wrong, and one without metadata. */
const NODES = [
  [1, 0, 'coordinator', 5432, true],
  [2, 1, 'one', 5432, true],
  [3, 2, 'two', 5432, true],
  [4, 3, 'three', 5432, false],
] as const;
const TENANT = '01a00000-0000-7000-8000-000000000001';
const REST = '01a00000-0000-7000-8000-000000000002';

/**
 * `DATABASE_ROUTING=node` on two plain PostgreSQL servers with stand-ins for Citus' tables: to which server statements
 * go, not what Citus does there.
 */
describe('DATABASE_ROUTING=node', () => {
  let coordinator: TestCluster;
  let node: TestCluster;
  let proxy: TcpProxy;
  let toCoordinator: TcpProxy;

  beforeAll(async () => {
    [coordinator, node] = await Promise.all([TestCluster.start(), TestCluster.start()]);
    for (const [group, cluster] of [coordinator, node].entries()) {
      await cluster.sql('postgres', 'create database orders');
      await cluster.sql('orders', CITUS_STAND_INS);
      const migrationUrl = cluster.url('orders');
      const serviceUrl = withLogin(migrationUrl, 'app_service', SERVICE_PASSWORD);
      await migrate({ migrationUrl, serviceUrl, statementTimeout: 15_000, placements: PLACEMENTS });
      const nodes = NODES.map(
        ([id, at, name, port, knows]) => `(${id}, ${at}, '${name}', ${port}, 'primary', true, ${knows}, ${knows})`,
      );
      await cluster.sql(
        'orders',
        `drop view pg_dist_partition, pg_dist_node;
         create view pg_dist_partition as select logicalrelid, 'h'::"char" as partmethod from fake_citus.calls;
         create table pg_dist_node (nodeid int, groupid int, nodename text, nodeport int, noderole text,
                                    isactive bool, hasmetadata bool, metadatasynced bool);
         insert into pg_dist_node values ${nodes.join(', ')};
         create table pg_dist_local_group as select ${group}::int as groupid;
         create table pg_dist_shard (logicalrelid regclass, shardid bigint, shardminvalue text, shardmaxvalue text);
         create table pg_dist_placement (shardid bigint, shardstate int, groupid int);
         grant usage on schema fake_citus to public; grant select on all tables in schema public, fake_citus to app_service`,
      );
    }
    proxy = await TcpProxy.start(node.port);
    toCoordinator = await TcpProxy.start(coordinator.port);
  });
  beforeEach(() => place(1));
  afterAll(async () => {
    await proxy?.refuse();
    await toCoordinator?.refuse();
    await coordinator?.remove();
    await node?.remove();
  });

  /** Puts the shard of TENANT on the server of this group; that of all others is on the coordinator. */
  async function place(group: number): Promise<void> {
    const hash = hashOfUuid(TENANT);
    await coordinator.sql(
      'orders',
      `truncate pg_dist_shard, pg_dist_placement;
       insert into pg_dist_shard
         select min(logicalrelid::oid)::regclass, s.id, s.min, s.max from fake_citus.calls,
                (values (1, '${-(2 ** 31)}', '${hash - 1}'), (2, '${hash}', '${hash}'),
                        (3, '${hash + 1}', '${2 ** 31 - 1}')) as s (id, min, max)
          group by s.id, s.min, s.max;
       insert into pg_dist_placement values (1, 1, 0), (2, 1, ${group}), (3, 1, 0), (2, 4, 3)`,
    );
  }

  async function open(env: Record<string, string> = {}, url = coordinator.url('orders')): Promise<Opened> {
    const serviceUrl = withLogin(url, 'app_service', SERVICE_PASSWORD);
    const addressOf = (one: TcpProxy): string => new URL(one.through(serviceUrl)).host;
    const config = loadConfig({
      DATABASE_URL: serviceUrl,
      JWT_SECRET,
      DB_POOL_SIZE: '6',
      DATABASE_ROUTING: 'node',
      DATABASE_NODE_ADDRESSES: `one:5432=${addressOf(proxy)},two:5432=${addressOf(toCoordinator)}`,
      ...env,
    });
    const lines: string[] = [];
    const logger = pino({ level: 'info' }, { write: (line: string) => void lines.push(line) });
    const metrics = new Metrics('api');
    const tracing = await createTracing(config, logger, 'api');
    const main = new ConnectionManager(config, [], metrics, tracing, () => undefined);
    await main.connect();
    const close = (): Promise<void> => main.close();
    const options = { config, coordinator: main, entities: [], metrics, tracing, logger };
    const routing = await NodeRouting.start(options).catch(async (error: unknown) => {
      await close();
      throw error;
    });
    return {
      routing,
      metrics,
      lines,
      database: new TenantDatabase(routing),
      async close() {
        await routing.close();
        await close();
      },
    };
  }

  interface Opened {
    routing: NodeRouting;
    metrics: Metrics;
    lines: string[];
    database: TenantDatabase;
    close(): Promise<void>;
  }

  const PORT = { name: 'server_port', text: 'select inet_server_port() as port', values: [] };

  async function portOf({ database }: Opened): Promise<number | undefined> {
    const [row] = await database.query<{ port: number }>({ tenantId: TENANT }, PORT);
    return row?.port;
  }

  /** The port of the server that statements of the tenant reach, each in another way. */
  async function reached({ database }: Opened, tenantId: string, central?: boolean): Promise<number> {
    const statement = PORT;
    const scope = { tenantId, central };
    const [one] = await database.query<{ port: number }>(scope, statement);
    const [two] = await database.transaction(scope, (tx) => tx.query<{ port: number }>(statement));
    const [three] = await database.queryLong<{ port: number }>(scope, statement);
    const [four] = await database.write<{ port: number }>(scope, statement);
    const ports = new Set([one, two, three, four].map((row) => row?.port as number));
    expect(ports.size).toBe(1);
    return [...ports][0] as number;
  }

  it('finds shards by the hash of the server', async () => {
    const rows = await node.sql<{ id: string; hash: number }>(
      'orders',
      'select id, uuid_hash(id) as hash from (select gen_random_uuid() as id from generate_series(1, 2000)) as ids',
    );
    expect(rows.filter(({ id, hash }) => hashOfUuid(id) !== hash)).toEqual([]);
    expect(rows.some(({ hash }) => hash < 0)).toBe(true);
  });

  it('sends the statements of a tenant to the server with its shard, all else to the coordinator', async () => {
    const opened = await open();
    try {
      expect(await reached(opened, TENANT)).toBe(node.port);
      expect(await reached(opened, TENANT, true)).toBe(coordinator.port);
      expect(await reached(opened, REST)).toBe(coordinator.port);
      const text = await opened.metrics.registry.metrics();
      expect(text).toMatch(/db_pool_connections\{pool="node",node="one:5432",state="idle"\} [1-9]/);
      expect(text).toContain('db_node_up{node="one:5432"} 1');
    } finally {
      await opened.close();
    }
  });

  it('repeats a read on the coordinator if its policies found no tenant', async () => {
    const opened = await open();
    try {
      // The first session gets the lock and fails as a policy does there; the other one answers.
      const text = `select case when pg_try_advisory_lock(77) then current_setting('app.unknown') else 'once more' end as seen`;
      const read = { name: 'fails_once', text, values: [] };
      expect(await opened.database.query({ tenantId: TENANT }, read)).toEqual([{ seen: 'once more' }]);
      const failing = { name: 'fails_always', text: `select current_setting('app.unknown')`, values: [] };
      await expect(opened.database.query({ tenantId: TENANT }, failing)).rejects.toMatchObject({ code: '42704' });
    } finally {
      await opened.close();
    }
  });

  it('follows a moving shard by the metadata of the coordinator', async () => {
    const opened = await open();
    try {
      await place(0);
      await opened.routing.refresh();
      expect(await reached(opened, TENANT)).toBe(coordinator.port);
      await place(1);
      await until('the map to be read again', async () => (await portOf(opened)) === node.port, 30_000);
      expect(await reached(opened, TENANT)).toBe(node.port);
    } finally {
      await opened.close();
    }
  });

  it('uses the coordinator for a server without the metadata', async () => {
    await place(3);
    const opened = await open();
    try {
      expect(await reached(opened, TENANT)).toBe(coordinator.port);
    } finally {
      await opened.close();
    }
  });

  it('refuses only the tenants of an unavailable server, until it returns', async () => {
    await proxy.refuse();
    const opened = await open();
    try {
      await expect(reached(opened, TENANT)).rejects.toMatchObject({ code: 'unavailable' });
      expect(await reached(opened, REST)).toBe(coordinator.port);
      expect(await opened.metrics.registry.metrics()).toContain('db_node_up{node="one:5432"} 0');
      expect(opened.lines.join('')).toMatch(/"node":"one:5432".*its tenants get 503/);
      await proxy.pass();
      await until('its tenants to be served', () => isReached(opened), 30_000);
      await proxy.refuse();
      await expect(reached(opened, TENANT)).rejects.toMatchObject({ code: 'unavailable' });
      await until('it to be shown', async () =>
        (await opened.metrics.registry.metrics()).includes('db_node_up{node="one:5432"} 0'),
      );
      await proxy.pass();
      await until('its tenants to be served again', () => isReached(opened), 30_000);
      expect(await opened.metrics.registry.metrics()).toContain('db_node_up{node="one:5432"} 1');
      expect(opened.lines.join('')).toContain('the server can be reached again');
    } finally {
      await proxy.pass();
      await opened.close();
    }
  });

  async function isReached(opened: Opened): Promise<boolean> {
    return reached(opened, TENANT).then(
      (port) => port === node.port,
      () => false,
    );
  }

  it('detects an address of another server', async () => {
    await place(2);
    const opened = await open();
    try {
      await expect(reached(opened, TENANT)).rejects.toMatchObject({ code: 'unavailable' });
      expect(opened.lines.join('')).toContain('is another server');
    } finally {
      await opened.close();
    }
  });

  it('keeps the map while the coordinator does not respond', async () => {
    const opened = await open({}, toCoordinator.through(coordinator.url('orders')));
    try {
      await toCoordinator.refuse();
      await opened.routing.refresh();
      expect(await reached(opened, TENANT)).toBe(node.port);
      expect(opened.lines.join('')).toContain('the placements of shards cannot be read');
      await toCoordinator.pass();
      await until('the coordinator', async () => {
        await opened.routing.refresh();
        return opened.lines.join('').includes('the placements of shards are read again');
      });
    } finally {
      await toCoordinator.pass();
      await opened.close();
    }
  });

  it('does not start on another server than the coordinator, without Citus, or before migrate', async () => {
    await expect(open({}, node.url('orders'))).rejects.toThrow(/unavailable/);
    await expect(open({}, node.url('orders'))).rejects.toMatchObject({
      internal: expect.stringMatching(
        /^database: DATABASE_ROUTING=node needs the coordinator.*another of its servers$/,
      ),
    });
    await coordinator.sql('orders', 'truncate pg_dist_shard');
    await expect(open()).rejects.toMatchObject({ internal: expect.stringContaining('run migrate') });
    await coordinator.sql('orders', `update pg_extension set extname = 'other' where extname = 'citus'`);
    try {
      await expect(open()).rejects.toMatchObject({ internal: expect.stringContaining('has no Citus') });
    } finally {
      await coordinator.sql('orders', `update pg_extension set extname = 'citus' where extname = 'other'`);
    }
  });

  it('names the mistake where DATABASE_URL is a server that has no migrations since it is not the coordinator', async () => {
    await node.sql('postgres', 'create database joined');
    await node.sql('joined', 'create table pg_dist_local_group as select 1 as groupid');
    await expect(findNotMigrated(node.url('joined'))).rejects.toMatchObject({
      internal: expect.stringContaining('not its coordinator'),
    });
    await node.sql('joined', 'update pg_dist_local_group set groupid = 0');
    expect(await findNotMigrated(node.url('joined'))).toMatchObject({ pending: expect.arrayContaining([]) });
  });
});
