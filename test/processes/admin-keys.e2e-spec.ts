import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { newKey, createSecretBox } from '../../src/platform/crypto/secret-box';
import { newTimedId } from '../../src/platform/ids/ids';
import { secretContext } from '../../src/webhooks/endpoints/endpoint-secrets';
import { admin, adminJson } from '../harness/admin';
import { ApiClient } from '../harness/client';
import { contentsOf } from '../harness/contents';
import { createTestDatabase, type TestDatabase } from '../harness/databases';
import { startService, type TestService } from '../harness/service';
import { endpointInput, makeEndpoint } from '../harness/webhooks';

const [K1, K2, LOST] = [newKey('k1'), newKey('k2'), newKey('lost')];
const ROTATING = { ENCRYPTION_KEYS: `${K2},${K1}` };

describe('rotating the encryption key', () => {
  let database: TestDatabase;

  beforeEach(async () => {
    database = await createTestDatabase();
  });
  afterEach(() => database.drop());

  const keys = async () =>
    ((await adminJson(database, ['keys', 'list'], ROTATING)) as { keys: Record<string, unknown>[] }).keys;
  const rowsOf = (service: TestService) =>
    service.database.sql(
      `select to_jsonb(e) - 'secret' - 'previous_secret' as endpoint from webhook_endpoints e order by id`,
    );

  it('seals everything anew, so that the old key can be dropped and nobody notices', async () => {
    const before = await startService({ database, env: { ENCRYPTION_KEYS: K1 } });
    const [acme, bolt] = [await before.tenant(), await before.tenant()];
    const [rotated, signed] = [await makeEndpoint(acme), await makeEndpoint(bolt, { signature: 'v1a' })];
    await acme.post(`/webhooks/endpoints/${rotated.id}/rotate-secret`);
    const once = { 'idempotency-key': 'once' };
    const made = await acme.post('/webhooks/endpoints', endpointInput(), once);
    const places = [
      [acme, rotated.id],
      [acme, made.body.id],
      [bolt, signed.id],
    ] as [ApiClient, string][];
    const secretsOf = (url: string) =>
      Promise.all(
        places.map(async ([{ session }, id]) => {
          const answer = await new ApiClient(url, session).get(`/webhooks/endpoints/${id}/secret`);
          return answer.body.secret as string;
        }),
      );
    const [secrets, rows] = [await secretsOf(before.url), await rowsOf(before)];
    await before.stop();

    // Two tenants, four secrets of three endpoints, and the answer that holds one.
    expect(await keys()).toEqual([
      { kid: 'k2', seals: true, configured: true, sealed: 0 },
      { kid: 'k1', seals: false, configured: true, sealed: 5 },
      { kid: 'jwt', seals: false, configured: true, sealed: 0 },
    ]);
    const contents = await contentsOf(database);
    const dry = await admin(database, ['keys', 'reseal', '--dry-run'], ROTATING);
    expect(dry).toEqual({ lines: ['would seal 5 texts anew with k2'], failed: false });
    expect(await contentsOf(database)).toEqual(contents);

    const resealed = await admin(database, ['keys', 'reseal'], ROTATING);
    expect(resealed).toEqual({ lines: ['sealed 4 rows anew with k2'], failed: false });
    expect(await keys()).toEqual([
      expect.objectContaining({ kid: 'k2', sealed: 5 }),
      expect.objectContaining({ kid: 'k1', sealed: 0 }),
      expect.objectContaining({ kid: 'jwt', sealed: 0 }),
    ]);
    const again = await admin(database, ['keys', 'reseal'], ROTATING);
    expect(again.lines).toEqual(['sealed 0 rows anew with k2']);

    const after = await startService({ database, env: { ENCRYPTION_KEYS: K2 } });
    expect(await secretsOf(after.url)).toEqual(secrets);
    expect(await rowsOf(after)).toEqual(rows);
    const replayed = await new ApiClient(after.url, acme.session).post('/webhooks/endpoints', endpointInput(), once);
    expect([replayed.text, replayed.headers.get('idempotency-replayed')]).toEqual([made.text, 'true']);
    await after.stop();
  });

  it('goes on past what cannot be opened, leaves that as it is, and says where it is and which key it misses', async () => {
    const service = await startService({ database });
    const { tenantId } = await service.tenant();
    await service.stop();
    // More than a batch of each: every third was sealed with a key that is lost.
    const boxes = { k1: createSecretBox(K1), lost: createSecretBox(LOST) };
    const ids = Array.from({ length: 350 }, () => newTimedId().id);
    for (const [at, id] of ids.entries()) {
      const sealed = boxes[at % 3 === 0 ? 'lost' : 'k1'].encrypt(`secret ${at}`, secretContext(tenantId, id));
      await database.sql(
        `insert into webhook_endpoints (tenant_id, id, url, event_types, headers, ordering, signature, secret, enabled,
                                        version, created_at, updated_at)
         values ($1, $2, 'https://example.com/', '{}', '{}', 'none', 'v1', $3, true, 1, now(), now())`,
        [tenantId, id, sealed],
      );
    }
    const lost = ids.filter((_, at) => at % 3 === 0);
    const { lines, failed } = await admin(database, ['keys', 'reseal'], ROTATING);
    expect(failed).toBe(true);
    expect(lines.slice(0, 3)).toEqual([
      `sealed ${ids.length - lost.length} rows anew with k2`,
      `${lost.length} could not be opened:`,
      `webhook secrets: tenant ${tenantId}, ${lost[0]}: sealed with a key 'lost' that is not configured`,
    ]);
    expect(lines).toHaveLength(2 + 100);

    const box = createSecretBox(`${K2},${LOST}`);
    const rows = await database.sql<{ id: string; secret: string }>(
      'select id, secret from webhook_endpoints order by id',
    );
    expect(rows.map(({ id, secret }) => box.decrypt(secret, secretContext(tenantId, id)))).toEqual(
      ids.map((_, at) => `secret ${at}`),
    );
    expect(rows.filter(({ secret }) => !box.isCurrent(secret)).map(({ id }) => id)).toEqual(lost);
    const listed = await admin(database, ['keys', 'list'], ROTATING);
    expect(listed.lines[3]).toBe(`lost  sealed ${lost.length}  is not configured: what it sealed cannot be opened`);
    expect(listed.failed).toBe(true);
  });

  it('knows of everything that is sealed: what is new in this list needs a line in src/processes/admin/keys.command.ts', () => {
    const src = join(__dirname, '..', '..', 'src');
    const sealing = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter(
      (file) => /(?<!\.spec)\.ts$/.test(file) && /\bbox\.encrypt\(/.test(readFileSync(join(src, file), 'utf8')),
    );
    expect(sealing.sort()).toEqual([
      join('platform', 'crypto', 'reencryption.ts'),
      join('platform', 'http', 'responses', 'idempotency.ts'),
      join('webhooks', 'endpoints', 'endpoint-parts.ts'),
      join('webhooks', 'endpoints', 'endpoint-secrets.ts'),
    ]);
  });

  it('begins with a new key, which works as it is printed', async () => {
    const { lines } = await admin(database, ['keys', 'new', 'k3']);
    expect(createSecretBox(lines[0] as string).currentKid).toBe('k3');
  });
});
