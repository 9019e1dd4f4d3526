import { randomUUID } from 'node:crypto';
import { Client } from 'pg';
import { listDeliveriesJson } from '../../../../src/webhooks/deliveries/deliveries.queries';
import { findEventJson, listEventsJson } from '../../../../src/webhooks/events/events.queries';
import type { Statement } from '../../../../src/platform/database/sql/statement';
import { createTestDatabase, type TestDatabase } from '../../../harness/databases';
import { explain } from '../../../harness/plans';
import { expectProblem } from '../../../harness/problems';
import { startService, type TestService } from '../../../harness/service';

describe('lists of a tenant with a long log', () => {
  const EVENTS = 300;
  const DELIVERIES_OF_EVENT = 200;
  const tenantId = randomUUID();
  let database: TestDatabase;
  let firstEvent: string;

  beforeAll(async () => {
    database = await createTestDatabase();
    await database.sql(`insert into tenants (id, name, created_at) values ($1, 'Acme', now())`, [tenantId]);
    await database.sql(
      `insert into events (tenant_id, id, type, data, created_at)
       select $1, ('00000000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid,
              case when i = 1 then 'rare.one' else 'common.one' end, '{}', now() from generate_series(1, $2::int) i`,
      [tenantId, EVENTS],
    );
    await database.sql(
      `insert into deliveries (tenant_id, id, endpoint_id, event_id, event_type, status, attempt_count, tries, created_at)
       select $1, gen_random_uuid(), gen_random_uuid(), e.id, e.type, case when i % 2 = 0 then 'filtered' else 'succeeded' end,
              0, 0, now()
         from events e, generate_series(1, $2::int) i where e.tenant_id = $1`,
      [tenantId, DELIVERIES_OF_EVENT],
    );
    await database.sql('analyze events');
    await database.sql('analyze deliveries');
    firstEvent = (
      (await database.sql<{ id: string }>('select id from events order by id limit 1'))[0] as { id: string }
    ).id;
  });
  afterAll(() => database.drop());

  const seen = async (statement: Statement): Promise<number> =>
    (await explain(database.serviceUrl, tenantId, statement)).rowsSeen;

  it.each([
    ['deliveries of a type', listDeliveriesJson(tenantId, { eventType: 'none.none' }, [], undefined, 21)],
    ['deliveries of a rare type', listDeliveriesJson(tenantId, { eventType: 'rare.one' }, [], undefined, 21)],
    ['deliveries of a status', listDeliveriesJson(tenantId, { status: 'failed' }, [], undefined, 21)],
    ['deliveries of an endpoint', listDeliveriesJson(tenantId, { endpointId: randomUUID() }, [], undefined, 21)],
    ['events of a type', listEventsJson(tenantId, 'none.none', [], undefined, 21)],
    ['events of a rare type', listEventsJson(tenantId, 'rare.one', [], undefined, 21)],
  ])('of %s read what they show', async (_, statement) => {
    expect(await seen(statement)).toBeLessThanOrEqual(500);
  });

  it('show the first deliveries of an event without sorting all of them', async () => {
    expect(await seen(findEventJson(tenantId, firstEvent))).toBeLessThanOrEqual(101);
  });
});

describe('costly lists of one tenant', () => {
  let service: TestService;

  beforeAll(async () => {
    service = await startService({ env: { DB_POOL_SIZE: '16', DB_LIST_TIMEOUT: '5s', DB_STATEMENT_TIMEOUT: '60s' } });
  });
  afterAll(() => service.stop());

  it('leave connections to others, and end by the timeout of lists', async () => {
    const greedy = await service.tenant();
    const other = await service.tenant();
    const order = await other.createOrder();
    const lock = new Client({ connectionString: service.database.ownerUrl });
    await lock.connect();
    try {
      // Every list of deliveries waits for this as it would for a long scan.
      await lock.query('begin; lock table deliveries in access exclusive mode');
      let ended = 0;
      const lists = Array.from({ length: 30 }, () => greedy.get('/webhooks/deliveries').finally(() => ended++));
      await new Promise((resolve) => setTimeout(resolve, 200));
      for (let i = 0; i < 5; i++) {
        const changed = await other.patch(`/orders/${order.id as string}`, { notes: `note ${i}` });
        expect(changed.status).toBe(200);
      }
      expect(ended).toBe(0);
      // By the timeout of lists: that of other statements is longer than the one of this test.
      expectProblem(await (lists[0] as (typeof lists)[0]), 'unavailable');
      await lock.query('rollback');
      await Promise.all(lists);
    } finally {
      await lock.end();
    }
  });
});
