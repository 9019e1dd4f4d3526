import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ReceivedWebhook } from '../../clients/typescript/src/webhooks';
import { newSecret, newSigningKeyPair, publicKeyOf, sign } from '../../src/webhooks/http-client/signature';
import { type BuiltClient, buildClient } from '../harness/built-client';
import { type Receiver, startReceiver } from '../harness/receiver';
import { newEmail, startService, type TestService } from '../harness/service';
import { startWorker, type TestWorker } from '../harness/worker';

interface Vector {
  name: string;
  id: string;
  timestamp: number;
  body: string;
  secrets: string[];
  signature: string;
}
const { vectors } = JSON.parse(readFileSync(join(__dirname, '..', 'golden', 'webhook-signatures.json'), 'utf8')) as {
  vectors: Vector[];
};

const BODY = JSON.stringify({
  id: '0198c0de-7a11-7000-8000-000000000041',
  type: 'webhook.test',
  timestamp: '2026-01-31T12:00:00.000Z',
  data: { name: 'Zoë €' },
});

describe('verification of webhooks in the TypeScript client', () => {
  let built: BuiltClient;
  beforeAll(async () => {
    built = await buildClient();
  });
  afterAll(() => built.remove());

  /** A message signed with these secrets, now or at the given age. */
  const message = (secrets: string[], { age = 0, body = BODY }: { age?: number; body?: string } = {}) => {
    const [id, timestamp] = ['0198c0de-7a11-7d3c-9b1f-5c2f6a0e4b71', Math.floor(Date.now() / 1000) - age];
    const headers: Record<string, string> = {
      'webhook-id': id,
      'webhook-timestamp': String(timestamp),
      'webhook-signature': sign({ id, timestamp, body, secrets }),
    };
    return { headers, body };
  };
  const verify = (received: ReceivedWebhook, keys: Parameters<BuiltClient['webhooks']['verifyWebhook']>[1]['keys']) =>
    built.webhooks.verifyWebhook(received, { keys });
  const faultOf = async (verification: Promise<unknown>) => {
    const error: unknown = await verification.then(
      () => undefined,
      (failure: unknown) => failure,
    );
    expect(error).toBeInstanceOf(built.webhooks.WebhookVerificationError);
    return (error as { fault: string }).fault;
  };

  describe('of a worker', () => {
    let service: TestService;
    let worker: TestWorker;
    let receiver: Receiver;
    beforeAll(async () => {
      service = await startService({ env: { WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8' } });
      worker = await startWorker(service.database);
      receiver = await startReceiver();
    });
    afterAll(async () => {
      await Promise.all([worker.stop(), receiver.stop()]);
      await service.stop();
    });

    it('accepts messages of the service, in v1 and v1a, and no altered one', async () => {
      const client = new built.client.OrdersClient({ baseUrl: service.url });
      await client.register({ email: newEmail(), password: 'a password for tests', tenant_name: 'Client Ltd' });
      const endpoint = (path: string, signature: 'v1' | 'v1a') =>
        client.post('/api/v1/webhooks/endpoints', {
          body: { url: `${receiver.url}${path}`, event_types: ['order.*'], signature },
        });
      const { data: shared } = await endpoint('/v1', 'v1');
      const { data: publicly } = await endpoint('/v1a', 'v1a');
      const { data: order } = await client.post('/api/v1/orders', {
        body: {
          customer_id: '0198c0de-7a11-7000-8000-000000000042',
          currency: 'USD',
          items: [{ product_id: 'prod-1', product_name: 'Brass gear é', quantity: 2, unit_price: '29.99' }],
        },
      });
      const received = await receiver.waitFor(2);
      const { data: jwks } = await client.get('/api/v1/webhooks/jwks');
      const keysOf = { '/v1': shared.secret, '/v1a': jwks.keys };
      for (const { path, headers, body } of received) {
        const keys = keysOf[path as keyof typeof keysOf];
        const event = await verify({ headers, body: Buffer.from(body) }, keys);
        if (event.type !== 'order.created') throw new Error(`got ${event.type}`);
        expect(event.data).toEqual(order);
        const forged = body.replace('"59.98"', '"0.98"');
        expect(forged).not.toBe(body);
        expect(await faultOf(verify({ headers, body: Buffer.from(forged) }, keys))).toBe('no_signature_fits');
        // Another key fails, and so does a key of the other kind.
        expect(await faultOf(verify({ headers, body }, [newSecret(), newSigningKeyPair().publicKey]))).toBe(
          'no_signature_fits',
        );
      }
      expect(received.map(({ path }) => path).sort()).toEqual(['/v1', '/v1a']);
      const { data: key } = await client.get('/api/v1/webhooks/endpoints/{id}/secret', {
        params: { path: { id: publicly.id } },
      });
      const asymmetric = received.find(({ path }) => path === '/v1a')!;
      await verify(asymmetric, key.secret);
    });
  });

  it('is done in a receiver that has Fetch’s own requests, or Node’s', async () => {
    const secret = newSecret();
    const { headers, body } = message([secret]);
    const request = new Request('http://localhost/webhooks', { method: 'POST', headers, body });
    const event = await verify({ headers: request.headers, body: await request.arrayBuffer() }, secret);
    expect(event).toEqual(JSON.parse(body));
    const spelled = { 'Webhook-Id': headers['webhook-id'], 'WEBHOOK-TIMESTAMP': headers['webhook-timestamp'] };
    await verify({ headers: { ...spelled, 'Webhook-Signature': headers['webhook-signature'] }, body }, secret);
    // A view into a larger buffer, such as Node's pool has.
    const pool = Buffer.concat([Buffer.from('before'), Buffer.from(body), Buffer.from('after')]);
    await verify({ headers, body: pool.subarray(6, pool.length - 5) }, secret);
  });

  it.each(vectors.map((vector) => [vector.name, vector] as const))(
    'fits the golden signature: %s',
    async (_, vector) => {
      const { verifyWebhook } = built.webhooks;
      const headers = {
        'webhook-id': vector.id,
        'webhook-timestamp': String(vector.timestamp),
        'webhook-signature': vector.signature,
      };
      const keys = vector.secrets.map((secret) => (secret.startsWith('whsk_') ? publicKeyOf(secret) : secret));
      for (const key of keys) {
        const verification = verifyWebhook(
          { headers, body: vector.body },
          { keys: key, now: () => vector.timestamp * 1000 },
        );
        const isEvent = vector.body.includes('"type"');
        await (isEvent ? verification : expect(verification).rejects.toMatchObject({ fault: 'malformed_body' }));
      }
      expect(keys.length).toBeGreaterThan(0);
    },
  );

  it('takes one signature of several, by one key of several, while secrets rotate', async () => {
    const [old, next, other] = [newSecret(), newSecret(), newSecret()];
    const pair = newSigningKeyPair();
    const rotating = message([next, old, pair.privateKey]);
    for (const keys of [old, next, pair.publicKey, [other, old], [other, pair.publicKey]]) {
      await verify(rotating, keys);
    }
    expect(await faultOf(verify(rotating, other))).toBe('no_signature_fits');
    const unknown = {
      ...rotating.headers,
      'webhook-signature': `v2,AAAA v1, ${rotating.headers['webhook-signature']}`,
    };
    await verify({ ...rotating, headers: unknown }, old);
  });

  it('looks at so many signatures and no more', async () => {
    const secret = newSecret();
    const { headers, body } = message([secret]);
    const padded = (count: number) => ({
      ...headers,
      'webhook-signature': [...Array<string>(count).fill('v1,AAAA'), headers['webhook-signature']].join(' '),
    });
    await verify({ headers: padded(15), body }, secret);
    expect(await faultOf(verify({ headers: padded(16), body }, secret))).toBe('no_signature_fits');
  });

  it.each([4 * 60 + 55, -4 * 60 - 55])('believes a message that is %d seconds old', async (age) => {
    const secret = newSecret();
    await verify(message([secret], { age }), secret);
  });

  it.each([5 * 60 + 5, -5 * 60 - 5])('refuses a message that is %d seconds old', async (age) => {
    const secret = newSecret();
    expect(await faultOf(verify(message([secret], { age }), secret))).toBe('stale');
  });

  it('refuses a message without its headers, or with other ones', async () => {
    const secret = newSecret();
    const { headers, body } = message([secret]);
    for (const name of Object.keys(headers)) {
      const { [name]: _, ...rest } = headers;
      expect(await faultOf(verify({ headers: rest, body }, secret))).toBe('missing_headers');
    }
    const other = (change: Record<string, string>) =>
      faultOf(verify({ headers: { ...headers, ...change }, body }, secret));
    expect(await other({ 'webhook-id': 'another' })).toBe('no_signature_fits');
    expect(await other({ 'webhook-timestamp': String(Number(headers['webhook-timestamp']) - 1) })).toBe(
      'no_signature_fits',
    );
    expect(await other({ 'webhook-timestamp': '1e9' })).toBe('missing_headers');
    for (const signature of ['v1,', 'v1', ',', 'v1,!!', headers['webhook-signature']!.replace('v1,', 'v1a,')]) {
      expect(await other({ 'webhook-signature': signature })).toBe('no_signature_fits');
    }
  });

  it('names the fault of a body that was parsed, a key that is none, and a genuine message that is no event', async () => {
    const secret = newSecret();
    const signed = message([secret]);
    await expect(verify({ ...signed, body: JSON.parse(BODY) as never }, secret)).rejects.toThrow(/raw bytes/);
    for (const key of ['', 'whsec_', 'whsec_not base64', 'whsk_AAAA', 'whpk_']) {
      await expect(verify(signed, key)).rejects.toThrow(TypeError);
    }
    await expect(verify(signed, 'whsec_c2VjcmV0!')).rejects.not.toThrow(/c2VjcmV0/);
    expect(await faultOf(verify(message([secret], { body: '[]' }), secret))).toBe('malformed_body');
    expect(await faultOf(verify(message([secret], { body: 'null' }), secret))).toBe('malformed_body');
  });
});
