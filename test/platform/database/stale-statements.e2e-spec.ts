import { TenantDatabase } from '../../../src/platform/database/tenant-database';
import type { ApiClient } from '../../harness/client';
import { createTestDatabase, type TestDatabase } from '../../harness/databases';
import { startService, type TestService } from '../../harness/service';

const NAME = { name: 'test_tenant_name', text: 'select name from tenants', values: [] };

describe.each(['a login of its own', 'one URL, of the owner'])(
  'a migration that changes the type of a column, with %s',
  (logins) => {
    let database: TestDatabase;
    let service: TestService;
    let tenant: ApiClient;
    let tenantDatabase: TenantDatabase;

    beforeAll(async () => {
      database = await createTestDatabase();
      const env: Record<string, string> = logins === 'a login of its own' ? {} : { DATABASE_URL: database.ownerUrl };
      service = await startService({ database, env });
      tenant = await service.tenant('Before');
      tenantDatabase = service.app.get(TenantDatabase, { strict: false });
    });
    afterAll(async () => {
      await service?.stop();
      await database?.drop();
    });

    const ways: Record<string, () => Promise<unknown>> = {
      read: () => tenantDatabase.query(tenant, NAME),
      queryReplica: () => tenantDatabase.queryReplica(tenant, NAME),
      queryIsolated: () => tenantDatabase.queryIsolated(tenant, NAME),
      write: () => tenantDatabase.write(tenant, NAME),
      transaction: () => tenantDatabase.transaction(tenant, (tx) => tx.query(NAME)),
    };
    const many = (way: () => Promise<unknown>): Promise<unknown[]> =>
      Promise.all(Array.from({ length: 40 }, () => way()));

    it.each(Object.keys(ways))('is not noticed by what was prepared before: %s', async (name) => {
      const way = ways[name] as () => Promise<unknown>;
      // Enough concurrent requests that every connection has prepared it.
      await many(way);
      for (const type of ['varchar(200)', 'text']) {
        await database.sql(`alter table tenants alter column name type ${type}`);
        expect(await many(way)).toEqual(Array.from({ length: 40 }, () => [{ name: 'Before' }]));
      }
    });

    it('is a 503, which can be tried again, where a transaction has done something already', async () => {
      const work = () =>
        tenantDatabase.transaction(tenant, async (tx) => {
          await tx.query({ name: 'test_one', text: 'select 1 as one', values: [] });
          return tx.query(NAME);
        });
      await many(work);
      await database.sql('alter table tenants alter column name type varchar(200)');
      await expect(work()).rejects.toMatchObject({ code: 'unavailable' });
      expect(await many(work)).toHaveLength(40);
    });
  },
);
