import { Client } from 'pg';
import { EventCatalogue } from '../../src/platform/outbox/event-catalogue';
import { revertLast } from '../../src/platform/database/migrate/migrations';
import { assertNoReservedTypes, RESERVED_NAMESPACES } from '../../src/processes/migrate/reserved-event-types';
import { type TestDatabase, withLogin } from '../harness/databases';
import { runProcess } from '../harness/run-process';
import { startService, type TestService } from '../harness/service';
import { buildOnce } from '../harness/service-process';

describe('types of tenants in namespaces of the service', () => {
  let service: TestService;
  let database: TestDatabase;

  beforeAll(async () => {
    buildOnce();
    service = await startService();
    database = service.database;
  });
  afterAll(() => service.stop());

  const define = async (name: string): Promise<string> => {
    const { tenantId } = await service.tenant();
    await database.sql(
      `insert into webhook_event_types (tenant_id, name, id, schema, version, created_at, updated_at)
       values ($1, $2, gen_random_uuid(), '{}', 1, now(), now())`,
      [tenantId, name],
    );
    return tenantId;
  };

  it('are those of the catalogue', () => {
    const catalogue = service.app.get(EventCatalogue, { strict: false });
    const emitted = new Set(catalogue.all().map(({ name }) => name.split('.')[0] as string));
    for (const namespace of emitted) expect(RESERVED_NAMESPACES).toContain(namespace);
    for (const namespace of RESERVED_NAMESPACES) {
      expect([namespace, catalogue.isReserved(`${namespace}.thing`)]).toEqual([namespace, true]);
    }
  });

  it('stop a migration before it changes anything, each named with its tenant', async () => {
    await define('invoice.paid');
    await define('ordering.begun');
    await revertLast(database.ownerUrl);
    const clashing = [await define('member.of_the_month'), await define('audit.passed')];
    const env = { DATABASE_URL: database.serviceUrl, MIGRATION_DATABASE_URL: database.ownerUrl };
    const { code, stderr } = await runProcess(['migrate'], env);
    expect(code).toBe(1);
    expect(stderr).toContain(`tenant ${clashing[0]}: member.of_the_month`);
    expect(stderr).toContain(`tenant ${clashing[1]}: audit.passed`);
    expect(stderr).not.toMatch(/invoice\.paid|ordering\.begun/);
    expect((await runProcess(['migrate', 'verify'], env)).code).toBe(1);
    await database.sql(`delete from webhook_event_types where name = any ($1)`, [
      ['member.of_the_month', 'audit.passed'],
    ]);
    expect((await runProcess(['migrate'], env)).code).toBe(0);
  });

  it('are found by an owner that row-level security holds, which holds it afterwards', async () => {
    await define('tenant.moved');
    const [{ owner }] = (await database.sql<{ owner: string }>(
      `select tableowner as owner from pg_tables where tablename = 'webhook_event_types'`,
    )) as [{ owner: string }];
    const plain = 'plain_owner_of_types';
    await database.sql(`create role ${plain} login password 'plain'; grant connect on database ${database.name} to ${plain}; grant usage, create on schema public to ${plain};
      alter table webhook_event_types owner to ${plain}`);
    try {
      const url = withLogin(database.ownerUrl, plain, 'plain');
      await expect(assertNoReservedTypes(url)).rejects.toThrow('tenant.moved');
      const client = new Client({ connectionString: url });
      await client.connect();
      const { rows } = await client.query(`select 1 from webhook_event_types where name = 'tenant.moved'`);
      await client.end();
      expect(rows).toEqual([]);
    } finally {
      await database.sql(
        `alter table webhook_event_types owner to ${owner}; drop owned by ${plain}; drop role ${plain}`,
      );
    }
  });
});
