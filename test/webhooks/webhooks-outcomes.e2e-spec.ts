import { distributedForm } from '../../src/platform/database/sql/statement';
import { TenantDatabase } from '../../src/platform/database/tenant-database';
import { type Outcome, recordOutcomes } from '../../src/webhooks/sending/sending.queries';
import type { ApiClient } from '../harness/client';
import { createEndpoint } from '../harness/endpoints';
import { startService, type TestService } from '../harness/service';

const AT = new Date('2026-01-02T03:04:05.678Z');

const FORMS = [
  ['one statement', false],
  ['two statements, as Citus takes them', true],
] as const;

describe.each(FORMS)('outcomes of attempts, by %s', (_, isDistributed) => {
  let service: TestService;
  let tenant: ApiClient;
  let tenantId: string;
  let endpointId: string;
  let made = 0;

  beforeAll(async () => {
    service = await startService({ env: { WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8' } });
    tenant = await service.tenant();
    tenantId = (tenant.session as NonNullable<typeof tenant.session>).tenant.id;
    endpointId = (await createEndpoint(tenant, 'http://127.0.0.1:9999/')).id;
  });
  afterAll(() => service.stop());

  async function delivery(status: string, attemptCount = 0): Promise<string> {
    const id = `01a00000-0000-7000-8000-${String(++made).padStart(12, '0')}`;
    const waits = ['pending', 'retrying'].includes(status);
    await service.database.sql(
      `insert into deliveries (tenant_id, id, endpoint_id, event_id, event_type, status, attempt_count, tries,
                               next_attempt_at, created_at, completed_at)
       values ($1, $2, $3, $2, 'x.y', $4, $5, $5, $6, now(), $7)`,
      [tenantId, id, endpointId, status, attemptCount, waits ? AT : null, waits ? null : AT],
    );
    return id;
  }

  const outcome = (deliveryId: string, status: Outcome['status'], rest: Partial<Outcome> = {}): Outcome => ({
    deliveryId,
    endpointId,
    number: 1,
    status,
    nextAttemptAt: status === 'retrying' ? new Date(AT.getTime() + 60_000) : null,
    startedAt: AT,
    endedAt: new Date(AT.getTime() + 7),
    durationMs: 7,
    responseStatus: status === 'succeeded' ? 204 : 500,
    responseBody: null,
    error: status === 'succeeded' ? null : 'answered 500',
    ...rest,
  });

  const record = (...outcomes: Outcome[]) => {
    const recorded = recordOutcomes(tenantId, outcomes);
    return service.app.get(TenantDatabase, { strict: false }).transaction({ tenantId }, async (tx) => {
      if (!isDistributed) return tx.query<{ id: string }>(recorded);
      for (const statement of distributedForm([recorded])) await tx.query(statement);
      return undefined;
    });
  };

  async function written(id: string) {
    const [row] = await service.database.sql(
      `select d.status, d.attempt_count as count, d.next_attempt_at as next, d.completed_at as completed,
              (select array_agg(number order by number) from delivery_attempts a where a.delivery_id = d.id) as attempts
         from deliveries d where d.id = $1`,
      [id],
    );
    return row;
  }

  const ENDED = new Date(AT.getTime() + 7);
  const NEXT = new Date(AT.getTime() + 60_000);

  it.each([
    ['pending', 'succeeded', { status: 'succeeded', count: 1, next: null, completed: ENDED, attempts: [1] }],
    ['pending', 'retrying', { status: 'retrying', count: 1, next: NEXT, completed: null, attempts: [1] }],
    ['retrying', 'failed', { status: 'failed', count: 1, next: null, completed: ENDED, attempts: [1] }],
    // Ended while the request was under way: it stays so unless it arrived, and the attempt counts.
    ['disabled', 'retrying', { status: 'disabled', count: 1, next: null, completed: ENDED, attempts: [1] }],
    ['cancelled', 'succeeded', { status: 'succeeded', count: 1, next: null, completed: ENDED, attempts: [1] }],
    // Another worker has told of it.
    ['succeeded', 'failed', { status: 'succeeded', count: 0, next: null, completed: AT, attempts: null }],
    ['failed', 'succeeded', { status: 'failed', count: 0, next: null, completed: AT, attempts: null }],
  ] as const)('of one that is %s: %s', async (status, came, expected) => {
    const id = await delivery(status);
    await record(outcome(id, came));
    expect(await written(id)).toEqual(expected);
  });

  it('belong each to their own delivery, in any order and number', async () => {
    const ids = [];
    for (let i = 0; i < 100; i++) ids.push(await delivery('pending'));
    const outcomes = ids.map((id, i) =>
      outcome(id, i % 2 ? 'succeeded' : 'retrying', {
        responseStatus: 200 + i,
        durationMs: i,
        responseBody: i % 3 ? `b${i}` : null,
      }),
    );
    const changed = await record(...[...outcomes].reverse());
    expect(changed ?? ids).toHaveLength(100);
    const rows = await service.database.sql(
      `select a.delivery_id as id, a.response_status as answer, a.duration_ms as took, a.response_body as body, a.succeeded as ok, d.status
         from delivery_attempts a join deliveries d on d.id = a.delivery_id where d.id = any($1::uuid[]) order by a.response_status`,
      [ids],
    );
    expect(rows).toEqual(
      ids.map((id, i) => ({
        id,
        answer: 200 + i,
        took: i,
        body: i % 3 ? `b${i}` : null,
        ok: i % 2 === 1,
        status: i % 2 ? 'succeeded' : 'retrying',
      })),
    );
  });

  it('of two attempts of one delivery: the later counts, wherever the notified one already stands', async () => {
    const [first, second] = [await delivery('retrying', 1), await delivery('retrying', 1)];
    await record(
      outcome(first, 'failed', { number: 1 }),
      outcome(first, 'succeeded', { number: 2 }),
      outcome(second, 'succeeded', { number: 2 }),
      outcome(second, 'failed', { number: 1 }),
    );
    for (const id of [first, second]) {
      expect(await written(id)).toMatchObject({ status: 'succeeded', count: 2, attempts: [2] });
    }
  });

  it('are not delayed by an existing attempt', async () => {
    const [left, right] = [await delivery('pending'), await delivery('pending')];
    await service.database.sql(
      `insert into delivery_attempts select $1, $2, 1, $3, now(), 1, 500, null, 'left over', false`,
      [tenantId, left, endpointId],
    );
    await record(outcome(left, 'succeeded'), outcome(right, 'succeeded'));
    for (const id of [left, right])
      expect(await written(id)).toMatchObject({ status: 'succeeded', count: 1, attempts: [1] });
  });

  it('of a delivery whose event is gone: it cannot be requested again', async () => {
    const id = await delivery('failed');
    expect((await tenant.post(`/webhooks/deliveries/${id}/retry`)).status).toBe(404);
    const recovered = await tenant.post(`/webhooks/endpoints/${endpointId}/recover`, { since: '2020-01-01T00:00:00Z' });
    expect([recovered.status, recovered.body]).toEqual([202, { count: 0 }]);
    expect(await written(id)).toMatchObject({ status: 'failed', next: null });
  });
});
