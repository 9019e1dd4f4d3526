import pino from 'pino';
import { loadConfig } from '../../src/platform/config/config';
import { ConnectionManager } from '../../src/platform/database/connections/connection-manager';
import { RetentionDatabase } from '../../src/platform/database/roles/retention-database';
import { firstIdAt } from '../../src/platform/ids/ids';
import { RETENTION } from '../../src/processes/tables';
import { RetentionJob } from '../../src/retention/retention-job';
import { createTestDatabase, type TestDatabase } from '../harness/databases';
import { startService, type TestService } from '../harness/service';
import { fillTenant } from '../harness/tenant-rows';

const DAY_MS = 24 * 60 * 60 * 1000;
const COUNTS = `select (select count(*)::int from sessions) as sessions,
                       (select count(*)::int from refresh_tokens) as refresh_tokens,
                       (select count(*)::int from idempotency_keys) as idempotency_keys,
                       (select count(*)::int from sign_in_failures) as sign_in_failures,
                       (select count(*)::int from events) as events,
                       (select count(*)::int from deliveries) as deliveries,
                       (select count(*)::int from delivery_attempts) as delivery_attempts`;

/** A busy machine takes longer for thousands of transactions than a run may. */
class PatientJob extends RetentionJob {
  protected override runMs = 600_000;
}

