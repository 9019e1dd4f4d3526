import { randomUUID } from 'node:crypto';
import type { ApiClient } from '../harness/client';
import { expectProblem, faultsOf } from '../harness/problems';
import { startService, type TestService } from '../harness/service';
import { makeEndpoint, seedDeliveries } from '../harness/webhooks';

const MINUTES_AGO = (minutes: number) => new Date(Date.now() - minutes * 60_000);

describe('webhook deliveries', () => {
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
  const bad = { succeeded: false, durationMs: 900, body: 'no' };
  const rowOf = async (id: string) =>
    (await service.database.sql('select * from deliveries where id = $1', [id]))[0] as Record<string, unknown>;

  describe('the log', () => {
    it('shows a delivery with its attempts', async () => {
      const { id: endpointId } = await makeEndpoint(tenant);
      const createdAt = MINUTES_AGO(10);
      const [id] = await seed(endpointId, { status: 'succeeded', attempts: [bad, ok], createdAt });
      const response = await tenant.get(`/webhooks/deliveries/${id}`);
      expect(response.status).toBe(200);
      const time = createdAt.toISOString();
      expect(response.body).toEqual({
        id,
        endpoint_id: endpointId,
        event_id: expect.any(String),
        event_type: 'order.created',
        status: 'succeeded',
        attempt_count: 2,
        next_attempt_at: null,
        created_at: time,
        completed_at: time,
        attempts: [
          {
            number: 1,
            started_at: time,
            duration_ms: 900,
            response_status: 500,
            response_body: 'no',
            error: 'answered 500',
          },
          { number: 2, started_at: time, duration_ms: 12, response_status: 200, response_body: 'ok', error: null },
        ],
      });
      const etag = response.headers.get('etag') as string;
      expect((await tenant.get(`/webhooks/deliveries/${id}`, { 'if-none-match': etag })).status).toBe(304);
    });

    it('shows the last hundred attempts of more', async () => {
      const { id: endpointId } = await makeEndpoint(tenant);
      const [id] = await seed(endpointId, { status: 'failed' });
      await service.database.sql(
        `insert into delivery_attempts select $1, $2, n, $3, now(), 1, 500, null, 'x', false from generate_series(1, 130) n`,
        [tenant.tenantId, id, endpointId],
      );
      const { attempts } = (await tenant.get(`/webhooks/deliveries/${id}`)).body;
      expect(attempts.map((attempt: { number: number }) => attempt.number)).toEqual(
        Array.from({ length: 100 }, (_, at) => at + 31),
      );
    });

    it('filters, and pages by cursor', async () => {
      const [one, two] = [(await makeEndpoint(tenant)).id, (await makeEndpoint(tenant)).id];
      const ids = await seed(
        one,
        ...['failed', 'pending', 'failed', 'succeeded', 'failed'].map((status, at) => ({
          status,
          type: at === 4 ? 'a.b' : 'order.created',
          createdAt: MINUTES_AGO(20 - at),
        })),
      );
      const [foreign] = await seed(two, { status: 'failed', type: 'a.b' });
      const list = async (query: string) =>
        (await tenant.get(`/webhooks/deliveries?${query}`)).body.data.map((delivery: { id: string }) => delivery.id);
      expect(await list(`endpoint_id=${one}`)).toEqual([...ids].reverse());
      expect(await list(`endpoint_id=${one}&status=failed`)).toEqual([ids[4], ids[2], ids[0]]);
      expect(await list(`endpoint_id=${one.toUpperCase()}&event_type=a.b`)).toEqual([ids[4]]);
      expect(await list(`event_type=a.b&status=failed`)).toEqual([foreign, ids[4]]);
      const { event_id: eventId } = (await tenant.get(`/webhooks/deliveries/${ids[1]}`)).body;
      expect(await list(`event_id=${eventId}`)).toEqual([ids[1]]);

      const seen: string[] = [];
      let cursor: string | null = '';
      while (cursor !== null) {
        const query: string = cursor && `&cursor=${cursor}`;
        const page = (await tenant.get(`/webhooks/deliveries?endpoint_id=${one}&limit=2${query}`)).body;
        seen.push(...page.data.map((delivery: { id: string }) => delivery.id));
        cursor = page.next_cursor;
      }
      expect(seen).toEqual([...ids].reverse());
      const first = (await tenant.get(`/webhooks/deliveries?endpoint_id=${one}&limit=2`)).body.next_cursor;
      expectProblem(await tenant.get(`/webhooks/deliveries?endpoint_id=${two}&cursor=${first}`), 'invalid_cursor');
      expect(
        faultsOf(await tenant.get('/webhooks/deliveries?status=lost&endpoint_id=1&event_id=x&limit=0&since=1')),
      ).toEqual(['endpoint_id: uuid', 'event_id: uuid', 'limit: min', 'since: unknown_field', 'status: is_in']);
    });

    it.each(['not-an-id', randomUUID()])('responds with 404 for %s', async (id) => {
      for (const response of [
        await tenant.get(`/webhooks/deliveries/${id}`),
        await tenant.post(`/webhooks/deliveries/${id}/retry`),
      ]) {
        expect(expectProblem(response, 'not_found').detail).toBe(`Delivery '${id}' not found`);
      }
    });
  });

  describe('retrying', () => {
    it.each([
      ['pending', 0, 'pending'],
      ['retrying', 2, 'retrying'],
      ['failed', 3, 'retrying'],
      ['succeeded', 1, 'retrying'],
      ['disabled', 0, 'pending'],
    ])('makes one that is %s after %i attempts due now', async (status, attempts, then) => {
      const { id: endpointId } = await makeEndpoint(tenant);
      const [id] = await seed(endpointId, { status, attempts: Array(attempts).fill(bad), createdAt: MINUTES_AGO(60) });
      const response = await tenant.post(`/webhooks/deliveries/${id}/retry`);
      expect(response.status).toBe(202);
      expect(response.body).toMatchObject({ id, status: then, attempt_count: attempts, completed_at: null });
      expect(Math.abs(Date.parse(response.body.next_attempt_at) - Date.now())).toBeLessThan(5_000);
      const row = await rowOf(id as string);
      expect(row).toMatchObject({ tries: 0, requested_at: row.next_attempt_at });
      const { attempts: kept, ...shown } = (await tenant.get(`/webhooks/deliveries/${id}`)).body;
      expect([kept.length, shown]).toEqual([attempts, response.body]);
    });

    it('responds with 409 without an enabled endpoint', async () => {
      const { id: endpointId } = await makeEndpoint(tenant);
      const [failed, filtered, cancelled] = await seed(
        endpointId,
        ...['failed', 'filtered', 'cancelled'].map((status) => ({ status })),
      );
      const refusal = async (id: string | undefined) =>
        expectProblem(await tenant.post(`/webhooks/deliveries/${id}/retry`), 'conflict').detail;
      expect(await refusal(filtered)).toMatch(/does not subscribe to events of this type/);
      expect(await refusal(cancelled)).toBe('The delivery was cancelled.');
      await tenant.patch(`/webhooks/endpoints/${endpointId}`, { enabled: false });
      expect(await refusal(failed)).toBe(`The endpoint '${endpointId}' is disabled: enable it first.`);
      await tenant.delete(`/webhooks/endpoints/${endpointId}`);
      expect(await refusal(failed)).toBe(`The endpoint '${endpointId}' of this delivery is gone.`);
      expect(await rowOf(failed as string)).toMatchObject({ status: 'failed', next_attempt_at: null });
    });

    it('takes no body', async () => {
      const { id: endpointId } = await makeEndpoint(tenant);
      const [id] = await seed(endpointId, { status: 'failed' });
      expect(faultsOf(await tenant.post(`/webhooks/deliveries/${id}/retry`, { now: true }))).toEqual([
        'now: unknown_field',
      ]);
      expect((await tenant.post(`/webhooks/deliveries/${id}/retry`, {})).status).toBe(202);
    });
  });

  describe('testing', () => {
    it('sends webhook.test to one endpoint, whatever it subscribes to, enabled or not', async () => {
      const endpoint = await makeEndpoint(tenant, { enabled: false, headers: { Authorization: 'Bearer mine' } });
      const response = await tenant.post(`/webhooks/endpoints/${endpoint.id}/test`);
      expect(response.status).toBe(202);
      const { id, event_id: eventId } = response.body;
      expect(response.body).toMatchObject({ endpoint_id: endpoint.id, event_type: 'webhook.test', status: 'pending' });
      expect(await rowOf(id)).toMatchObject({ tries: 0, attempt_count: 0, requested_at: expect.any(Date) });
      const { attempts, ...shown } = (await tenant.get(`/webhooks/deliveries/${id}`)).body;
      expect([attempts, shown]).toEqual([[], response.body]);
      const event = (await tenant.get(`/webhooks/events/${eventId}`)).body;
      const { secret: _, ...data } = endpoint;
      expect(event).toMatchObject({ type: 'webhook.test', data: { ...data, headers: { Authorization: '***' } } });
      expect(event.deliveries).toEqual([response.body]);
      const outbox = await service.database.sql('select endpoint_id from outbox where event_id = $1', [eventId]);
      expect(outbox).toEqual([{ endpoint_id: endpoint.id }]);
    });

    it('sends once under an Idempotency-Key, and takes no body', async () => {
      const { id } = await makeEndpoint(tenant);
      const key = { 'idempotency-key': randomUUID() };
      const responses = [1, 2].map(() => tenant.post(`/webhooks/endpoints/${id}/test`, undefined, key));
      await Promise.all(responses);
      const again = await tenant.post(`/webhooks/endpoints/${id}/test`, undefined, key);
      expect(again.headers.get('idempotency-replayed')).toBe('true');
      expect((await tenant.get(`/webhooks/deliveries?endpoint_id=${id}`)).body.data).toHaveLength(1);
      expect(faultsOf(await tenant.post(`/webhooks/endpoints/${id}/test`, { a: 1 }))).toEqual(['a: unknown_field']);
    });

    it('responds with 404 for an endpoint that is not there', async () => {
      const id = randomUUID();
      const problem = expectProblem(await tenant.post(`/webhooks/endpoints/${id}/test`), 'not_found');
      expect(problem.detail).toBe(`Endpoint '${id}' not found`);
    });
  });
});
