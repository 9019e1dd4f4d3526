import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { isolateTenant, moveTenant, rebalance, findTenant } from '../../src/platform/database/migrate/move-shards';
import { citusUrls, createOwnedDatabase, type OwnedDatabase } from '../harness/citus';
import type { ApiClient } from '../harness/client';
import { startService, type TestService } from '../harness/service';
import { until } from '../harness/until';

const urls = citusUrls();
const onCitus = urls.length > 2 ? describe : describe.skip;
const FORCED = `select count(*) filter (where not relforcerowsecurity)::int as unforced, count(*)::int as all from pg_class
                 where relnamespace = 'public'::regnamespace and relkind = 'r' and relrowsecurity`;

onCitus('moves of tenants', () => {
  let database: OwnedDatabase;
  let service: TestService;
  let tenant: ApiClient;
  let tenantId: string;

  beforeAll(async () => {
    database = await createOwnedDatabase(urls);
    await database.joinServers();
    await database.migrate();
    service = await startService({ database });
    tenant = await service.tenant();
    tenantId = (tenant.session as NonNullable<typeof tenant.session>).tenant.id;
    for (let i = 0; i < 10; i++) await tenant.createOrder();
  });
  afterAll(async () => {
    await service?.app.close();
    await database?.drop();
  });

  /** The other server of the tenant. */
  async function elsewhere(): Promise<{ host: string; port: number }> {
    const { host, port } = await findTenant(database.ownerUrl, tenantId);
    const other = urls
      .slice(1)
      .map((url) => new URL(url))
      .find((url) => Number(url.port) !== port) as URL;
    return { host, port: Number(other.port) };
  }

  async function unforced(): Promise<number> {
    let sum = 0;
    for (const server of urls.keys()) {
      const [row] = await database.sqlOn<{ unforced: number; all: number }>(server, FORCED);
      expect(row?.all).toBeGreaterThan(0);
      sum += row?.unforced ?? 0;
    }
    return sum;
  }

  /** The shards that a move leaves behind are not forced; Citus drops them within a minute. */
  const untilForced = (): Promise<unknown> =>
    until('row-level security to be forced', async () => (await unforced()) === 0, 120_000);

  it('happen while the tenant is served, and lose no row', async () => {
    const to = await elsewhere();
    const before = ((await tenant.get('/orders?limit=100')).body.data as unknown[]).length;
    let made = 0;
    let isMoving = true;
    const writes = (async () => {
      while (isMoving) {
        await tenant.createOrder();
        made++;
      }
    })();
    await until('the first orders', () => made > 3);
    await moveTenant(database.ownerUrl, tenantId, to);
    isMoving = false;
    await writes;
    expect(await findTenant(database.ownerUrl, tenantId)).toMatchObject(to);
    const [count] = await database.sql<{ count: number }>(
      'select count(*)::int as count from orders where tenant_id = $1',
      [tenantId],
    );
    expect(count?.count).toBe(before + made);
    await untilForced();
  });

  it('force row-level security again when they fail', async () => {
    await expect(moveTenant(database.ownerUrl, tenantId, { host: '127.0.0.1', port: 1 })).rejects.toThrow();
    await untilForced();
  });

  it('are cancelled by a signal, and force row-level security again', async () => {
    const controller = new AbortController();
    const moved = moveTenant(database.ownerUrl, tenantId, await elsewhere(), controller.signal);
    const failed = expect(moved).rejects.toThrow();
    await until('the move to begin', async () => (await unforced()) > 0);
    controller.abort();
    await failed;
    await untilForced();
  });

  it('of a killed process leave a state that migrate repairs', async () => {
    const { host, port } = await elsewhere();
    const admin = spawn(
      process.execPath,
      [join(__dirname, '..', '..', 'scripts', 'main.mjs'), 'admin', 'citus', 'move', tenantId, `${host}:${port}`],
      {
        env: {
          ...process.env,
          DATABASE_URL: database.serviceUrl,
          MIGRATION_DATABASE_URL: database.ownerUrl,
          JWT_SECRET: 'x'.repeat(40),
        },
        stdio: 'ignore',
      },
    );
    await until('the move to begin', async () => (await unforced()) > 0, 60_000);
    admin.kill('SIGKILL');
    await once(admin, 'exit');
    await until(
      'its session to end',
      async () => {
        const rows = await database.sql(
          `select pid from pg_stat_activity where application_name like '%migrate' and datname = current_database()`,
        );
        return rows.length === 0;
      },
      60_000,
    );
    await database.migrate();
    await untilForced();
    expect((await tenant.get('/orders')).status).toBe(200);
  });

  it('give a tenant a shard of its own', async () => {
    const before = await findTenant(database.ownerUrl, tenantId);
    const after = await isolateTenant(database.ownerUrl, tenantId);
    expect(after).toMatchObject({ host: before.host, port: before.port });
    expect(after.shardId).not.toBe(before.shardId);
    expect((await tenant.get('/orders')).status).toBe(200);
    await tenant.createOrder();
    await untilForced();
  });

  it('distribute the shards evenly', async () => {
    await rebalance(database.ownerUrl);
    await untilForced();
    expect((await tenant.get('/orders')).status).toBe(200);
  });
});
