import { createPublicKey, randomUUID } from 'node:crypto';

import { loadConfig } from '../../src/platform/config/config';
import { secretBoxOf } from '../../src/platform/crypto/secret-box.module';
import { secretContext } from '../../src/webhooks/endpoints/endpoint-secrets';
import { ApiClient } from '../harness/client';
import { expectProblem, faultsOf } from '../harness/problems';
import { JWT_SECRET, startService, type TestService } from '../harness/service';
import { makeEndpoint } from '../harness/webhooks';

describe('webhook secrets', () => {
  let service: TestService;
  let tenant: ApiClient;
  const box = secretBoxOf(loadConfig({ JWT_SECRET }));

  beforeAll(async () => {
    service = await startService();
    tenant = await service.tenant();
  });
  afterAll(() => service.stop());

  const secretOf = async (id: string): Promise<string> => {
    const response = await tenant.get(`/webhooks/endpoints/${id}/secret`);
    expect(response.status).toBe(200);
    expect(Object.keys(response.body)).toEqual(['secret']);
    return response.body.secret;
  };
  const rotate = (id: string, body?: unknown, headers?: Record<string, string>) =>
    tenant.post(`/webhooks/endpoints/${id}/rotate-secret`, body, headers);

  /** The row as the worker reads it, opened. */
  async function stored(id: string) {
    const [row] = await service.database.sql<{
      secret: string;
      previous_secret: string | null;
      previous_secret_expires_at: Date | null;
      version: number;
    }>('select secret, previous_secret, previous_secret_expires_at, version from webhook_endpoints where id = $1', [
      id,
    ]);
    if (!row) throw new Error('no such endpoint');
    const open = (sealed: string) => box.decrypt(sealed, secretContext(tenant.tenantId, id));
    return {
      sealed: row.secret,
      secret: open(row.secret),
      previous: row.previous_secret && open(row.previous_secret),
      until: row.previous_secret_expires_at,
      version: row.version,
    };
  }

  it('shows the secret at its route, uncached, and stores it encrypted', async () => {
    const { id, secret } = await makeEndpoint(tenant);
    expect(await secretOf(id)).toBe(secret);
    expect((await tenant.get(`/webhooks/endpoints/${id}/secret`)).headers.get('cache-control')).toBe('no-store');
    const row = await stored(id);
    expect(row.secret).toBe(secret);
    expect(row.sealed).toMatch(/^v1\.jwt\./);
    expect(row.sealed).not.toContain(secret.slice(6, 20));
    expect(() => box.decrypt(row.sealed, secretContext(tenant.tenantId, randomUUID()))).toThrow();
  });

  it('keeps no secret in its log', async () => {
    const { secret } = await makeEndpoint(tenant);
    expect(service.logLines.join('\n')).not.toContain(secret);
    expect(service.logLines.join('\n')).not.toContain('whsec_');
  });

  it('rotates with a day of overlap by default, with a body or without', async () => {
    for (const body of [undefined, {}]) {
      const { id, secret } = await makeEndpoint(tenant);
      const response = await rotate(id, body);
      expect(response.status).toBe(200);
      expect(response.body).toEqual({ secret: expect.stringMatching(/^whsec_/) });
      expect(response.body.secret).not.toBe(secret);
      expect(response.headers.get('cache-control')).toBe('no-store');
      const row = await stored(id);
      expect(row).toMatchObject({ secret: response.body.secret, previous: secret, version: 1 });
      const overlap = (row.until as Date).getTime() - Date.now();
      expect(Math.abs(overlap - 86_400_000)).toBeLessThan(60_000);
    }
  });

  it('rotates without overlap, and replaces the secret before while two overlap', async () => {
    const { id, secret } = await makeEndpoint(tenant);
    const second = (await rotate(id, { overlap_seconds: 604_800 })).body.secret;
    expect(await stored(id)).toMatchObject({ secret: second, previous: secret });
    const third = (await rotate(id, { overlap_seconds: 60 })).body.secret;
    expect(await stored(id)).toMatchObject({ secret: third, previous: second });
    const fourth = (await rotate(id, { overlap_seconds: 0 })).body.secret;
    expect(await stored(id)).toMatchObject({ secret: fourth, previous: null, until: null });
  });

  it.each([-1, 604_801, 1.5, '60', null])('responds with 422 for an overlap of %j', async (overlap) => {
    const { id, secret } = await makeEndpoint(tenant);
    expect(faultsOf(await rotate(id, { overlap_seconds: overlap }))).toHaveLength(1);
    expect(faultsOf(await rotate(id, { seconds: 1 }))).toEqual(['seconds: unknown_field']);
    expect(await secretOf(id)).toBe(secret);
  });

  it('lets two rotations at once follow each other', async () => {
    const { id } = await makeEndpoint(tenant);
    const secrets = (await Promise.all([rotate(id), rotate(id)])).map((response) => response.body.secret);
    const row = await stored(id);
    expect([row.secret, row.previous].sort()).toEqual(secrets.sort());
    expect(await secretOf(id)).toBe(row.secret);
  });

  it('rotates once under an Idempotency-Key, and stores the response encrypted', async () => {
    const { id } = await makeEndpoint(tenant);
    const key = randomUUID();
    const first = await rotate(id, {}, { 'idempotency-key': key });
    const second = await rotate(id, {}, { 'idempotency-key': key });
    expect(second.text).toBe(first.text);
    expect(await secretOf(id)).toBe(first.body.secret);
    const [kept] = await service.database.sql('select body from idempotency_keys where key = $1', [key]);
    expect(kept?.body).toMatch(/^v1\.jwt\./);
  });

  it('responds with 404 for an endpoint that is not there', async () => {
    const id = randomUUID();
    for (const response of [await tenant.get(`/webhooks/endpoints/${id}/secret`), await rotate(id)]) {
      expect(expectProblem(response, 'not_found').detail).toBe(`Endpoint '${id}' not found`);
    }
  });

  describe('of ed25519', () => {
    it('shows the public key alone, and in the key set', async () => {
      const lone = await service.tenant();
      expect((await lone.get('/webhooks/jwks')).body).toEqual({ keys: [] });
      await makeEndpoint(lone);
      const { id, secret } = await makeEndpoint(lone, { signature: 'v1a' });
      expect(secret).toMatch(/^whpk_/);
      const response = await lone.get('/webhooks/jwks');
      const x = Buffer.from(secret.slice(5), 'base64').toString('base64url');
      expect(response.body).toEqual({ keys: [{ kty: 'OKP', crv: 'Ed25519', use: 'sig', alg: 'EdDSA', x, kid: id }] });
      expect(createPublicKey({ key: response.body.keys[0], format: 'jwk' }).asymmetricKeyType).toBe('ed25519');
      expect(response.text).not.toContain('"d"');
      expect((await tenant.get('/webhooks/jwks')).text).not.toContain(id);

      const rotated = (await lone.post(`/webhooks/endpoints/${id}/rotate-secret`, { overlap_seconds: 60 })).body.secret;
      const keys = (await lone.get('/webhooks/jwks')).body.keys;
      expect(keys.map((key: { kid: string; x: string }) => [key.kid, key.x])).toEqual([
        [id, Buffer.from(rotated.slice(5), 'base64').toString('base64url')],
        [`${id}/previous`, x],
      ]);
      await service.database.sql(`update webhook_endpoints set previous_secret_expires_at = now() where id = $1`, [id]);
      expect((await lone.get('/webhooks/jwks')).body.keys).toHaveLength(1);
    });

    it('may be chosen later: the old secret signs beside it for a day', async () => {
      const { id, secret } = await makeEndpoint(tenant);
      const changed = await tenant.patch(`/webhooks/endpoints/${id}`, { signature: 'v1a' });
      expect(changed.body).toMatchObject({ signature: 'v1a', version: 2 });
      expect(await secretOf(id)).toMatch(/^whpk_/);
      const row = await stored(id);
      expect(row.secret).toMatch(/^whsk_/);
      expect(row.previous).toBe(secret);
    });
  });

  it('decrypts secrets from before keys were configured, and after a rotation', async () => {
    const { id, secret } = await makeEndpoint(tenant);
    const [k1, k2] = [1, 2].map((n) => `k${n}:${Buffer.alloc(32, n).toString('base64')}`);
    const shown = async (keys: string) => {
      const later = await startService({ database: service.database, env: { ENCRYPTION_KEYS: keys } });
      const client = new ApiClient(later.url, tenant.session);
      const response = await client.get(`/webhooks/endpoints/${id}/secret`);
      const made = await makeEndpoint(client);
      await later.stop();
      return { response, made };
    };
    const { response: before, made } = await shown(k1 as string);
    expect(before.body).toEqual({ secret });
    const [row] = await service.database.sql('select secret from webhook_endpoints where id = $1', [made.id]);
    expect(row?.secret).toMatch(/^v1\.k1\./);
    expect((await shown(`${k2},${k1}`)).response.body).toEqual({ secret });
  });
});
