import pino from 'pino';
import { loadConfig } from '../src/platform/config/config';
import { JanitorDatabase } from '../src/platform/database/role-databases';
import { firstIdAt } from '../src/platform/ids';
import { Janitor } from '../src/webhooks/janitor';
import { createTestDatabase, type TestDatabase } from './harness/databases';
import { startService, type TestService } from './harness/service';
import { fillTenant } from './harness/tenant-rows';

const DAY_MS = 24 * 60 * 60 * 1000;
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
    for (const days of [29, 31]) {
      const { tenantId } = await fillTenant(database);
      const expiry = days === 31 ? '- 1' : '+ 1';
      for (const table of ['sessions', 'idempotency_keys']) {
        await database.sql(
          `update ${table} set expires_at = now() ${expiry} * interval '1 minute' where tenant_id = $1`,
          [tenantId],
        );
      }
      await makeOld(tenantId, days);
      await database.sql(
        `insert into sign_in_failures values ($1, 1, now(), null, now() ${expiry} * interval '1 minute')`,
        [`${days}`],
      );
    }
  }

  /** Gives the tenant's one event, its delivery and its attempt the ids and the time that they would have had. */
  async function makeOld(tenantId: string, days: number): Promise<string> {
    const at = new Date(Date.now() - days * DAY_MS);
    const id = firstIdAt(at.getTime());
    await database.sql('update events set id = $2, created_at = $3 where tenant_id = $1', [tenantId, id, at]);
    await database.sql('update deliveries set id = $2, event_id = $2 where tenant_id = $1', [tenantId, id]);
    await database.sql('update delivery_attempts set delivery_id = $2 where tenant_id = $1', [tenantId, id]);
    return id;
  }

  async function clean(): Promise<string[]> {
    const warnings: string[] = [];
    const logger = pino({ level: 'warn' }, { write: (line: string) => void warnings.push(line) });
    const config = loadConfig({ WEBHOOK_RETENTION_DAYS: '30' });
    await new Janitor(config, service.app.get(JanitorDatabase, { strict: false }), logger).run();
    return warnings;
  }

  it('deletes of every tenant what has expired, with what belongs to it, and nothing else', async () => {
    await fill();
    expect(await clean()).toEqual([]);
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
  });

  it('deletes more than a batch of what an event became, and what was left by one who was cut off', async () => {
    const { tenantId } = await fillTenant(database);
    const old = await makeOld(tenantId, 31);
    // An attempt each, and a delivery for every second: of those that have none it was the first that was deleted.
    await database.sql(
      `insert into delivery_attempts
         select $1, (left($2, 24) || lpad(to_hex(n), 12, '0'))::uuid, 1, $1, now(), 1, 204, null, null, true
           from generate_series(1, 2500) n`,
      [tenantId, old],
    );
    await database.sql(
      `insert into deliveries (tenant_id, id, endpoint_id, event_id, event_type, status, attempt_count, tries, created_at)
         select tenant_id, delivery_id, tenant_id, $2, 'x.y', 'succeeded', 1, 1, now() from delivery_attempts
          where tenant_id = $1 and delivery_id <> $2 and right(delivery_id::text, 1) < '8'`,
      [tenantId, old],
    );
    const young = firstIdAt(Date.now() - 29 * DAY_MS);
    await database.sql(
      `insert into deliveries (tenant_id, id, endpoint_id, event_id, event_type, status, attempt_count, tries, created_at)
       values ($1, $2, $1, $2, 'x.y', 'succeeded', 1, 1, now())`,
      [tenantId, young],
    );
    expect(await clean()).toEqual([]);
    expect(await database.sql('select id from deliveries where tenant_id = $1', [tenantId])).toEqual([{ id: young }]);
    expect(await database.sql('select 1 from delivery_attempts where tenant_id = $1', [tenantId])).toEqual([]);
    expect(await database.sql('select 1 from events where tenant_id = $1', [tenantId])).toEqual([]);
  });
});
