import { randomUUID } from 'node:crypto';
import { admin, adminJson } from '../harness/admin';
import type { ApiClient } from '../harness/client';
import { contentsOf } from '../harness/contents';
import { createTestDatabase, type TestDatabase } from '../harness/databases';
import { createEndpoint } from '../harness/endpoints';
import { startReceiver } from '../harness/receiver';
import { startService, type TestService } from '../harness/service';
import { fillTenant } from '../harness/tenant-rows';
import { makeEndpoint, seedDeliveries } from '../harness/webhooks';
import { startWorker } from '../harness/worker';

const MINUTES_AGO = (minutes: number) => new Date(Date.now() - minutes * 60_000);
const OK = { succeeded: true, durationMs: 12 };
const BAD = { succeeded: false, durationMs: 900 };

describe('the operator’s commands for deliveries', () => {
  let service: TestService;
  let database: TestDatabase;
  let tenant: ApiClient;
  let other: ApiClient;

  beforeAll(async () => {
    service = await startService();
    database = service.database;
    tenant = await service.tenant();
    other = await service.tenant();
  });
  afterAll(() => service.stop());

  const of = (whose: ApiClient) => ['--tenant', whose.tenantId];
  const seed = (endpointId: string, ...seeds: Parameters<typeof seedDeliveries>[3]) =>
    seedDeliveries(database, tenant.tenantId, endpointId, seeds);
  const disable = (id: string) => tenant.patch(`/webhooks/endpoints/${id}`, { enabled: false });
  const statusOf = async (id: string) => (await tenant.get(`/webhooks/deliveries/${id}`)).body.status as string;

  /** Makes a dry run, and checks that nothing has changed. */
  async function dry(args: string[]) {
    const before = await contentsOf(database);
    const response = await admin(database, [...args, '--dry-run']);
    expect(await contentsOf(database)).toEqual(before);
    return response;
  }

  describe('retry', () => {
    it('makes a delivery due now, also one that has succeeded', async () => {
      const { id: endpoint } = await makeEndpoint(tenant);
      const [id = ''] = await seed(endpoint, { status: 'succeeded', attempts: [OK] });
      const args = ['retry', id, ...of(tenant)];
      expect((await dry(args)).lines).toEqual([`would send ${id} (succeeded) again to endpoint ${endpoint}`]);
      expect((await admin(database, args)).lines).toEqual([`${id} is due now, to endpoint ${endpoint}`]);
      expect(await statusOf(id)).toBe('retrying');
      expect(await adminJson(database, args)).toMatchObject({ id, endpoint_id: endpoint, status: 'retrying' });
    });

    it('refuses one that is not there, is another tenant’s, or has no endpoint, dry as well', async () => {
      const { id: endpoint } = await makeEndpoint(tenant);
      const [id = ''] = await seed(endpoint, { status: 'failed', attempts: [BAD] });
      await disable(endpoint);
      for (const flags of [[], ['--dry-run']]) {
        const run = (...args: string[]) => admin(database, ['retry', ...args, ...flags]);
        await expect(run(randomUUID(), ...of(tenant))).rejects.toMatchObject({ code: 'not_found' });
        await expect(run(id, ...of(other))).rejects.toMatchObject({ code: 'not_found' });
        await expect(run(id, ...of(tenant))).rejects.toMatchObject({ code: 'conflict' });
      }
      expect(await statusOf(id)).toBe('failed');
    });
  });

  describe('replay', () => {
    it('makes due what an endpoint missed in a time', async () => {
      const { id: endpoint } = await makeEndpoint(tenant);
      const [failed = '', kept = '', early = '', fine = ''] = await seed(
        endpoint,
        { status: 'failed', attempts: [BAD], createdAt: MINUTES_AGO(30) },
        { status: 'disabled', createdAt: MINUTES_AGO(29) },
        { status: 'failed', attempts: [BAD], createdAt: MINUTES_AGO(90) },
        { status: 'succeeded', attempts: [OK], createdAt: MINUTES_AGO(30) },
      );
      const args = ['replay', ...of(tenant), '--endpoint', endpoint, '--since', MINUTES_AGO(60).toISOString()];
      expect((await dry(args)).lines).toEqual(['would send 2 deliveries again']);
      expect((await admin(database, args)).lines).toEqual(['2 deliveries are due now']);
      expect(await Promise.all([failed, kept, early, fine].map(statusOf))).toEqual([
        'retrying',
        'pending',
        'failed',
        'succeeded',
      ]);
      expect((await admin(database, [...args, '--json'])).lines).toEqual([expect.stringMatching(/"count":0\}$/)]);

      await disable(endpoint);
      await expect(admin(database, args)).rejects.toMatchObject({ code: 'conflict' });
      await expect(admin(database, [...args, '--dry-run'])).rejects.toMatchObject({ code: 'conflict' });
    });

    it('makes due every delivery of an event, and fails where one has no endpoint', async () => {
      const [one, two, off] = [await makeEndpoint(tenant), await makeEndpoint(tenant), await makeEndpoint(tenant)];
      const [first = ''] = await seed(one.id, { status: 'succeeded', attempts: [OK] });
      const [row] = await database.sql<{ event_id: string }>('select event_id from deliveries where id = $1', [first]);
      const eventId = row?.event_id as string;
      const [second = ''] = await seed(two.id, { status: 'failed', attempts: [BAD], eventId });
      const [third = ''] = await seed(off.id, { status: 'failed', attempts: [BAD], eventId });
      await disable(off.id);

      const args = ['replay', ...of(tenant), '--event', eventId];
      const wouldBe = await dry(args);
      expect(wouldBe.failed).toBe(true);
      expect(wouldBe.lines).toContain(`would send ${first} again to endpoint ${one.id}`);
      const { lines, failed } = await admin(database, args);
      expect(failed).toBe(true);
      expect([...lines].sort()).toEqual(
        [
          `${first} is due now, to endpoint ${one.id}`,
          `${second} is due now, to endpoint ${two.id}`,
          `${third}: not sent again: The endpoint '${off.id}' is disabled: enable it first.`,
        ].sort(),
      );
      expect(await Promise.all([first, second, third].map(statusOf))).toEqual(['retrying', 'retrying', 'failed']);
      await expect(admin(database, ['replay', ...of(other), '--event', eventId])).rejects.toMatchObject({
        code: 'not_found',
      });
    });
  });
});

