import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Client } from 'pg';
import { ConnectionManager } from '../../src/platform/database/connections/connection-manager';
import { TenantDatabase } from '../../src/platform/database/tenant-database';
import { PLACEMENTS } from '../../src/processes/tables';
import { RetentionJob } from '../../src/retention/retention-job';
import {
  citusUrls,
  createFakeDistributedDatabase,
  createDistributedDatabase,
  type DistributedDatabase,
} from '../harness/citus';
import { orderInput } from '../harness/client';
import { createTestDatabase, type TestDatabase } from '../harness/databases';
import { createEndpoint } from '../harness/endpoints';
import { type Receiver, startReceiver } from '../harness/receiver';
import { startService, type TestService } from '../harness/service';
import { until } from '../harness/until';
import { startWorker, type TestWorker } from '../harness/worker';

const urls = citusUrls();
const databases: [string, () => Promise<DistributedDatabase>][] = [
  ['PostgreSQL that says it has Citus', createFakeDistributedDatabase],
];
if (urls.length > 0) databases.push(['a real Citus', () => createDistributedDatabase(urls)]);

const placed = (placement: string): string[] =>
  Object.keys(PLACEMENTS).filter((table) => PLACEMENTS[table] === placement);

describe.each(databases)('on %s', (_, create) => {
  let database: DistributedDatabase;
  let service: TestService;
  let worker: TestWorker;
  let receiver: Receiver;

  beforeAll(async () => {
    database = await create();
    service = await startService({ database, env: { WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8' } });
    worker = await startWorker(database);
    receiver = await startReceiver();
  });
  afterAll(async () => {
    await worker?.stop();
    await service?.stop();
    await receiver?.stop();
    await database?.drop();
  });

  it('distributes each table by its placement, once', async () => {
    const spread = async (): Promise<string[]> =>
      (await database.sql<{ name: string }>('select logicalrelid::text as name from pg_dist_partition')).map(
        ({ name }) => name,
      );
    const first = await spread();
    expect([...first].sort()).toEqual([...placed('reference'), ...placed('distributed')].sort());
    await database.migrate();
    expect(await spread()).toHaveLength(first.length);
  });

  it('serves a tenant from registration to export', async () => {
    const tenant = await service.tenant();
    const key = { 'idempotency-key': 'one' };
    const body = orderInput();
    const made = await tenant.post('/orders', body, key);
    expect(made.status).toBe(201);
    const again = await tenant.post('/orders', body, key);
    expect([again.status, again.text, again.headers.get('idempotency-replayed')]).toEqual([201, made.text, 'true']);
    const id = made.body.id as string;
    expect((await tenant.patch(`/orders/${id}`, { notes: 'x' })).status).toBe(200);
    expect((await tenant.patch(`/orders/${id}/status`, { status: 'confirmed' })).status).toBe(200);
    expect((await tenant.post('/orders/batch', { orders: [orderInput(), orderInput()] })).status).toBe(201);
    const list = await tenant.get('/orders?limit=2');
    expect([list.status, list.body.data.length, list.body.has_more]).toEqual([200, 2, true]);
    expect((await tenant.get(`/orders/${id}/events`)).body.data).toHaveLength(3);
    expect((await tenant.get('/orders/export')).text.trim().split('\n')).toHaveLength(3);
    expect((await tenant.get('/auth/me')).status).toBe(200);
    const session = tenant.session as NonNullable<typeof tenant.session>;
    const refreshed = await service.client.post('/auth/refresh', { refresh_token: session.refresh_token });
    expect(refreshed.status).toBe(200);
    const signedIn = await service.client.post('/auth/login', {
      email: session.user.email,
      password: 'a password for tests',
    });
    expect(signedIn.status).toBe(200);
    expect((await service.client.post('/auth/logout', { refresh_token: signedIn.body.refresh_token })).status).toBe(
      204,
    );
  });

  it('delivers webhooks', async () => {
    const tenant = await service.tenant();
    const endpoint = await createEndpoint(tenant, receiver.url, { event_types: ['order.*'] });
    const ids: string[] = [];
    for (let i = 0; i < 10; i++) ids.push((await tenant.createOrder()).id as string);
    const arrived = (): string[] =>
      receiver.received.map(({ body }) => (JSON.parse(body) as { data: { id: string } }).data.id);
    await until('every order to arrive', () => arrived().length >= ids.length, 30_000);
    expect(arrived().sort()).toEqual(ids.sort());
    await until('the outcomes', async () => {
      const response = await tenant.get(`/webhooks/deliveries?endpoint_id=${endpoint.id}&status=succeeded&limit=100`);
      return response.body.data.length === ids.length;
    });
    expect((await tenant.get(`/webhooks/endpoints/${endpoint.id}/stats`)).status).toBe(200);
    expect((await tenant.post(`/webhooks/endpoints/${endpoint.id}/test`)).status).toBe(202);
    expect((await tenant.delete(`/webhooks/endpoints/${endpoint.id}`)).status).toBe(204);
  });

  it('isolates tenants, also on the servers that have the rows', async () => {
    const [one, two] = [await service.tenant(), await service.tenant()];
    const order = await one.createOrder();
    expect((await two.get(`/orders/${order.id}`)).status).toBe(404);
    expect((await two.get('/orders')).body.data).toEqual([]);
    expect((await one.get('/orders')).body.data).toHaveLength(1);
  });

  it('registers event types, disables an endpoint that responds with 410, and retries manually', async () => {
    const tenant = await service.tenant();
    const put = await tenant.request('PUT', '/webhooks/event-types/invoice.paid', {
      body: { schema: { type: 'object' } },
    });
    expect([put.status, put.body.name]).toEqual([201, 'invoice.paid']);
    const gone = await startReceiver();
    try {
      gone.respond = (response) => void response.writeHead(410).end();
      const endpoint = await createEndpoint(tenant, gone.url, { event_types: ['invoice.paid'] });
      expect((await tenant.post('/webhooks/events', { type: 'invoice.paid', data: {} })).status).toBe(202);
      await until('the endpoint to be disabled', async () => {
        const { body } = await tenant.get(`/webhooks/endpoints/${endpoint.id}`);
        return body.enabled === false && body.disabled_reason !== null;
      });
      const events = (await tenant.get('/webhooks/events?limit=5')).body.data as { type: string }[];
      expect(events.map(({ type }) => type)).toContain('invoice.paid');
      const list = await tenant.get(`/webhooks/deliveries?endpoint_id=${endpoint.id}&event_type=invoice.paid`);
      const [delivery] = list.body.data as { id: string; status: string }[];
      expect(delivery?.status).toBe('failed');
      gone.respond = (response) => void response.writeHead(204).end();
      expect((await tenant.patch(`/webhooks/endpoints/${endpoint.id}`, { enabled: true })).status).toBe(200);
      expect((await tenant.post(`/webhooks/deliveries/${delivery?.id}/retry`)).status).toBe(202);
      await until('the retry', async () => {
        const { body } = await tenant.get(`/webhooks/deliveries/${delivery?.id}`);
        return body.status === 'succeeded' && body.attempts.length === 2;
      });
    } finally {
      await gone.stop();
    }
  });

  it('deletes expired rows', async () => {
    const { tenantId } = await service.tenant();
    const old = '01900000-0000-7000-8000-000000000001';
    await database.sql(
      `insert into events (tenant_id, id, type, data, created_at) values ($1, $2, 'x.y', '{}', '2024-06-09T00:00:00Z')`,
      [tenantId, old],
    );
    await database.sql(
      `insert into deliveries (tenant_id, id, endpoint_id, event_id, event_type, status, attempt_count, tries, created_at)
         values ($1, $2, $2, $2, 'x.y', 'succeeded', 1, 1, '2024-06-09T00:00:00Z')`,
      [tenantId, old],
    );
    await worker.app.get(RetentionJob, { strict: false }).run();
    for (const table of ['events', 'deliveries']) {
      expect(await database.sql(`select id from ${table} where tenant_id = $1 and id = $2`, [tenantId, old])).toEqual(
        [],
      );
    }
  });

  it('has one connection of a session to each server', async () => {
    const { dataSource } = service.app.get(ConnectionManager, { strict: false });
    const [row] = await dataSource.query<{ size: string }[]>(
      `select current_setting('citus.max_adaptive_executor_pool_size') as size`,
    );
    expect(row?.size).toBe('1');
  });

  it('sends no statement after the COMMIT of a failed transaction', async () => {
    const tenant = await service.tenant();
    const tenantId = (tenant.session as NonNullable<typeof tenant.session>).tenant.id;
    const connections = service.app.get(ConnectionManager, { strict: false });
    const notices: string[] = [];
    const [client, release] = await connections.acquire();
    const onNotice = (notice: { message?: string }): void => void notices.push(notice.message ?? '');
    (client as unknown as Client).on('notice', onNotice);
    release();
    const failing = { name: '', text: 'select 1 / (length($1) - 1)', values: ['x'] };
    const database = service.app.get(TenantDatabase, { strict: false });
    for (let i = 0; i < 20; i++) {
      await expect(database.write({ tenantId }, failing)).rejects.toThrow('division by zero');
    }
    expect(notices).toEqual([]);
    expect((await tenant.get('/orders')).status).toBe(200);
  });

  it('opens no unused connection, and gives all of them to the pool', async () => {
    const { driver } = service.app.get(ConnectionManager, { strict: false });
    expect((driver.master as { options: { max: number } }).options.max).toBe(12);
    const gauge = await service.metrics.registry.getSingleMetric('db_pool_connections')?.get();
    const open = gauge?.values.filter(({ value }) => value > 0).map(({ labels }) => labels.pool) ?? [];
    expect(new Set(open)).toEqual(new Set(['transaction']));
  });

  it('deletes expired rows without a warning', async () => {
    await worker.app.get(RetentionJob, { strict: false }).run();
    const complaints = worker.logLines.filter((line) => JSON.parse(line).level > 30 && !line.includes('SMTP_URL'));
    expect(complaints).toEqual([]);
    expect(service.logLines.filter((line) => JSON.parse(line).level > 40)).toEqual([]);
  });
});

it('distributes referenced tables first, with the settings of a first run', async () => {
  const database = await createFakeDistributedDatabase();
  try {
    const calls = await database.sql<{
      function: string;
      name: string;
      column_name: string;
      colocate_with: string;
      mode: string;
    }>(
      'select function, logicalrelid::text as name, column_name, colocate_with, mode from fake_citus.calls order by id',
    );
    const order = calls.map(({ name }) => name);
    const first = order.find((name) => PLACEMENTS[name] === 'distributed');
    for (const call of calls.filter(({ name }) => PLACEMENTS[name] === 'distributed')) {
      expect(call).toEqual({
        function: 'create_distributed_table',
        name: call.name,
        column_name: 'tenant_id',
        colocate_with: call.name === first ? 'default' : first,
        mode: 'sequential',
      });
    }
    const keys = await database.sql<{ child: string; parent: string }>(
      `select conrelid::regclass::text as child, confrelid::regclass::text as parent from pg_constraint
        where contype = 'f' and connamespace = 'public'::regnamespace`,
    );
    expect(keys.length).toBeGreaterThan(0);
    for (const { child, parent } of keys)
      expect([child, parent, order.indexOf(parent) < order.indexOf(child)]).toEqual([child, parent, true]);
    const logins = await database.sql(`select rolname from pg_roles where rolname ~ '^app_' and not rolcanlogin`);
    expect(logins).toEqual([]);
  } finally {
    await database.drop();
  }
});

describe('the schema', () => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await createTestDatabase();
  });
  afterAll(() => database.drop());

  it('has a placement for each table, and no other', async () => {
    const rows = await database.sql<{ name: string }>(
      `select relname as name from pg_class where relkind in ('r', 'p') and relnamespace = 'public'::regnamespace`,
    );
    expect(Object.keys(PLACEMENTS).sort()).toEqual(rows.map(({ name }) => name).sort());
  });

  it('has the placements of docs/scaling.md', () => {
    const text = readFileSync(join(__dirname, '..', '..', 'docs', 'scaling.md'), 'utf8');
    const told = [...text.matchAll(/^\| (`[^|]+) \| (reference|distributed|local)\b/gm)].flatMap(
      ([, names, placement]) =>
        [...(names as string).matchAll(/`(\w+)`/g)].map(([, name]) => [name as string, placement as string] as const),
    );
    expect(Object.fromEntries(told)).toEqual(PLACEMENTS);
  });

  it('can be distributed: the tenant is in every key, and no key leads to another placement', async () => {
    const keys = await database.sql<{ table: string; columns: string[]; type: string }>(
      `select k.conrelid::regclass::text as table, k.contype as type,
              (select array_agg(attname::text) from pg_attribute where attrelid = k.conrelid and attnum = any (k.conkey)) as columns
         from pg_constraint k where k.contype in ('p', 'u', 'x') and k.conrelid::regclass::text = any ($1)
       union all
       select i.indrelid::regclass::text, 'index',
              (select array_agg(attname::text) from pg_attribute where attrelid = i.indrelid and attnum = any (i.indkey::int2[]))
         from pg_index i where i.indisunique and i.indrelid::regclass::text = any ($1)`,
      [placed('distributed')],
    );
    expect(keys.length).toBeGreaterThan(placed('distributed').length);
    expect(keys.filter(({ columns }) => !columns.includes('tenant_id'))).toEqual([]);
    const foreign = await database.sql<{
      child: string;
      parent: string;
      child_columns: string[];
      parent_columns: string[];
      on_delete: string;
      on_update: string;
    }>(
      `select k.conrelid::regclass::text as child, k.confrelid::regclass::text as parent, k.confdeltype as on_delete,
              k.confupdtype as on_update,
              (select array_agg(attname::text order by n) from unnest(k.conkey) with ordinality as c (num, n)
                 join pg_attribute on attrelid = k.conrelid and attnum = num) as child_columns,
              (select array_agg(attname::text order by n) from unnest(k.confkey) with ordinality as c (num, n)
                 join pg_attribute on attrelid = k.confrelid and attnum = num) as parent_columns
         from pg_constraint k where k.contype = 'f' and k.connamespace = 'public'::regnamespace`,
    );
    const wrong = foreign.filter((key) => {
      const at = key.child_columns.indexOf('tenant_id');
      const together = PLACEMENTS[key.child] === 'distributed' && at >= 0 && key.parent_columns[at] === 'tenant_id';
      const fits = PLACEMENTS[key.parent] === 'reference' ? PLACEMENTS[key.child] !== 'local' : together;
      return !fits || ['n', 'd'].includes(key.on_delete) || key.on_update !== 'a';
    });
    expect(wrong).toEqual([]);
  });
});
