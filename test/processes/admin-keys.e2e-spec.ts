import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf, stepAt } from '../../src/auth/totp/totp-code';
import { newKey, createSecretBox } from '../../src/platform/crypto/secret-box';
import { NO_TENANT } from '../../src/platform/database/tenant-database';
import { newTimedId } from '../../src/platform/ids/ids';
import { mailContext } from '../../src/platform/mail/mailer';
import { secretContext } from '../../src/webhooks/endpoints/endpoint-secrets';
import { admin, adminJson } from '../harness/admin';
import { ApiClient } from '../harness/client';
import { contentsOf } from '../harness/contents';
import { createTestDatabase, type TestDatabase } from '../harness/databases';
import { startService, type TestService } from '../harness/service';
import { endpointInput, makeEndpoint } from '../harness/webhooks';

const [K1, K2, LOST] = [newKey('k1'), newKey('k2'), newKey('lost')];
const ROTATING = { ENCRYPTION_KEYS: `${K2},${K1}` };

function fromBase32(text: string): Buffer {
  const digits = Array.from(text, (letter) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(letter));
  const bits = digits.map((digit) => digit.toString(2).padStart(5, '0')).join('');
  return Buffer.from((bits.match(/.{8}/g) as string[]).map((byte) => parseInt(byte, 2)));
}

