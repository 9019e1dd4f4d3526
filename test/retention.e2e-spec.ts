import pino from 'pino';
import { loadConfig } from '../src/platform/config/config';
import { JanitorDatabase } from '../src/platform/database/role-databases';
import { Janitor } from '../src/webhooks/janitor';
import { createTestDatabase, type TestDatabase } from './harness/databases';
import { startService, type TestService } from './harness/service';
import { fillTenant } from './harness/tenant-rows';

const COUNTS = `select (select count(*)::int from sessions) as sessions,
                       (select count(*)::int from refresh_tokens) as refresh_tokens,
                       (select count(*)::int from idempotency_keys) as idempotency_keys,
                       (select count(*)::int from sign_in_failures) as sign_in_failures,
                       (select count(*)::int from events) as events,
                       (select count(*)::int from deliveries) as deliveries,
                       (select count(*)::int from delivery_attempts) as delivery_attempts`;

describe('the janitor', () => {
  let database: TestDatabase;
  let service: TestService;

  beforeAll(async () => {
    database = await createTestDatabase();
    // Without a worker, which would send what the rows below say is due.
    service = await startService({ database });
  });
  afterAll(async () => {
    await service?.stop();
    await database?.drop();
  });

  /** Two tenants with one row in each table, one of them long ago. */
  async function fill(): Promise<void> {
    for (const age of ['29 days', '31 days']) {
      const { tenantId } = await fillTenant(database);
      const expiry = age === '31 days' ? '- 1' : '+ 1';
      for (const table of ['sessions', 'idempotency_keys']) {
        await database.sql(
          `update ${table} set expires_at = now() ${expiry} * interval '1 minute' where tenant_id = $1`,
          [tenantId],
        );
      }
      await database.sql(`update events set created_at = now() - $2::interval where tenant_id = $1`, [tenantId, age]);
      await database.sql(
        `insert into sign_in_failures values ($1, 1, now(), null, now() ${expiry} * interval '1 minute')`,
        [age],
      );
    }
  }

  it('deletes of every tenant what has expired, with what belongs to it, and nothing else', async () => {
    await fill();
    const warnings: string[] = [];
    const logger = pino({ level: 'warn' }, { write: (line: string) => void warnings.push(line) });
    const config = loadConfig({ WEBHOOK_RETENTION_DAYS: '30' });
    await new Janitor(config, service.app.get(JanitorDatabase, { strict: false }), logger).run();
    expect(await database.sql(COUNTS)).toEqual([
      {
        sessions: 1,
        refresh_tokens: 1,
        idempotency_keys: 1,
        sign_in_failures: 1,
        events: 1,
        deliveries: 1,
        delivery_attempts: 1,
      },
    ]);
    expect(warnings).toEqual([]);
  });
});
