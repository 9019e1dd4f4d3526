import { randomUUID } from 'node:crypto';
import type { ApiClient } from '../harness/client';
import { expectProblem, faultsOf } from '../harness/problems';
import { startService, type TestService } from '../harness/service';
import { makeEndpoint, seedDeliveries } from '../harness/webhooks';

const HOUR = 3_600_000;
const MINUTES_AGO = (minutes: number) => new Date(Date.now() - minutes * 60_000);

describe('missed deliveries of an endpoint', () => {
  let service: TestService;
  let tenant: ApiClient;

  beforeAll(async () => {
    service = await startService();
    tenant = await service.tenant();
  });
  afterAll(() => service.stop());

  const seed = (endpointId: string, ...seeds: Parameters<typeof seedDeliveries>[3]) =>
    seedDeliveries(service.database, tenant.tenantId, endpointId, seeds);
  const ok = { succeeded: true, durationMs: 12 };
  const bad = { succeeded: false, durationMs: 900 };
  // One after the other: the superuser's client is one connection.
  const rowsOf = async (ids: readonly string[]) => {
    const rows: Record<string, unknown>[] = [];
    for (const id of ids) rows.push(...(await service.database.sql('select * from deliveries where id = $1', [id])));
    return rows;
  };

  describe('recovering', () => {
    const recover = (id: string, body: unknown) => tenant.post(`/webhooks/endpoints/${id}/recover`, body);

    it('makes due again what failed or was kept in that time, and nothing else', async () => {
      const [{ id }, { id: other }] = [await makeEndpoint(tenant), await makeEndpoint(tenant)];
      const [since, until] = [MINUTES_AGO(60), MINUTES_AGO(30)];
      const at = (time: Date, milliseconds = 0) => new Date(time.getTime() + milliseconds);
      const recovered = await seed(
        id,
        { status: 'failed', attempts: [bad, bad], createdAt: at(since) },
        { status: 'disabled', createdAt: at(since, 1) },
        { status: 'disabled', attempts: [bad], createdAt: at(until, -1) },
      );
      const left = await seed(
        id,
        { status: 'failed', createdAt: at(since, -1) },
        { status: 'failed', createdAt: at(until) },
        ...['succeeded', 'filtered', 'cancelled'].map((status) => ({ status, createdAt: at(since, 5) })),
      );
      left.push(...(await seed(other, { status: 'failed', createdAt: at(since, 5) })));
      const before = await rowsOf(left);

      const range = { since: since.toISOString(), until: until.toISOString() };
      const response = await recover(id, range);
      expect([response.status, response.body]).toEqual([202, { count: 3 }]);
      const rows = await rowsOf(recovered);
      expect(rows.map((row) => [row.status, row.attempt_count, row.tries, row.requested_at, row.completed_at])).toEqual(
        [
          ['retrying', 2, 0, null, null],
          ['pending', 0, 0, null, null],
          ['retrying', 1, 0, null, null],
        ],
      );
      for (const row of rows) {
        expect(Math.abs((row.next_attempt_at as Date).getTime() - Date.now())).toBeLessThan(5_000);
      }
      expect(await rowsOf(left)).toEqual(before);
      expect((await recover(id, range)).body).toEqual({ count: 0 });
      expect((await recover(id, { since: '0001-01-01T00:00:00Z' })).body).toEqual({ count: 2 });
    });

    it('goes through as many as there are, in batches', async () => {
      const { id } = await makeEndpoint(tenant);
      await seed(id, { status: 'failed', createdAt: MINUTES_AGO(5) });
      await service.database.sql(
        `insert into deliveries (tenant_id, id, endpoint_id, event_id, event_type, status, attempt_count, tries,
                                 created_at, completed_at)
         select tenant_id, (substr(id::text, 1, 13) || '-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, endpoint_id,
                event_id, event_type, status, 1, 1, created_at, completed_at
           from deliveries, generate_series(1, 10000) n where endpoint_id = $1`,
        [id],
      );
      expect((await recover(id, { since: MINUTES_AGO(10).toISOString() })).body).toEqual({ count: 10_001 });
      expect((await tenant.get(`/webhooks/deliveries?endpoint_id=${id}&status=failed`)).body.data).toEqual([]);
    });

    it('responds with 409 while the endpoint is disabled, and 422 for a time that is none', async () => {
      const { id } = await makeEndpoint(tenant, { enabled: false });
      const since = MINUTES_AGO(5).toISOString();
      expectProblem(await recover(id, { since }), 'conflict');
      expect(faultsOf(await recover(id, {}))).toEqual(['since: required']);
      expect(faultsOf(await recover(id, { since: 'today', until: 5, all: true }))).toEqual([
        'all: unknown_field',
        'since: time',
        'until: time',
      ]);
      expect(faultsOf(await recover(id, { since, until: since }))).toEqual(['until: after']);
      expectProblem(await recover(id, undefined), 'malformed_request');
      expectProblem(await recover(randomUUID(), { since }), 'not_found');
    });
  });

  describe('stats', () => {
    const stats = (id: string, query = '') => tenant.get(`/webhooks/endpoints/${id}/stats${query}`);

    it('counts the attempts of this hour and the 23 before it', async () => {
      const [{ id }, { id: other }] = [await makeEndpoint(tenant), await makeEndpoint(tenant)];
      const thisHour = Math.floor(Date.now() / HOUR) * HOUR;
      const during = (hoursAgo: number, attempt: object) => ({
        ...(attempt as typeof ok),
        startedAt: new Date(thisHour - hoursAgo * HOUR),
      });
      await seed(
        id,
        { status: 'succeeded', attempts: [during(2, bad), during(2, ok), during(0, ok)] },
        { status: 'failed', attempts: [during(24, bad), during(2, { ...bad, durationMs: 1000 })] },
      );
      await seed(other, { status: 'succeeded', attempts: [during(2, ok)] });
      const { data } = (await stats(id)).body;
      expect(data).toHaveLength(24);
      const none = { succeeded: 0, failed: 0, attempts: 0, latency_ms: { p50: null, p95: null, p99: null } };
      expect(data[0]).toEqual({ hour: new Date(thisHour - 23 * HOUR).toISOString(), ...none });
      expect(data[21]).toEqual({
        hour: new Date(thisHour - 2 * HOUR).toISOString(),
        succeeded: 1,
        failed: 2,
        attempts: 3,
        latency_ms: { p50: 900, p95: 1000, p99: 1000 },
      });
      expect(data[23]).toMatchObject({
        succeeded: 1,
        failed: 0,
        attempts: 1,
        latency_ms: { p50: 12, p95: 12, p99: 12 },
      });
      const sum = data.reduce((total: number, hour: { attempts: number }) => total + hour.attempts, 0);
      expect(sum).toBe(4);

      const from = new Date(thisHour - 24 * HOUR + 30 * 60_000).toISOString();
      const to = new Date(thisHour - 23 * HOUR).toISOString();
      const { data: asked } = (await stats(id, `?since=${from}&until=${to}`)).body;
      expect(asked).toMatchObject([{ hour: new Date(thisHour - 24 * HOUR).toISOString(), failed: 1 }]);
    });

    it('covers at most 31 days', async () => {
      const { id } = await makeEndpoint(tenant);
      const month = '?since=2026-01-01T00:00:00Z&until=2026-02-01T00:00:00Z';
      expect((await stats(id, month)).body.data).toHaveLength(31 * 24);
      expect(faultsOf(await stats(id, month.replace('02-01', '02-02')))).toEqual(['since: max_range']);
      expect(faultsOf(await stats(id, '?since=2020-01-01T00:00:00Z'))).toEqual(['since: max_range']);
      expect(faultsOf(await stats(id, '?since=2026-02-01T00:00:00Z&until=2026-01-01T00:00:00Z'))).toEqual([
        'until: after',
      ]);
      expect(faultsOf(await stats(id, '?since=now&days=3'))).toEqual(['days: unknown_field', 'since: time']);
      expectProblem(await stats(randomUUID()), 'not_found');
    });
  });
});