describe('deliveries that an operator made due', () => {
  it('is sent by the worker at once', async () => {
    const service = await startService({ env: { WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8' } });
    const { database } = service;
    const [tenant, receiver, worker] = [await service.tenant(), await startReceiver(), await startWorker(database)];
    const { id: endpoint } = await createEndpoint(tenant, receiver.url);
    const ids = await seedDeliveries(database, tenant.tenantId, endpoint, [{ status: 'failed', attempts: [BAD] }]);
    const args = ['replay', '--tenant', tenant.tenantId, '--endpoint', endpoint, '--since', '2026-01-01'];
    await admin(database, args);
    const received = await receiver.waitFor(1);
    expect(received.map(({ headers }) => headers['webhook-id'])).toEqual(ids);
    await worker.stop();
    await receiver.stop();
    await service.stop();
  });
});

describe('prune', () => {
  it('deletes what has expired, more than a batch of it, and nothing in a dry run', async () => {
    const database = await createTestDatabase();
    const { tenantId } = await fillTenant(database);
    await database.sql(
      `insert into events (tenant_id, id, type, data, created_at)
         select $1, gen_random_uuid(), 'x.y', '{}', now() - interval '91 days' from generate_series(1, 2500)`,
      [tenantId],
    );
    for (const table of ['sessions', 'tenant_exports']) {
      await database.sql(`update ${table} set expires_at = now() + interval '1 day'`);
    }
    await database.sql(`update idempotency_keys set expires_at = now() - interval '1 second'`);
    const before = await contentsOf(database);
    const expected = { sessions: 0, sign_in_failures: 0, idempotency_keys: 1, events: 2500 };
    expect(await adminJson(database, ['prune', '--dry-run'])).toMatchObject(expected);
    expect(await contentsOf(database)).toEqual(before);

    const { lines } = await admin(database, ['prune']);
    expect(lines).toEqual(expect.arrayContaining(['deleted 1 idempotency_keys', 'deleted 2500 events']));
    // The seeded key has a text whose overlap has ended; no other table has an expired row.
    const others = lines.filter((line) => !/ (idempotency_keys|events|api_key_secrets)$/.test(line));
    for (const line of others) expect(line).toMatch(/^deleted 0 /);
    expect(await adminJson(database, ['prune'])).toMatchObject({ ...expected, idempotency_keys: 0, events: 0 });
    expect(await database.sql('select count(*)::int as count from events')).toEqual([{ count: 1 }]);
    await database.drop();
  });
});
