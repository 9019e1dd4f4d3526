import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { TenantDatabase } from '../../src/platform/database/tenant-database';
import { TENANT_TABLES } from '../../src/processes/tables';
import { TenantArchive } from '../../src/tenants/archive/tenant-archive';
import type { ApiClient } from '../harness/client';
import { createEndpoint } from '../harness/endpoints';
import { addMember, makeKey, personOf } from '../harness/members';
import { expectProblem } from '../harness/problems';
import { newEmail, startService, type TestService } from '../harness/service';
import { tablesOf } from '../harness/tenant-rows';
import { until } from '../harness/until';

type Rows = Record<string, Record<string, unknown>[]>;

describe('exports of a tenant', () => {
  let service: TestService;
  let owner: ApiClient;
  let folder: string;
  let sockets: Socket[] = [];

  beforeAll(async () => {
    service = await startService({ env: { MAIL_DIRECTORY: '/nowhere' } });
  });
  afterAll(() => service.stop());
  beforeEach(async () => {
    owner = await service.tenant();
    folder = mkdtempSync(join(tmpdir(), 'orders-test-archive-'));
  });
  afterEach(() => {
    for (const socket of sockets) socket.destroy();
    sockets = [];
    rmSync(folder, { recursive: true, force: true });
  });

  const ask = async (client = owner): Promise<string> => {
    const response = await client.post('/tenant/exports');
    expect(response.status).toBe(202);
    return response.body.id as string;
  };
  const headersOf = (client: ApiClient) => ({ authorization: `Bearer ${client.session?.access_token}` });
  const archiveUrl = (id: string) => `${service.url}/api/v1/tenant/exports/${id}/archive`;
  async function download(id: string, client = owner): Promise<Buffer> {
    const response = await fetch(archiveUrl(id), { headers: headersOf(client) });
    expect(response.status).toBe(200);
    return Buffer.from(await response.arrayBuffer());
  }

  /** The files of an archive by the system's own tar. */
  function unpack(archive: Buffer): { names: string[]; rows: Rows; text: string; manifest: { rows: object } } {
    writeFileSync(join(folder, 'archive.tar.gz'), archive);
    mkdirSync(join(folder, 'out'));
    const { status, stderr } = spawnSync('tar', ['-xzf', '../archive.tar.gz'], {
      cwd: join(folder, 'out'),
      encoding: 'utf8',
    });
    expect([status, stderr]).toEqual([0, '']);
    const names = (readdirSync(join(folder, 'out'), { recursive: true }) as string[]).filter((name) => /\./.test(name));
    const rows: Rows = {};
    let text = '';
    for (const name of names.sort()) {
      const content = readFileSync(join(folder, 'out', name), 'utf8');
      text += content;
      const part = name.split('/')[0] as string;
      if (!name.endsWith('.ndjson')) continue;
      const lines = content.split('\n').slice(0, -1);
      (rows[part] ??= []).push(...lines.map((line) => JSON.parse(line) as Record<string, unknown>));
    }
    return { names, rows, text, manifest: JSON.parse(readFileSync(join(folder, 'out', 'manifest.json'), 'utf8')) };
  }

  /** An archive that is requested and not read. */
  function stalled(id: string): Socket {
    const { hostname, port } = new URL(service.url);
    const socket = connect(Number(port), hostname);
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.pause();
    const head = `GET /api/v1/tenant/exports/${id}/archive HTTP/1.1\r\nHost: x\r\n`;
    socket.write(`${head}Authorization: ${headersOf(owner).authorization}\r\n\r\n`);
    return socket;
  }

  /** Events of random text, which gzip cannot make small. */
  const makeLarge = (rows: number) =>
    service.database.sql(
      `insert into events (tenant_id, id, type, data, created_at)
         select $1, gen_random_uuid(), 'large.event',
                json_build_object('text', (select string_agg(md5(random()::text || n::text || m::text), '') from generate_series(1, 64) m)),
                now()
           from generate_series(1, ${rows}) n`,
      [owner.tenantId],
    );

  it('are made once, read by owners until they expire, and recorded', async () => {
    const made = await owner.post('/tenant/exports', undefined, { 'idempotency-key': 'one' });
    expect([made.status, made.headers.get('location')]).toEqual([202, `/api/v1/tenant/exports/${made.body.id}`]);
    expect(made.body).toMatchObject({ status: 'ready', created_by: personOf(owner), version: 1 });
    const again = await owner.post('/tenant/exports', undefined, { 'idempotency-key': 'one' });
    expect([again.body, again.headers.get('idempotency-replayed')]).toEqual([made.body, 'true']);
    const path = `/tenant/exports/${made.body.id}`;
    const found = await owner.get(path);
    expect([found.body, found.headers.get('etag')]).toEqual([made.body, '"1"']);
    expect((await owner.get(path, { 'if-none-match': '"1"' })).status).toBe(304);
    await download(made.body.id);
    const head = await owner.request('HEAD', `${path}/archive`);
    expect([head.status, head.headers.get('content-type')]).toEqual([200, 'application/gzip']);
    const actions = await service.database.sql(
      `select action from audit_log where tenant_id = $1 and target_id = $2 order by id`,
      [owner.tenantId, made.body.id],
    );
    expect(actions).toEqual([{ action: 'tenant.export_requested' }, { action: 'tenant.exported' }]);
    await service.database.sql(`update tenant_exports set expires_at = now() where id = $1`, [made.body.id]);
    for (const one of [path, `${path}/archive`]) expectProblem(await owner.get(one), 'not_found');
  });

  it('are for owners with a fresh sign-in, and at most ten', async () => {
    const admin = await addMember(service, owner, 'admin');
    const id = await ask();
    for (const [client, slug] of [
      [admin, 'forbidden'],
      [await addMember(service, owner, 'member'), 'forbidden'],
      [(await makeKey(owner, { scopes: ['tenant:manage'] })).client, 'forbidden'],
      [service.client, 'unauthorized'],
    ] as const) {
      expectProblem(await client.post('/tenant/exports'), slug);
      for (const path of [`/tenant/exports/${id}`, `/tenant/exports/${id}/archive`]) {
        expectProblem(await client.get(path), slug);
        expect((await client.request('HEAD', path)).status).toBe(slug === 'forbidden' ? 403 : 401);
      }
    }
    const stranger = await service.tenant();
    for (const path of [`/tenant/exports/${id}`, `/tenant/exports/${id}/archive`]) {
      expectProblem(await stranger.get(path), 'not_found');
    }
    for (let more = 1; more < 10; more++) await ask();
    expectProblem(await owner.post('/tenant/exports'), 'business_rule_violation');
    await service.database.sql(`update sessions set auth_time = now() - interval '11 minutes' where tenant_id = $1`, [
      owner.tenantId,
    ]);
    const old = await until('the session is old', async () => {
      const response = await owner.post('/tenant/exports');
      return response.status === 401 && response;
    });
    expectProblem(old, 'insufficient_user_authentication');
  });

  it('hold every row of the tenant, none of another, and no secret', async () => {
    const token = 'a-receivers-token';
    const endpoint = await createEndpoint(owner, `https://example.com/hook?key=${token}`, {
      headers: { 'x-token': token },
    });
    const { key } = await makeKey(owner);
    const email = newEmail();
    expect((await owner.post('/invitations', { email, role: 'member' })).status).toBe(201);
    expect((await owner.post('/roles', { name: 'support', permissions: ['orders:read'] })).status).toBe(201);
    const order = await owner.createOrder({ notes: 'two\nlines', metadata: { 'ü"\\': '\u2028' } });
    await owner.post('/orders', { ...order, id: undefined }, { 'idempotency-key': 'kept' });
    const other = await service.tenant('Other');
    await other.createOrder({ notes: 'of another' });
    await createEndpoint(other, 'https://other.example.com/');

    const { names, rows, text, manifest } = unpack(await download(await ask()));
    expect(names).toEqual(expect.arrayContaining(['tenant.json', 'manifest.json', 'orders/00001.ndjson']));
    const shown = TENANT_TABLES.filter(({ archived }) => archived.length > 0);
    for (const { table, archived } of shown) {
      const [{ count }] = (await service.database.sql(
        `select count(*)::int as count from ${table} where tenant_id = $1`,
        [owner.tenantId],
      )) as [{ count: number }];
      // The entry of this download was written while it began.
      expect([table, (rows[table] ?? []).length]).toEqual([table, count]);
      for (const row of rows[table] ?? []) {
        expect(Object.keys(row)).toEqual(archived.map((column) => column.replace(/::.*/, '')));
      }
    }
    expect(manifest).toEqual({
      complete: true,
      rows: expect.objectContaining({ orders: 1, order_items: 2, members: 1 }),
    });
    expect(rows.orders).toMatchObject([
      { id: order.id, total_amount: order.total_amount, notes: order.notes, metadata: order.metadata },
    ]);
    expect(rows.members).toMatchObject([{ user_id: personOf(owner), email: owner.session?.user.email, role: 'owner' }]);
    expect(rows.invitations).toMatchObject([{ email }]);
    expect(rows.webhook_endpoints).toMatchObject([{ id: endpoint.id, url: 'https://example.com/hook?***' }]);

    const secrets = [
      token,
      endpoint.secret,
      key.key as string,
      owner.session?.access_token,
      owner.session?.refresh_token,
    ];
    for (const secret of secrets) expect([secret, text.includes(secret as string)]).toEqual([secret, false]);
    const hashes = await service.database.sql<{ hash: string }>(
      `select encode(token_hash, 'hex') as hash from refresh_tokens
        union all select encode(token_hash, 'hex') from invitations
        union all select encode(key_hash, 'hex') from api_key_secrets
        union all select password_hash from users union all select secret from webhook_endpoints`,
    );
    for (const { hash } of hashes) expect(text).not.toContain(hash);
    for (const foreign of [other.tenantId, personOf(other), 'of another', 'other.example.com']) {
      expect(text).not.toContain(foreign);
    }
  });

  it('have numbered files for a large table, and hold no more than their reader takes', async () => {
    await makeLarge(12_000);
    const id = await ask();
    const { names, rows } = unpack(await download(id));
    const files = names.filter((name) => name.startsWith('events/'));
    expect(files.length).toBeGreaterThan(5);
    expect(files).toEqual(files.map((_, at) => `events/${String(at + 1).padStart(5, '0')}.ndjson`));
    const ids = (rows.events ?? []).map((row) => row.id);
    expect([ids.length, new Set(ids).size]).toEqual([12_000, 12_000]);

    const pages = jest.spyOn(service.app.get(TenantDatabase), 'queryIsolated');
    const socket = stalled(id);
    let seen = -1;
    const settled = await until('the archive stalls', async () => {
      const before = seen;
      seen = pages.mock.calls.length;
      await delay(200);
      return seen > 0 && seen === before && seen;
    });
    // Other work of the service may use a connection for a moment; a page of the archive would hold one for good.
    await until('the archive holds no connection', async () => {
      const [row] = await service.database.sql<{ busy: number }>(
        `select count(*)::int as busy from pg_stat_activity
          where datname = current_database() and usename = 'app_service' and state <> 'idle'`,
      );
      return row?.busy === 0;
    });
    expectProblem(await owner.get(`/tenant/exports/${id}/archive`), 'rate_limited');
    // A reader that leaves gives its place to the next.
    socket.destroy();
    await until(
      'the place is free',
      () => (service.app.get(TenantArchive) as unknown as { running: number }).running === 0,
    );
    pages.mockClear();
    await download(id);
    expect(pages.mock.calls.length).toBeGreaterThan(settled);
    pages.mockRestore();
  });

  it('break off, and do not end, for a reader that is no longer an owner', async () => {
    await makeLarge(20_000);
    const id = await ask();
    const response = await fetch(archiveUrl(id), { headers: headersOf(owner) });
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    await reader.read();
    await service.database.sql(`update memberships set role = 'viewer' where tenant_id = $1`, [owner.tenantId]);
    const rest = async () => {
      while (!(await reader.read()).done);
    };
    await expect(rest()).rejects.toThrow();
  });

  it('decide for every table and column of tenants whether an archive shows it', async () => {
    const tables = await tablesOf(service.database);
    expect(TENANT_TABLES.map(({ table }) => table).sort()).toEqual(tables.sort());
    const columns = await service.database.sql<{ table: string; name: string; key: boolean }>(
      `select a.attrelid::regclass::text as table, a.attname as name,
              coalesce(a.attnum = any (k.conkey), false) as key
         from pg_attribute a left join pg_constraint k on k.conrelid = a.attrelid and k.contype = 'p'
        where a.attrelid::regclass::text = any ($1) and a.attnum > 0 and not a.attisdropped and a.attname <> 'tenant_id'`,
      [tables],
    );
    for (const { table, key, archived, omitted } of TENANT_TABLES) {
      const own = columns.filter((column) => column.table === table);
      expect([table, ...Object.keys(key).sort()]).toEqual([
        table,
        ...own.filter((column) => column.key).map((column) => column.name).sort(),
      ]); // prettier-ignore
      const named = [...archived.map((column) => column.replace(/::.*/, '')), ...(omitted === '*' ? [] : omitted)];
      if (omitted === '*') expect([table, archived]).toEqual([table, []]);
      else expect([table, ...named.sort()]).toEqual([table, ...own.map((column) => column.name).sort()]);
    }
  });
});