describe('rotating the encryption key', () => {
  let database: TestDatabase;

  beforeEach(async () => {
    database = await createTestDatabase();
  });
  afterEach(() => database.drop());

  const keys = async () =>
    ((await adminJson(database, ['encryption-keys', 'list'], ROTATING)) as { keys: Record<string, unknown>[] }).keys;
  const rowsOf = (service: TestService) =>
    service.database.sql(
      `select to_jsonb(e) - 'secret' - 'previous_secret' as endpoint from webhook_endpoints e order by id`,
    );

  it('encrypts everything again, so that the old key can be dropped without effect', async () => {
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
          const response = await new ApiClient(url, session).get(`/webhooks/endpoints/${id}/secret`);
          return response.body.secret as string;
        }),
      );
    const [secrets, rows] = [await secretsOf(before.url), await rowsOf(before)];
    await before.stop();

    // Two tenants, four secrets of three endpoints, and the response with one.
    expect(await keys()).toEqual([
      { kid: 'k2', current: true, configured: true, encrypted: 0 },
      { kid: 'k1', current: false, configured: true, encrypted: 5 },
      { kid: 'jwt', current: false, configured: true, encrypted: 0 },
    ]);
    const contents = await contentsOf(database);
    const dry = await admin(database, ['encryption-keys', 'reencrypt', '--dry-run'], ROTATING);
    expect(dry).toEqual({ lines: ['would encrypt 5 texts again with k2'], failed: false });
    expect(await contentsOf(database)).toEqual(contents);

    const reencrypted = await admin(database, ['encryption-keys', 'reencrypt'], ROTATING);
    expect(reencrypted).toEqual({ lines: ['encrypted 4 rows again with k2'], failed: false });
    expect(await keys()).toEqual([
      expect.objectContaining({ kid: 'k2', encrypted: 5 }),
      expect.objectContaining({ kid: 'k1', encrypted: 0 }),
      expect.objectContaining({ kid: 'jwt', encrypted: 0 }),
    ]);
    const again = await admin(database, ['encryption-keys', 'reencrypt'], ROTATING);
    expect(again.lines).toEqual(['encrypted 0 rows again with k2']);

    const after = await startService({ database, env: { ENCRYPTION_KEYS: K2 } });
    expect(await secretsOf(after.url)).toEqual(secrets);
    expect(await rowsOf(after)).toEqual(rows);
    const replayed = await new ApiClient(after.url, acme.session).post('/webhooks/endpoints', endpointInput(), once);
    expect([replayed.text, replayed.headers.get('idempotency-replayed')]).toEqual([made.text, 'true']);
    await after.stop();
  });

  it('continues past a text that cannot be decrypted, leaves it unchanged, and names its row and the missing key', async () => {
    const service = await startService({ database });
    const { tenantId } = await service.tenant();
    await service.stop();
    // More than a batch of each: every third was encrypted with a lost key.
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
    const { lines, failed } = await admin(database, ['encryption-keys', 'reencrypt'], ROTATING);
    expect(failed).toBe(true);
    expect(lines.slice(0, 3)).toEqual([
      `encrypted ${ids.length - lost.length} rows again with k2`,
      `${lost.length} could not be decrypted:`,
      `webhook secrets: tenant ${tenantId}, ${lost[0]}: encrypted with a key 'lost' that is not configured`,
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
    const listed = await admin(database, ['encryption-keys', 'list'], ROTATING);
    expect(listed.lines[3]).toBe(`lost  encrypted ${lost.length}  is not configured: its texts cannot be decrypted`);
    expect(listed.failed).toBe(true);
  });

  it('encrypts the secrets of authenticator apps again, which belong to people, with a tenant or without', async () => {
    const before = await startService({ database, env: { ENCRYPTION_KEYS: K1 } });
    const [member, loner] = [await before.tenant(), await before.tenant()];
    const offers = [await member.post('/auth/totp'), await loner.post('/auth/totp')];
    const secret = fromBase32(offers[0]?.body.secret as string);
    await database.sql('delete from memberships where user_id = $1', [loner.session?.user.id]);
    await before.stop();
    const lost = createSecretBox(LOST).encrypt('lost', 'totp/lost');
    const unopened = newTimedId().id;
    await database.sql(
      `insert into users (id, email, email_key, password_hash, created_at) values ($1, $2, $2, 'none', now())`,
      [unopened, 'lost@example.com'],
    );
    await database.sql('insert into totp_factors values ($1, $2, now(), null, 0)', [unopened, lost]);

    expect(await keys()).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ kid: 'k1', encrypted: 2 }),
        { kid: 'lost', current: false, configured: false, encrypted: 1 },
      ]),
    );
    expect(await admin(database, ['encryption-keys', 'reencrypt'], ROTATING)).toEqual({
      lines: [
        'encrypted 2 rows again with k2',
        '1 could not be decrypted:',
        `authenticator apps: user ${unopened}: encrypted with a key 'lost' that is not configured`,
      ],
      failed: true,
    });
    expect(await keys()).toContainEqual(expect.objectContaining({ kid: 'k1', encrypted: 0 }));

    const after = await startService({ database, env: { ENCRYPTION_KEYS: K2 } });
    const code = codeOf(secret, stepAt(new Date()));
    const confirmed = await new ApiClient(after.url, member.session).post('/auth/totp/confirm', { code });
    expect(confirmed.status).toBe(200);
    await after.stop();
  });

  it('counts mails that wait, and leaves them to be sent', async () => {
    const service = await startService({ database, env: { ENCRYPTION_KEYS: K1 } });
    const { tenantId } = await service.tenant();
    await service.stop();
    for (const tenant of [tenantId, NO_TENANT]) {
      const id = newTimedId().id;
      await database.sql(
        `insert into mail_outbox (tenant_id, id, template, sealed, created_at, next_attempt_at)
         values ($1, $2, 'test', $3, now(), now())`,
        [tenant, id, createSecretBox(K1).encrypt('{}', mailContext(tenant, id))],
      );
    }
    expect(await keys()).toContainEqual(expect.objectContaining({ kid: 'k1', encrypted: 2 }));
    const reencrypted = await admin(database, ['encryption-keys', 'reencrypt'], ROTATING);
    expect(reencrypted).toEqual({ lines: ['encrypted 0 rows again with k2'], failed: false });
    expect(await keys()).toContainEqual(expect.objectContaining({ kid: 'k1', encrypted: 2 }));
  });

  it('knows every encrypted column: a new one in this list needs a line in src/processes/admin/keys.command.ts', () => {
    const src = join(__dirname, '..', '..', 'src');
    const sealing = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter(
      (file) => /(?<!\.spec)\.ts$/.test(file) && /\bbox\.encrypt\(/.test(readFileSync(join(src, file), 'utf8')),
    );
    expect(sealing.sort()).toEqual([
      // Needs none: if the newest signing key cannot be decrypted, a new one is made, and older signatures stay valid.
      join('audit', 'folding', 'signing-key.ts'),
      // Needs none: a response that cannot be decrypted is created again, and expires within a day.
      join('auth', 'memberships', 'tenant-creation.ts'),
      join('auth', 'totp', 'totp-reencryption.ts'),
      join('auth', 'totp', 'totp.service.ts'),
      // A recorded key is replaced by a command of its own.
      join('platform', 'crypto', 'key-check.ts'),
      join('platform', 'crypto', 'key-records.ts'),
      join('platform', 'crypto', 'reencryption.ts'),
      join('platform', 'http', 'responses', 'idempotency.ts'),
      // Is counted only: a mail is sent or given up within half a day.
      join('platform', 'mail', 'mailer.ts'),
      join('webhooks', 'endpoints', 'endpoint-parts.ts'),
      join('webhooks', 'endpoints', 'endpoint-secrets.ts'),
    ]);
  });

  it('begins with a new key, which works as it is printed', async () => {
    const { lines } = await admin(database, ['encryption-keys', 'new', 'k3']);
    expect(createSecretBox(lines[0] as string).currentKid).toBe('k3');
  });
});
