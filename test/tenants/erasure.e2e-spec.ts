import { Client } from 'pg';
import pino from 'pino';
import { ConnectionManager } from '../../src/platform/database/connections/connection-manager';
import { EraserDatabase } from '../../src/platform/database/roles/eraser-database';
import { TenantDatabase } from '../../src/platform/database/tenant-database';
import { TENANT_TABLES } from '../../src/processes/tables';
import { TenantErasure } from '../../src/tenants/erasure/tenant-erasure';
import { ApiClient, type SignedIn } from '../harness/client';
import { addMember } from '../harness/members';
import { expectProblem } from '../harness/problems';
import { startService, type TestService } from '../harness/service';
import { fillTenant, tablesOf } from '../harness/tenant-rows';

describe('the erasure of closed tenants', () => {
  let service: TestService;
  let erasure: TenantErasure;

  beforeAll(async () => {
    service = await startService();
    // Without a worker, which would take away what waits for it.
    const connections = service.app.get(ConnectionManager, { strict: false });
    const database = service.app.get(TenantDatabase, { strict: false });
    erasure = new TenantErasure(new EraserDatabase(connections), database, TENANT_TABLES, pino({ level: 'silent' }));
  });
  afterAll(() => service.stop());

  const run = () => erasure.run();
  const closedFor = (tenantId: string, time: string) =>
    service.database.sql(`update tenants set closed_at = now() - $2::interval where id = $1`, [tenantId, time]);
  /** The tables in which the tenant has rows. */
  async function left(tenantId: string): Promise<string[]> {
    const found: string[] = [];
    for (const table of [...(await tablesOf(service.database)), 'tenants']) {
      const column = table === 'tenants' ? 'id' : 'tenant_id';
      const rows = await service.database.sql(`select 1 from ${table} where ${column} = $1 limit 1`, [tenantId]);
      if (rows.length > 0) found.push(table);
    }
    return found;
  }
  const makeLogOld = (tenantId: string) =>
    service.database.sql(`update audit_log set occurred_at = now() - interval '30 days' where tenant_id = $1`, [
      tenantId,
    ]);

  it('deletes every row in every table after 30 days, and nothing of other tenants', async () => {
    const all = [...TENANT_TABLES.map(({ table }) => table), 'tenants'].sort();
    const [{ tenantId }, { tenantId: open }] = [await fillTenant(service.database), await fillTenant(service.database)];
    for (const id of [tenantId, open]) await makeLogOld(id);
    expect((await left(tenantId)).sort()).toEqual(all);
    for (const time of ['29 days 23 hours', '30 days 30 minutes']) {
      await closedFor(tenantId, time);
      await run();
      expect((await left(tenantId)).sort()).toEqual(all);
    }
    await closedFor(tenantId, '30 days 2 hours');
    await run();
    expect(await left(tenantId)).toEqual([]);
    expect((await left(open)).sort()).toEqual(all);
  });

  it('continues in batches, and waits for entries of the log that are too young to be deleted', async () => {
    const { tenantId } = await fillTenant(service.database);
    await service.database.sql(
      `insert into events (tenant_id, id, type, data, created_at)
         select $1, gen_random_uuid(), 'many.events', '{}', now() from generate_series(1, 2500)`,
      [tenantId],
    );
    await closedFor(tenantId, '31 days');
    await run();
    // Today's entry stays, and the tree that proves it; its personal values are erased.
    expect((await left(tenantId)).filter((table) => !/^audit_/.test(table))).toEqual(['tenants']);
    expect(await left(tenantId)).toContain('audit_log');
    expect(await left(tenantId)).not.toContain('audit_personal');
    await makeLogOld(tenantId);
    await run();
    expect(await left(tenantId)).toEqual([]);
  });

  it('leaves persons their accounts, and their places elsewhere', async () => {
    const owner = await service.tenant();
    const member = await addMember(service, owner, 'member');
    expect((await owner.delete('/tenant')).status).toBe(202);
    await closedFor(owner.tenantId, '31 days');
    await makeLogOld(owner.tenantId);
    await run();
    expect(await left(owner.tenantId)).toEqual([]);
    const login = async (client: ApiClient) => {
      const { email } = (client.session as SignedIn).user;
      return (await service.client.post('/auth/login', { email, password: 'a password for tests' })).body as SignedIn;
    };
    expect((await login(owner)).tenant).toBeNull();
    expect((await login(member)).tenant).not.toBeNull();
  });

  it('cannot be met by a late restoring, which is possible for 30 days', async () => {
    const owner = await service.tenant();
    expect((await owner.delete('/tenant')).status).toBe(202);
    const { email } = (owner.session as SignedIn).user;
    const signIn = async () => {
      const response = await service.client.post('/auth/login', { email, password: 'a password for tests' });
      return new ApiClient(service.url, response.body as SignedIn);
    };
    await closedFor(owner.tenantId, '30 days 1 minute');
    expectProblem(await (await signIn()).post('/tenant/restore'), 'conflict');
    await closedFor(owner.tenantId, '29 days 23 hours');
    expect((await (await signIn()).post('/tenant/restore')).status).toBe(204);
    await run();
    expect(await left(owner.tenantId)).toContain('tenants');
  });

  it('gives its role no row of an open tenant, and no entry of a log that is younger than 29 days', async () => {
    const { tenantId } = await fillTenant(service.database);
    const client = new Client({ connectionString: service.database.ownerUrl });
    await client.connect();
    try {
      await client.query(`set role app_eraser; set app.tenant_id = '${tenantId}'`);
      const deleted = async (table: string) => (await client.query(`delete from ${table}`)).rowCount;
      expect([await deleted('tenants'), await deleted('audit_log')]).toEqual([0, 0]);
      await expect(client.query('delete from orders')).rejects.toMatchObject({ code: '42501' });
      await expect(client.query(`update audit_log set action = 'x'`)).rejects.toMatchObject({ code: '42501' });
      await client.query(`set app.tenant_id = '00000000-0000-0000-0000-000000000000'`);
      expect(await deleted('audit_leaves')).toBe(0);
    } finally {
      await client.end();
    }
    expect(await left(tenantId)).toEqual(expect.arrayContaining(['tenants', 'audit_log', 'audit_leaves']));
  });
});
