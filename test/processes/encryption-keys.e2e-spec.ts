import { newKey } from '../../src/platform/crypto/secret-box';
import { admin } from '../harness/admin';
import { type ApiResponse, ApiClient } from '../harness/client';
import { createTestDatabase, type TestDatabase } from '../harness/databases';
import { createEndpoint } from '../harness/endpoints';
import { runProcess } from '../harness/run-process';
import { JWT_SECRET, startService } from '../harness/service';
import { buildOnce } from '../harness/service-process';
import { startWorker } from '../harness/worker';

const OTHER = `another ${JWT_SECRET}`;
const [K1, K2] = [newKey('k1'), newKey('k2')];
const JWT_FAULT =
  'configuration: JWT_SECRET is not the one that has encrypted secrets in this database: restore that one, or give up ' +
  'what it has encrypted with admin encryption-keys forget jwt';

describe('a process whose encryption keys are not those of the database', () => {
  let database: TestDatabase;

  beforeAll(() => buildOnce());
  beforeEach(async () => {
    database = await createTestDatabase();
  });
  afterEach(() => database.drop());

  /** Starts the service, uses it, and stops it. */
  async function using<T>(env: Record<string, string>, work: (tenant: ApiClient) => Promise<T>): Promise<T> {
    const service = await startService({ database, env });
    try {
      return await work(await service.tenant());
    } finally {
      await service.stop();
    }
  }

  const start = (env: Record<string, string>) => using(env, () => Promise.resolve('started'));
  const kidsOf = ({ body }: ApiResponse): string[] => (body.keys as { kid: string }[]).map(({ kid }) => kid);
  const recorded = async () =>
    (await database.sql<{ kid: string }>('select kid from encryption_keys order by kid')).map(({ kid }) => kid);

  it.each(['api', 'worker'])('%s: does not start, and names in one line the key to restore', async (role) => {
    await start({});
    const env = { DATABASE_URL: database.serviceUrl, METRICS_PORT: 'off', PORT: '0' };
    const { code, stderr } = await runProcess([role], { ...env, JWT_SECRET: OTHER });
    expect([code, stderr]).toEqual([1, `${JWT_FAULT}\n`]);
  });

  it('starts again once the secret is restored, and has recorded nothing of the wrong one', async () => {
    await start({});
    const worker = startWorker(database, { JWT_SECRET: OTHER });
    await expect(worker).rejects.toThrow(JWT_FAULT);
    expect(await start({})).toBe('started');
  });

  it.each(['webhook_endpoints', 'totp_factors'])(
    'is detected by the secrets of %s where an older release has recorded no key',
    async (table) => {
      await using({}, async (tenant) => {
        await createEndpoint(tenant, 'https://example.com/');
        await tenant.post('/auth/totp');
      });
      const other = table === 'totp_factors' ? 'webhook_endpoints' : 'totp_factors';
      await database.sql(`delete from ${other}`);
      await database.sql('delete from encryption_keys');
      await expect(start({ JWT_SECRET: OTHER })).rejects.toThrow(JWT_FAULT);
      expect(await recorded()).toEqual([]);
      expect(await start({})).toBe('started');
      expect(await recorded()).toEqual(['jwt']);
    },
  );

  it('names the key that ENCRYPTION_KEYS lacks, or has under another value', async () => {
    await start({ ENCRYPTION_KEYS: K1 });
    await expect(start({ ENCRYPTION_KEYS: K2 })).rejects.toThrow(/^configuration: ENCRYPTION_KEYS has no key 'k1', /);
    await expect(start({ ENCRYPTION_KEYS: newKey('k1') })).rejects.toThrow(
      /^configuration: ENCRYPTION_KEYS has another key 'k1' than the one that /,
    );
    await expect(start({})).rejects.toThrow(/ENCRYPTION_KEYS has no key 'k1'/);
  });

  it('may drop a key once it was replaced everywhere', async () => {
    await using({ ENCRYPTION_KEYS: K1 }, (tenant) => createEndpoint(tenant, 'https://example.com/'));
    await start({ ENCRYPTION_KEYS: `${K2},${K1}` });
    await expect(start({ ENCRYPTION_KEYS: K2 })).rejects.toThrow(/no key 'k1'/);
    await admin(database, ['encryption-keys', 'reencrypt'], { ENCRYPTION_KEYS: `${K2},${K1}` });
    expect(await recorded()).toEqual(['k2']);
    expect(await start({ ENCRYPTION_KEYS: K2 })).toBe('started');
  });

  it('keeps a key that a waiting mail needs', async () => {
    await start({ ENCRYPTION_KEYS: K1 });
    await database.sql(
      `insert into mail_outbox (tenant_id, id, template, sealed, created_at, next_attempt_at)
       values ('00000000-0000-0000-0000-000000000000', gen_random_uuid(), 'test', 'v1.k1.x.y', now(), now())`,
    );
    await admin(database, ['encryption-keys', 'reencrypt'], { ENCRYPTION_KEYS: `${K2},${K1}` });
    expect(await recorded()).toEqual(['k1']);
  });

  it('starts with a new secret once the lost one is given up', async () => {
    const endpoint = await using({}, (tenant) => createEndpoint(tenant, 'https://example.com/'));
    const env = { JWT_SECRET: OTHER };
    expect(await admin(database, ['encryption-keys', 'forget', 'jwt', '--dry-run'], env)).toEqual({
      lines: ['would forget the key jwt'],
      failed: false,
    });
    await expect(start(env)).rejects.toThrow(JWT_FAULT);
    expect((await admin(database, ['encryption-keys', 'forget', 'jwt'], env)).lines).toEqual(['forgot the key jwt']);
    expect(await start(env)).toBe('started');
    await expect(start({})).rejects.toThrow(JWT_FAULT);
    expect(await database.sql('select id from webhook_endpoints')).toEqual([{ id: endpoint.id }]);
  });

  it('leaves out the previous key of a signature that was encrypted with the lost one', async () => {
    const rotated = await using({ ENCRYPTION_KEYS: K1 }, async (tenant) => {
      const { id } = await createEndpoint(tenant, 'https://example.com/', { signature: 'v1a' });
      return { tenant, id };
    });
    const before = await using({ ENCRYPTION_KEYS: `${K2},${K1}` }, async ({ url }) => {
      const tenant = new ApiClient(url, rotated.tenant.session);
      await tenant.post(`/webhooks/endpoints/${rotated.id}/rotate-secret`, { overlap_seconds: 3_600 });
      return kidsOf(await tenant.get('/webhooks/jwks'));
    });
    expect(before).toEqual([rotated.id, `${rotated.id}/previous`]);
    await admin(database, ['encryption-keys', 'forget', 'k1'], { ENCRYPTION_KEYS: K2 });
    const after = await using({ ENCRYPTION_KEYS: K2 }, async ({ url }) =>
      kidsOf(await new ApiClient(url, rotated.tenant.session).get('/webhooks/jwks')),
    );
    expect(after).toEqual([rotated.id]);
  });

  it('gives up a key that is configured no more', async () => {
    await start({ ENCRYPTION_KEYS: K1 });
    await admin(database, ['encryption-keys', 'forget', 'k1'], { ENCRYPTION_KEYS: K2 });
    expect(await start({ ENCRYPTION_KEYS: K2 })).toBe('started');
    await expect(admin(database, ['encryption-keys', 'forget', 'k9'], { ENCRYPTION_KEYS: K2 })).rejects.toThrow(
      "no key 'k9' is known",
    );
  });
});
