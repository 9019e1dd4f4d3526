import { randomUUID } from 'node:crypto';
import type { ApiClient } from '../harness/client';
import { addMember } from '../harness/members';
import { expectProblem, faultsOf } from '../harness/problems';
import { startService, type TestService } from '../harness/service';

const INPUT = { name: 'Number one', notes: 'Urgent' };

describe('demo things', () => {
  let service: TestService;
  let tenant: ApiClient;

  beforeAll(async () => {
    service = await startService();
  });
  beforeEach(async () => {
    tenant = await service.tenant();
  });
  afterAll(() => service.stop());

  const create = async (input: Partial<typeof INPUT> = {}): Promise<{ id: string; version: number }> => {
    const answer = await tenant.post('/demo-things', { ...INPUT, ...input });
    expect(answer.status).toBe(201);
    return answer.body;
  };
  const eventsOf = (id: string) =>
    service.database.sql<{ type: string; sequence: number }>(
      'select type, sequence from events where aggregate_id = $1 order by sequence',
      [id],
    );

  it('are created, read, changed and deleted, each with an event', async () => {
    const created = await tenant.post('/demo-things', INPUT);
    expect(created).toMatchObject({ status: 201, body: { ...INPUT, version: 1 } });
    const path = `/demo-things/${created.body.id}`;
    expect(created.headers.get('location')).toBe(`/api/v1${path}`);
    expect(created.headers.get('etag')).toBe('"1"');
    expect((await tenant.get(path)).body).toEqual(created.body);
    expect((await tenant.get(path, { 'if-none-match': '"1"' })).status).toBe(304);

    const changed = await tenant.patch(path, { notes: null }, { 'if-match': '"1"' });
    expect(changed).toMatchObject({ status: 200, body: { name: INPUT.name, notes: null, version: 2 } });
    expect((await tenant.patch(path, { notes: null })).body.version).toBe(2);
    expectProblem(await tenant.delete(path, { 'if-match': '"1"' }), 'version_conflict');
    expect((await tenant.delete(path, { 'if-match': '"2"' })).status).toBe(204);
    expectProblem(await tenant.get(path), 'not_found');
    expect(await eventsOf(created.body.id)).toEqual([
      { type: 'demo_thing.created', sequence: 1 },
      { type: 'demo_thing.updated', sequence: 2 },
      { type: 'demo_thing.deleted', sequence: 3 },
    ]);
  });

  it('are created once for an Idempotency-Key', async () => {
    const key = { 'idempotency-key': randomUUID() };
    const [first, second] = [
      await tenant.post('/demo-things', INPUT, key),
      await tenant.post('/demo-things', INPUT, key),
    ];
    expect(second.text).toBe(first.text);
    expect(second.headers.get('idempotency-replayed')).toBe('true');
    expect((await tenant.get('/demo-things')).body.data).toHaveLength(1);
  });

  it('name every fault of a request', async () => {
    const answer = await tenant.post('/demo-things', { name: '', notes: 1, other: true });
    expect(faultsOf(answer)).toEqual(['name: min_length', 'notes: is_string', 'other: unknown_field']);
  });

  it('are changed by no viewer', async () => {
    const { id } = await create();
    const viewer = await addMember(service, tenant, 'viewer');
    expect((await viewer.get(`/demo-things/${id}`)).status).toBe(200);
    expectProblem(await viewer.post('/demo-things', INPUT), 'forbidden');
    expectProblem(await viewer.patch(`/demo-things/${id}`, INPUT), 'forbidden');
    expectProblem(await viewer.delete(`/demo-things/${id}`), 'forbidden');
  });

  it('of another tenant are not found on any route', async () => {
    const { id } = await create();
    const stranger = await service.tenant();
    const path = `/demo-things/${id}`;
    for (const answer of [
      await stranger.get(path),
      await stranger.patch(path, { name: 'Mine' }),
      await stranger.delete(path),
    ]) {
      expectProblem(answer, 'not_found');
    }
    expect((await stranger.get('/demo-things')).body.data).toEqual([]);
    expect((await tenant.get(path)).body).toMatchObject({ id, ...INPUT, version: 1 });
  });

  it('have one winner of many writers at once', async () => {
    const { id } = await create();
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, n) =>
        tenant.patch(`/demo-things/${id}`, { name: `Writer ${n}` }, { 'if-match': '"1"' }),
      ),
    );
    const winners = answers.filter(({ status }) => status === 200);
    expect(answers.filter(({ status }) => status === 412)).toHaveLength(9);
    expect((await tenant.get(`/demo-things/${id}`)).body).toEqual(winners[0]?.body);
    expect(await eventsOf(id)).toHaveLength(2);
  });

  it('leave nothing behind when their transaction fails half-way', async () => {
    const { sql } = service.database;
    const rows = async () =>
      Promise.all(
        ['demo_things', 'events', 'outbox', 'audit_log', 'idempotency_keys'].map(async (table) => [
          table,
          (await sql<{ count: string }>(`select count(*) from ${table} where tenant_id = $1`, [tenant.tenantId]))[0],
        ]),
      );
    const { id } = await create();
    const before = await rows();
    const key = { 'idempotency-key': randomUUID() };
    await sql(`alter table events add constraint refused check (type not like 'demo_thing.%') not valid`);
    try {
      expectProblem(await tenant.post('/demo-things', INPUT, key), 'internal_error');
      expectProblem(await tenant.patch(`/demo-things/${id}`, { name: 'Another' }), 'internal_error');
      expectProblem(await tenant.delete(`/demo-things/${id}`), 'internal_error');
    } finally {
      await sql('alter table events drop constraint refused');
    }
    expect(await rows()).toEqual(before);
    expect((await tenant.get(`/demo-things/${id}`)).body).toMatchObject({ ...INPUT, version: 1 });
    expect((await tenant.post('/demo-things', INPUT, key)).status).toBe(201);
  });

  it('come in pages that neither skip nor repeat, while others are created', async () => {
    const ids: string[] = [];
    for (let n = 0; n < 11; n++) ids.unshift((await create({ name: `Number ${n}` })).id);
    const seen: string[] = [];
    let path: string | null = '/demo-things?limit=4';
    while (path !== null) {
      const { status, body } = await tenant.get(path);
      expect(status).toBe(200);
      seen.push(...(body.data as { id: string }[]).map(({ id }) => id));
      path = body.has_more ? `/demo-things?limit=4&cursor=${body.next_cursor}` : null;
      await create();
    }
    expect(seen).toEqual(ids);
    const { body } = await tenant.get('/demo-things?limit=4');
    const stranger = await service.tenant();
    expectProblem(await stranger.get(`/demo-things?cursor=${body.next_cursor}`), 'invalid_cursor');
  });
});
