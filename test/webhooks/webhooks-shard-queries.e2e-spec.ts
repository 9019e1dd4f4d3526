import { OutboxBacklog } from '../../src/platform/outbox/outbox-backlog';
import { OwnedShards } from '../../src/platform/shards/owned-shards';
import { shardOf } from '../../src/platform/shards/tenant-shard';
import { findWaitingEndpoints, type WaitingEndpoint } from '../../src/webhooks/dispatch/waiting.queries';
import { startService, type TestService } from '../harness/service';

const SHARDS = 16;
const TENANTS = 40;
const ENDPOINTS = 3;
const DELIVERIES = 50;

function owning(...shards: number[]): OwnedShards {
  const owned = new OwnedShards(SHARDS);
  owned.add(shards);
  return owned;
}
const all = Array.from({ length: SHARDS }, (_, shard) => shard);

describe('the reads of the owner of some shards', () => {
  let service: TestService;

  beforeAll(async () => {
    service = await startService();
    await service.database.sql(
      `insert into tenants (id, name, created_at)
         select gen_random_uuid(), 'tenant', now() from generate_series(1, ${TENANTS})`,
    );
    // Of each endpoint, some deliveries wait for the first attempt and some for another one; others have ended.
    await service.database.sql(
      `insert into deliveries (tenant_id, id, endpoint_id, event_id, event_type, status, attempt_count, tries,
                               next_attempt_at, created_at, completed_at)
         select t.id, gen_random_uuid(), e.id, gen_random_uuid(), 'order.created', s.status, 0, 0,
                case when s.status <> 'succeeded' then now() + n * interval '1 second' end, now(),
                case when s.status = 'succeeded' then now() end
           from tenants t, lateral (select gen_random_uuid() as id, t.id as of from generate_series(1, ${ENDPOINTS})) e,
                generate_series(1, ${DELIVERIES}) n,
                (values ('pending'), ('retrying'), ('succeeded')) as s (status)`,
    );
    await service.database.sql(
      `insert into outbox (tenant_id, event_id)
         select t.id, gen_random_uuid() from tenants t, generate_series(1, ${DELIVERIES})`,
    );
    await service.database.sql('analyze');
  });
  afterAll(() => service.stop());

  const waiting = (shards: OwnedShards, limit = 10_000, isDistributed = false) => {
    const { text, values } = findWaitingEndpoints(shards, limit, isDistributed);
    return service.database.sql<WaitingEndpoint>(text, [...values]);
  };
  const keyOf = (row: WaitingEndpoint) =>
    `${row.tenant_id}/${row.endpoint_id}/${row.status}/${row.next_attempt_at.getTime()}`;

  it.each([false, true])('find each waiting endpoint once, as on Citus: %p', async (isDistributed) => {
    const expected = await service.database.sql<WaitingEndpoint>(
      `select tenant_id, endpoint_id, status, min(next_attempt_at) as next_attempt_at from deliveries
        where status in ('pending', 'retrying') group by 1, 2, 3`,
    );
    expect(expected).toHaveLength(TENANTS * ENDPOINTS * 2);
    const found: string[] = [];
    for (const shard of all) {
      const rows = await waiting(owning(shard), 10_000, isDistributed);
      expect(rows.filter(({ tenant_id }) => shardOf(tenant_id, SHARDS) !== shard)).toEqual([]);
      found.push(...rows.map(keyOf));
    }
    expect(found.sort()).toEqual(expected.map(keyOf).sort());
    expect((await waiting(owning(...all), 10_000, isDistributed)).map(keyOf).sort()).toEqual(found);
    expect(await waiting(owning(...all), 7, isDistributed)).toHaveLength(7);
    expect(await waiting(owning(), 10_000, isDistributed)).toEqual([]);
  });

  it('read as many index entries as there are tenants and own endpoints, and not as there are deliveries', async () => {
    const readRows = async (shards: OwnedShards): Promise<number> => {
      const { text, values } = findWaitingEndpoints(shards, 10_000, false);
      // As the service's role plans.
      await service.database.sql('set enable_seqscan = off');
      const [row] = await service.database.sql<{ 'QUERY PLAN': unknown }>(
        `explain (analyze, format json, timing off) ${text}`,
        [...values],
      );
      await service.database.sql('reset enable_seqscan');
      let rows = 0;
      JSON.stringify(row, (_, value: unknown) => {
        const node = value as { 'Relation Name'?: string; 'Actual Rows'?: number; 'Actual Loops'?: number };
        if (node?.['Relation Name'] === 'deliveries') rows += (node['Actual Rows'] ?? 0) * (node['Actual Loops'] ?? 0);
        return value;
      });
      return rows;
    };
    const own = (shards: OwnedShards) =>
      service.database
        .sql<{ id: string }>('select id from tenants')
        .then((tenants) => tenants.filter(({ id }) => shards.owns(id)).length);
    for (const shards of [owning(...all), owning(0, 1, 2, 3)]) {
      const endpoints = (await own(shards)) * ENDPOINTS * 2;
      expect(await readRows(shards)).toBeLessThanOrEqual(TENANTS + endpoints + 5);
    }
  });

  it('find the tenants with events', async () => {
    const tenants = (await service.database.sql<{ id: string }>('select id from tenants')).map(({ id }) => id);
    const backlog = service.app.get(OutboxBacklog, { strict: false });
    const found = await backlog.tenantsWithEvents(owning(3, 7), 10_000);
    expect(found.sort()).toEqual(tenants.filter((id) => [3, 7].includes(shardOf(id, SHARDS))).sort());
    expect(await backlog.tenantsWithEvents(owning(...all), 10_000)).toHaveLength(TENANTS);
    expect(await backlog.tenantsWithEvents(owning(...all), 5)).toHaveLength(5);
    expect(await backlog.tenantsWithEvents(owning(), 5)).toEqual([]);
  });
});
