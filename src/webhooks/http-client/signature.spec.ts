import { createPublicKey, verify } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { Webhook, WebhookVerificationError } from 'standardwebhooks';
import { newSecret, newSigningKeyPair, publicJwk, publicKeyOf, sign } from './signature';

interface Vector {
  name: string;
  id: string;
  timestamp: number;
  body: string;
  secrets: string[];
  signature: string;
}

const goldenPath = join(__dirname, '../../../test/golden/webhook-signatures.json');
const golden = JSON.parse(readFileSync(goldenPath, 'utf8')) as { vectors: Vector[] };

const id = '01980000-0000-7000-8000-000000000001';
const body = '{"type":"order.created","data":{"notes":"Grüße, 世界 🚀"}}';

function verifyAsymmetric(publicKey: string, signature: string, message: string): boolean {
  const key = createPublicKey({ key: publicJwk(publicKey), format: 'jwk' });
  return verify(null, Buffer.from(message), key, Buffer.from(signature.slice('v1a,'.length), 'base64'));
}

describe('webhook signatures', () => {
  it('matches the golden vectors', () => {
    const now = golden.vectors.map((vector) => ({ ...vector, signature: sign(vector) }));
    if (process.env.UPDATE_GOLDEN === '1')
      writeFileSync(goldenPath, `${JSON.stringify({ ...golden, vectors: now }, null, 2)}\n`);
    else if (JSON.stringify(now) !== JSON.stringify(golden.vectors)) {
      console.error(
        'To renew: UPDATE_GOLDEN=1 npx jest src/webhooks/http-client/signature.spec.ts (receivers depend on these: are you sure?)',
      );
      expect(now).toEqual(golden.vectors);
    }
    expect(now.length).toBeGreaterThanOrEqual(6);
  });

  it('is accepted by the standardwebhooks package for any body', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.boolean(), (text, asBuffer) => {
        const secret = newSecret();
        const timestamp = Math.floor(Date.now() / 1000);
        const sent = JSON.stringify({ text });
        const header = sign({ id, timestamp, body: asBuffer ? Buffer.from(sent) : sent, secrets: [secret] });
        const headers = { 'webhook-id': id, 'webhook-timestamp': String(timestamp), 'webhook-signature': header };
        expect(new Webhook(secret).verify(Buffer.from(sent), headers)).toEqual(
          JSON.parse(Buffer.from(sent).toString()),
        );
      }),
      { numRuns: 50 },
    );
  });

  it('is refused by the standardwebhooks package when a byte, the id or the time differs', () => {
    const secret = newSecret();
    const timestamp = Math.floor(Date.now() / 1000);
    const headers = {
      'webhook-id': id,
      'webhook-timestamp': String(timestamp),
      'webhook-signature': sign({ id, timestamp, body, secrets: [secret] }),
    };
    const receiver = new Webhook(secret);
    expect(() => receiver.verify(`${body} `, headers)).toThrow(WebhookVerificationError);
    expect(() => receiver.verify(body, { ...headers, 'webhook-id': `${id}0` })).toThrow(WebhookVerificationError);
    expect(() => receiver.verify(body, { ...headers, 'webhook-timestamp': String(timestamp + 1) })).toThrow(
      WebhookVerificationError,
    );
    expect(() => new Webhook(newSecret()).verify(body, headers)).toThrow(WebhookVerificationError);
  });

  it('lets holders of the old and of the new secret verify while rotating, with v1a beside them', () => {
    const [fresh, old] = [newSecret(), newSecret()];
    const pair = newSigningKeyPair();
    const timestamp = Math.floor(Date.now() / 1000);
    const header = sign({ id, timestamp, body, secrets: [fresh, old, pair.privateKey] });
    expect(header).toMatch(/^v1,[A-Za-z0-9+/]{43}= v1,[A-Za-z0-9+/]{43}= v1a,[A-Za-z0-9+/]{86}==$/);
    const headers = { 'webhook-id': id, 'webhook-timestamp': String(timestamp), 'webhook-signature': header };
    for (const secret of [fresh, old]) expect(new Webhook(secret).verify(body, headers)).toBeDefined();
    expect(verifyAsymmetric(pair.publicKey, header.split(' ')[2]!, `${id}.${timestamp}.${body}`)).toBe(true);
    expect(verifyAsymmetric(newSigningKeyPair().publicKey, header.split(' ')[2]!, `${id}.${timestamp}.${body}`)).toBe(
      false,
    );
  });

  it('knows the key of RFC 8032, test 1, with and without its public half', () => {
    const seed = Buffer.from('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60', 'hex');
    const point = Buffer.from('d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a', 'hex');
    const short = `whsk_${seed.toString('base64')}`;
    const long = `whsk_${Buffer.concat([seed, point]).toString('base64')}`;
    expect(publicKeyOf(short)).toBe(`whpk_${point.toString('base64')}`);
    expect(publicKeyOf(long)).toBe(publicKeyOf(short));
    expect(sign({ id, timestamp: 1, body, secrets: [long] })).toBe(sign({ id, timestamp: 1, body, secrets: [short] }));
    const mismatched = `whsk_${Buffer.concat([seed, Buffer.alloc(32)]).toString('base64')}`;
    expect(() => publicKeyOf(mismatched)).toThrow('halves');
  });

  it('makes secrets of 32 random bytes', () => {
    const secrets = new Set(Array.from({ length: 100 }, newSecret));
    expect(secrets.size).toBe(100);
    for (const secret of secrets) {
      expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
      expect(Buffer.from(secret.slice(6), 'base64')).toHaveLength(32);
    }
  });

  it.each([
    ['an empty list', []],
    ['no prefix', ['c2VjcmV0']],
    ['an empty key', ['whsec_']],
    ['base64 with a stray character', ['whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA AAA=']],
    ['too short a key', ['whsec_AAAAAAAAAAAAAAAAAAAAAA==']],
    ['a public key', ['whpk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=']],
    ['a private key of the wrong length', ['whsk_AAAA']],
  ])('refuses %s without naming the secret', (_name, secrets) => {
    let message = '';
    try {
      sign({ id, timestamp: 1, body, secrets });
    } catch (error) {
      message = (error as Error).message;
    }
    expect(message).not.toBe('');
    expect(message).not.toContain('AAAA');
  });

  it.each([
    { id: 'a.b', timestamp: 1 },
    { id: '', timestamp: 1 },
    { id, timestamp: 1.5 },
    { id, timestamp: Number.NaN },
    { id, timestamp: -1 },
  ])('refuses the ambiguous %j', (part) => {
    expect(() => sign({ ...part, body, secrets: [newSecret()] })).toThrow(RangeError);
  });
});
