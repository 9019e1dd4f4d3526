import { randomUUID } from 'node:crypto';
import { nextEvents } from '../../src/platform/outbox/relay';
import type { Statement } from '../../src/platform/database/sql/statement';
import { findDeliveryJson, lockDelivery } from '../../src/webhooks/deliveries/deliveries.queries';
import { findRequested, readWaiting } from '../../src/webhooks/dispatch/dispatch.queries';
import { findToSend, type Outcome, recordOutcomes } from '../../src/webhooks/sending/sending.queries';
import { createTestDatabase, type TestDatabase } from '../harness/databases';
import { customPlans, explain } from '../harness/plans';

const DELIVERIES = 4_000;
const TURN = 32;

/**
 * A burst of a tenant comes faster than PostgreSQL counts its rows. It then expects a few rows, and may prefer to read
 * all deliveries of the tenant for each turn.
 */
describe('the deliveries of a burst that the statistics do not know', () => {
  const tenantId = randomUUID();
  const endpointId = randomUUID();
  let database: TestDatabase;
  let ids: string[];

  beforeAll(async () => {
    database = await createTestDatabase();
    await database.sql('alter table deliveries set (autovacuum_enabled = off)');
    await database.sql('analyze deliveries');
    await database.sql(`insert into tenants (id, name, created_at) values ($1, 'Acme', now())`, [tenantId]);
    await database.sql(
      `with event as (
         insert into events (tenant_id, id, type, aggregate_id, sequence, data, created_at)
         select $1, gen_random_uuid(), 'a.b', gen_random_uuid(), 1, '{}', now() from generate_series(1, $3::int)
         returning *
       )
       insert into deliveries (tenant_id, id, endpoint_id, event_id, event_type, aggregate_id, sequence, status,
                               attempt_count, tries, next_attempt_at, created_at)
       select $1, gen_random_uuid(), $2, id, 'a.b', aggregate_id, sequence, 'pending', 0, 0, now(), now() from event`,
      [tenantId, endpointId, DELIVERIES],
    );
    const rows = await database.sql<{ id: string }>(`select id from deliveries order by id desc limit ${TURN}`);
    ids = rows.map(({ id }) => id);
  });
  afterAll(() => database.drop());

  const outcome = (deliveryId: string): Outcome => ({
    deliveryId,
    endpointId,
    number: 1,
    status: 'succeeded',
    nextAttemptAt: null,
    startedAt: new Date(),
    endedAt: new Date(),
    durationMs: 1,
    responseStatus: 204,
    responseBody: null,
    error: null,
  });

  it.each<[string, () => Statement]>([
    ['read to be sent', () => findToSend(tenantId, ids, new Date(), new Date())],
    ['recorded', () => recordOutcomes(tenantId, ids.map(outcome))],
    ['shown', () => findDeliveryJson(tenantId, ids[0] as string)],
    ['locked', () => lockDelivery(tenantId, ids[0] as string)],
    ['requested', () => findRequested(tenantId, ids[0] as string)],
  ])('are found by their keys when they are %s', async (_, statement) => {
    const plan = await explain(database.serviceUrl, tenantId, statement());
    expect(plan.indexes.filter((name) => name.startsWith('deliveries'))).toEqual(['deliveries_pkey']);
    expect(plan.rowsSeen).toBeLessThanOrEqual(TURN);
  });

  // Planning takes longer than the statement itself. PostgreSQL plans the first five executions in any case.
  it.each<[string, (ids: string[]) => Statement]>([
    ['read to be sent', (some) => findToSend(tenantId, some, new Date(), new Date())],
    ['recorded', (some) => recordOutcomes(tenantId, some.map(outcome))],
  ])('are %s without a new plan for each turn', async (_, statement) => {
    for (const size of [1, 3, TURN]) {
      expect(await customPlans(database.serviceUrl, tenantId, statement(ids.slice(0, size)), 12)).toBe(5);
    }
  });

  it.each([
    ['time', false, 'deliveries_due_idx'],
    ['aggregate', true, 'deliveries_due_idx'],
  ])('are read in the order of their %s without the rest', async (_, ordered, index) => {
    const plan = await explain(
      database.serviceUrl,
      tenantId,
      readWaiting(tenantId, endpointId, 'pending', ordered, TURN),
    );
    expect(plan.indexes).toContain(index);
    expect(plan.rowsSeen).toBeLessThanOrEqual(TURN);
  });
});

describe('what a burst needs besides, and the statistics do not know', () => {
  const tenantId = randomUUID();
  let database: TestDatabase;

  beforeAll(async () => {
    database = await createTestDatabase();
    await database.sql('alter table outbox set (autovacuum_enabled = off)');
    await database.sql('alter table webhook_endpoints set (autovacuum_enabled = off)');
    await database.sql('analyze outbox, webhook_endpoints');
    await database.sql(`insert into tenants (id, name, created_at) values ($1, 'Acme', now())`, [tenantId]);
    await database.sql(
      `with event as (
         insert into events (tenant_id, id, type, data, created_at)
         select $1, gen_random_uuid(), 'a.b', '{}', now() from generate_series(1, $2::int) returning *
       ), left_behind as (
         insert into outbox (tenant_id, event_id) select tenant_id, id from event
       ), endpoint as (
         insert into webhook_endpoints (tenant_id, id, url, event_types, headers, secret, signature, enabled, ordering,
                                        version, created_at, updated_at)
         select $1, id, 'https://example.com', '{*}', '{}', 'encrypted', 'v1', true, 'none', 1, now(), now()
           from event limit ${2 * TURN} returning *
       )
       insert into deliveries (tenant_id, id, endpoint_id, event_id, event_type, status, attempt_count, tries,
                               next_attempt_at, created_at)
       select $1, gen_random_uuid(), id, id, 'a.b', 'pending', 0, 0, now(), now() from endpoint`,
      [tenantId, DELIVERIES],
    );
  });
  afterAll(() => database.drop());

  it('are the first events of the outbox, without the rest', async () => {
    const plan = await explain(database.serviceUrl, tenantId, nextEvents(tenantId, TURN));
    expect(plan.rowsSeen).toBeLessThanOrEqual(TURN);
  });

  it('are the endpoints of a turn, without the others', async () => {
    const rows = await database.sql<{ id: string }>(`select id from deliveries order by id limit ${TURN}`);
    const ids = rows.map(({ id }) => id);
    const plan = await explain(database.serviceUrl, tenantId, findToSend(tenantId, ids, new Date(), new Date()));
    expect(plan.indexes).toContain('webhook_endpoints_pkey');
    expect(plan.rowsSeen).toBeLessThanOrEqual(TURN);
  });
});
