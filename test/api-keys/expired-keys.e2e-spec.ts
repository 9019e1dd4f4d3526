import { KeyExpiry } from '../../src/api-keys/key-expiry';
import type { ApiClient } from '../harness/client';
import { makeKey } from '../harness/members';
import { startService, type TestService } from '../harness/service';
import { startWorker, type TestWorker } from '../harness/worker';

describe('expired API keys', () => {
  let service: TestService;
  let worker: TestWorker;
  let owner: ApiClient;

  beforeAll(async () => {
    service = await startService();
    worker = await startWorker(service.database);
    owner = await service.tenant();
  });
  afterAll(async () => {
    await worker.stop();
    await service.stop();
  });

  const expire = (id: string, days: number) =>
    service.database.sql(
      `update api_keys set created_at = now() - interval '400 days', expires_at = now() - $2 * interval '1 day' where id = $1`,
      [id, days],
    );
  const listed = async (): Promise<string[]> =>
    ((await owner.get('/api-keys')).body.data as { name: string }[]).map(({ name }) => name).sort();

  it('are listed and can be given a later end for 90 days, and are deleted then, with an entry in the log', async () => {
    const old = await makeKey(owner, { name: 'old' });
    const recent = await makeKey(owner, { name: 'recent' });
    await makeKey(owner, { name: 'without an end' });
    await owner.patch(`/api-keys/${old.key.id}`, { scopes: ['orders:read', 'orders:write'] });
    await expire(old.key.id as string, 91);
    await expire(recent.key.id as string, 89);
    expect(await listed()).toEqual(['old', 'recent', 'without an end']);

    const expiry = worker.app.get(KeyExpiry, { strict: false });
    await Promise.all([expiry.run(), expiry.run()]);
    await expiry.run();
    expect(await listed()).toEqual(['recent', 'without an end']);
    for (const [table, column] of [
      ['api_key_secrets', 'key_id'],
      ['tenant_auth_state', 'user_id'],
    ]) {
      expect(await service.database.sql(`select 1 from ${table} where ${column} = $1`, [old.key.id])).toEqual([]);
    }
    const { data } = (await owner.get('/audit-log?action=api_key.deleted')).body;
    expect(data).toMatchObject([
      {
        actor: { type: 'system', id: null },
        target: { type: 'api_key', id: old.key.id },
        changes: { name: ['old', null], expires_at: [expect.any(String), null] },
      },
    ]);

    expect((await recent.client.get('/orders')).status).toBe(401);
    const later = new Date(Date.now() + 86_400_000).toISOString();
    expect((await owner.patch(`/api-keys/${recent.key.id}`, { expires_at: later })).status).toBe(200);
    expect((await recent.client.get('/orders')).status).toBe(200);
  });
});
