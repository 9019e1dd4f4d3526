import { randomBytes } from 'node:crypto';
import { createTestDatabase, type TestDatabase } from '../harness/databases';
import { createEndpoint } from '../harness/endpoints';
import { JWT_SECRET, startService, type TestService } from '../harness/service';
import type { ApiClient } from '../harness/client';

const key = (id: string): string => `${id}:${randomBytes(32).toString('base64')}`;

// The promises of docs/operations.md in "Key and secret rotation".
describe('the rotation', () => {
  let database: TestDatabase;
  let service: TestService | undefined;

  beforeEach(async () => {
    database = await createTestDatabase();
  });

  afterEach(async () => {
    await service?.stop();
    await database.drop();
  });

  /** Rolls the service to other secrets; earlier clients continue with it. */
  async function roll(env: Record<string, string>): Promise<(client: ApiClient) => ApiClient> {
    await service?.stop();
    service = await startService({ database, env });
    const { client } = service;
    return (before) => client.withToken(before.session?.access_token);
  }

  /** As the operator's query in docs/operations.md. */
  const keysInUse = (): Promise<{ key: string; count: number }[]> =>
    database.sql(`select split_part(sealed, '.', 2) as key, count(*)::int from webhook_endpoints,
                         unnest(array[secret, previous_secret]) as sealed where sealed is not null group by 1 order by 1`);

  it('of ENCRYPTION_KEYS has no visible effect, when the new one goes behind first and then in front', async () => {
    const [k1, k2] = [key('k1'), key('k2')];
    await roll({ ENCRYPTION_KEYS: k1 });
    const tenant = await (service as TestService).tenant();
    const first = await createEndpoint(tenant, 'https://example.com/first');

    let now = await roll({ ENCRYPTION_KEYS: `${k1},${k2}` });
    expect((await now(tenant).get(`/webhooks/endpoints/${first.id}/secret`)).body).toMatchObject({
      secret: first.secret,
    });

    now = await roll({ ENCRYPTION_KEYS: `${k2},${k1}` });
    const second = await createEndpoint(now(tenant), 'https://example.com/second');
    expect(await keysInUse()).toEqual([
      { key: 'k1', count: 1 },
      { key: 'k2', count: 1 },
    ]);
    for (const endpoint of [first, second]) {
      const response = await now(tenant).get(`/webhooks/endpoints/${endpoint.id}/secret`);
      expect(response.body).toMatchObject({ secret: endpoint.secret });
    }
    // A process without the new key yet: the reason why it is appended first.
    await expect(roll({ ENCRYPTION_KEYS: k1 })).rejects.toThrow("ENCRYPTION_KEYS has no key 'k2'");
    service = undefined;
  });

  it('of JWT_SECRET ends access tokens and cursors, and neither sessions nor encrypted secrets', async () => {
    const keys = { ENCRYPTION_KEYS: key('k1') };
    await roll(keys);
    const tenant = await (service as TestService).tenant();
    const endpoint = await createEndpoint(tenant, 'https://example.com/hooks');
    await tenant.createOrder();
    await tenant.createOrder();
    const { next_cursor: cursor } = (await tenant.get('/orders?limit=1')).body;

    const now = await roll({ ...keys, JWT_SECRET: `another ${JWT_SECRET}` });
    expect((await now(tenant).get('/orders')).status).toBe(401);
    const refreshed = await now(tenant).post('/auth/refresh', { refresh_token: tenant.session?.refresh_token });
    expect(refreshed.status).toBe(200);
    const client = now(tenant).withToken(refreshed.body.access_token);
    expect((await client.get('/orders?limit=1')).status).toBe(200);
    expect((await client.get(`/orders?limit=1&cursor=${cursor}`)).body).toMatchObject({ type: 'invalid_cursor' });
    expect((await client.get(`/webhooks/endpoints/${endpoint.id}/secret`)).body).toMatchObject({
      secret: endpoint.secret,
    });
  });

  it('of JWT_SECRET is refused while something is encrypted from before there were ENCRYPTION_KEYS', async () => {
    await roll({});
    const tenant = await (service as TestService).tenant();
    const endpoint = await createEndpoint(tenant, 'https://example.com/hooks');
    expect(await keysInUse()).toEqual([{ key: 'jwt', count: 1 }]);

    const keys = { ENCRYPTION_KEYS: key('k1') };
    const now = await roll(keys);
    const read = `/webhooks/endpoints/${endpoint.id}/secret`;
    expect((await now(tenant).get(read)).body).toMatchObject({ secret: endpoint.secret });

    await expect(roll({ ...keys, JWT_SECRET: `another ${JWT_SECRET}` })).rejects.toThrow('JWT_SECRET is not the one');
    service = undefined;
  });
});