describe('the janitor', () => {
  let database: TestDatabase;
  let service: TestService;

  beforeAll(async () => {
    database = await createTestDatabase();
    // Without a worker, which would send the due rows below.
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

  /** One run, and its warnings. @param before runs before each of its transactions, by number */
  async function clean(before: (transaction: number) => unknown = () => undefined): Promise<string[]> {
    const warnings: string[] = [];
    const logger = pino({ level: 'warn' }, { write: (line: string) => void warnings.push(line) });
    const janitors = new RetentionDatabase(service.app.get(ConnectionManager, { strict: false }));
    let count = 0;
    const transaction: RetentionDatabase['transaction'] = async (work) => {
      await before(++count);
      return janitors.transaction(work);
    };
    const config = loadConfig({ WEBHOOK_RETENTION_DAYS: '30' });
    await new PatientJob(config, { transaction } as RetentionDatabase, logger, RETENTION).run(new Date());
    return warnings;
  }

  /** So many tenants with an event of long ago each, its delivery and an attempt; of each pair of rows one id. */
  async function fillMany(tenants: number): Promise<void> {
    const old = firstIdAt(Date.now() - 31 * DAY_MS).slice(0, 24);
    const id = `('${old}' || lpad(to_hex(n), 12, '0'))::uuid`;
    const from = `from generate_series(1, ${tenants}) n`;
    await database.sql(`insert into tenants (id, name, created_at) select ${id}, 'many', now() ${from}`);
    await database.sql(
      `insert into events (tenant_id, id, type, data, created_at)
         select ${id}, ${id}, 'x.y', '{}', now() - interval '31 days' ${from}`,
    );
    await database.sql(
      `insert into deliveries (tenant_id, id, endpoint_id, event_id, event_type, status, attempt_count, tries, created_at)
         select ${id}, ${id}, ${id}, ${id}, 'x.y', 'succeeded', 1, 1, now() ${from}`,
    );
    await database.sql(
      `insert into delivery_attempts select ${id}, ${id}, 1, ${id}, now(), 1, 204, null, null, true ${from}`,
    );
  }

  const leftOfMany = () =>
    database.sql<{ count: number }>(
      `select count(*)::int as count from tenants t where t.name = 'many' and (
         exists (select from events e where e.tenant_id = t.id) or exists (select from deliveries d where d.tenant_id = t.id)
           or exists (select from delivery_attempts a where a.tenant_id = t.id))`,
    );

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

  it('deletes texts of rotated API keys, and invitations a month after their end', async () => {
    const kept = async (table: string, tenantId: string) =>
      (await database.sql(`select 1 from ${table} where tenant_id = $1`, [tenantId])).length;
    for (const [days, left] of [
      [29, [1, 0]],
      [31, [0, 0]],
      [-1, [1, 1]],
    ] as const) {
      const { tenantId } = await fillTenant(database);
      for (const table of ['invitations', 'api_key_secrets']) {
        const end = new Date(Date.now() - days * DAY_MS);
        await database.sql(`update ${table} set expires_at = $2 where tenant_id = $1`, [tenantId, end]);
      }
      expect(await clean()).toEqual([]);
      expect([days, await kept('invitations', tenantId), await kept('api_key_secrets', tenantId)]).toEqual([
        days,
        ...left,
      ]);
      expect(await kept('api_keys', tenantId)).toBe(1);
    }
  });

  it('deletes more than a batch of what an event became, and the rest of an interrupted run', async () => {
    const { tenantId } = await fillTenant(database);
    const old = await makeOld(tenantId, 31);
    // An attempt each, and a delivery for every second: without a delivery, it was the first deleted one.
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

  it('leaves nothing behind where another one cleans at the same time', async () => {
    await fillMany(1_500);
    // Three other tables, the search, a thousand tenants' deliveries and attempts: the next is that of the events.
    const last = 3 + 1 + 2 * 1_000 + 1;
    let others: string[] = [];
    const warnings = await clean(async (transaction) => {
      if (transaction !== last) return;
      others = await clean((other) => {
        if (other > last) throw new Error('cut off after the same thousand');
      });
    });
    expect([warnings, others.length]).toEqual([[], 1]);
    expect(await leftOfMany()).toEqual([{ count: 0 }]);
  });

  it.each([4, 5, 6, 7, 50])('continues after an interruption at its transaction %i', async (last) => {
    await database.sql(`delete from tenants where name = 'many'`);
    await fillMany(40);
    const warnings = await clean((transaction) => {
      if (transaction >= last) throw new Error('cut off');
    });
    expect(warnings.map((line) => (JSON.parse(line) as { reason: string }).reason)).toEqual(['cut off']);
    expect(await leftOfMany()).not.toEqual([{ count: 0 }]);
    expect(await clean()).toEqual([]);
    expect(await leftOfMany()).toEqual([{ count: 0 }]);
  });

  it('has a rule for every table whose rows expire, or one of the reasons here', async () => {
    const KEPT: Readonly<Record<string, string>> = {
      api_keys: 'an expired key is listed until it is deleted, and can be given a later end',
      refresh_tokens: 'goes with its session',
      tenants: 'erased 30 days after it was closed, by src/tenants/erasure',
      users: 'erased when erase_at has come, by src/users/erasure.ts',
    };
    const found = await database.sql<{ table: string }>(
      `select distinct c.relname as table from pg_class c join pg_attribute a on a.attrelid = c.oid and not a.attisdropped
        where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
          and a.attname in ('expires_at', 'erase_at', 'closed_at') order by 1`,
    );
    const ruled = new Set(RETENTION.map(({ table }) => table));
    const expiring = found.map(({ table }) => table);
    expect(expiring.filter((table) => !ruled.has(table)).sort()).toEqual(Object.keys(KEPT).sort());
    expect(Object.keys(KEPT).filter((table) => ruled.has(table))).toEqual([]);
    // By the time in their ids, and by when they were made.
    expect([...ruled].filter((table) => !expiring.includes(table)).sort()).toEqual(['audit_log', 'events']);
  });

  it('goes by the database’s clock: a process that is 90 days ahead deletes nothing that is fresh', async () => {
    const { tenantId } = await fillTenant(database);
    await makeOld(tenantId, 1);
    const real = Date.now();
    jest.useFakeTimers({
      now: real + 90 * DAY_MS,
      doNotFake: [
        'nextTick',
        'setImmediate',
        'clearImmediate',
        'setTimeout',
        'clearTimeout',
        'setInterval',
        'clearInterval',
        'performance',
        'hrtime',
        'queueMicrotask',
      ],
    });
    try {
      const config = loadConfig({ WEBHOOK_RETENTION_DAYS: '30' });
      const janitors = new RetentionDatabase(service.app.get(ConnectionManager, { strict: false }));
      await new PatientJob(config, janitors, pino({ level: 'silent' }), RETENTION).run();
    } finally {
      jest.useRealTimers();
    }
    const left = 'select count(*)::int as events from events where tenant_id = $1';
    expect(await database.sql(left, [tenantId])).toEqual([{ events: 1 }]);
  });
});
