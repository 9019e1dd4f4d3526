/**
 * Signatures after the Standard Webhooks specification 1.0, over `<id>.<timestamp>.<body>` with the exact bytes that
 * are sent. `v1` is HMAC-SHA256 with a shared `whsec_` secret; `v1a` is ed25519 with a `whsk_` private key, whose
 * `whpk_` key is public. An endpoint whose secret is being rotated gets one signature per secret, separated by a space,
 * so that a receiver can change its secret at any time in between.
 */
import {
  createHmac,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  sign as cryptoSign,
} from 'node:crypto';
import type { JsonWebKey, KeyObject } from 'node:crypto';

const SYMMETRIC_PREFIX = 'whsec_';
const PRIVATE_PREFIX = 'whsk_';
const PUBLIC_PREFIX = 'whpk_';

/** The specification's bounds: 192 to 512 bits. */
const MIN_SECRET_BYTES = 24;
const MAX_SECRET_BYTES = 64;

/** PKCS #8 header of an ed25519 private key (RFC 8410), to be followed by the 32 bytes of the seed. */
const PKCS8_ED25519 = Buffer.from('302e020100300506032b657004220420', 'hex');

export interface Signable {
  /** The `webhook-id`: without a full stop, which separates the signed parts. */
  id: string;
  /** Unix time of this attempt, in whole seconds. */
  timestamp: number;
  /** The very bytes that will be sent. */
  body: Buffer | string;
  /** `whsec_…` and `whsk_…`, the current one first. */
  secrets: readonly string[];
}

export interface SigningKeyPair {
  privateKey: string;
  publicKey: string;
}

/** A new shared secret: `whsec_` and 32 random bytes. */
export function newSecret(): string {
  return SYMMETRIC_PREFIX + randomBytes(32).toString('base64');
}

/** A new ed25519 key pair in the specification's spelling: base64 of the raw 32 bytes of each. */
export function newSigningKeyPair(): SigningKeyPair {
  const seed = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' }).d!;
  const privateKey = PRIVATE_PREFIX + Buffer.from(seed, 'base64url').toString('base64');
  return { privateKey, publicKey: publicKeyOf(privateKey) };
}

/** The `whpk_` key that verifies what this `whsk_` key signs. */
export function publicKeyOf(privateKey: string): string {
  const x = createPublicKey(loadPrivateKey(privateKey)).export({ format: 'jwk' }).x!;
  return PUBLIC_PREFIX + Buffer.from(x, 'base64url').toString('base64');
}

/** A `whpk_` key as a JSON Web Key (RFC 8037), for the JWKS route. */
export function publicJwk(publicKey: string): JsonWebKey & { use: string; alg: string } {
  const raw = decodeKey(publicKey, PUBLIC_PREFIX, [32]);
  return { kty: 'OKP', crv: 'Ed25519', x: raw.toString('base64url'), use: 'sig', alg: 'EdDSA' };
}

/** The value of the `webhook-signature` header. */
export function sign({ id, timestamp, body, secrets }: Signable): string {
  if (id === '' || id.includes('.')) throw new RangeError('a webhook id is not empty and has no full stop');
  if (!Number.isSafeInteger(timestamp) || timestamp < 0)
    throw new RangeError('a webhook timestamp is whole unix seconds');
  if (secrets.length === 0) throw new RangeError('signing needs at least one secret');
  const head = `${id}.${timestamp}.`;
  let header = '';
  for (const secret of secrets) {
    if (header !== '') header += ' ';
    header += secret.startsWith(PRIVATE_PREFIX)
      ? signAsymmetric(head, body, secret)
      : signSymmetric(head, body, secret);
  }
  return header;
}

function signSymmetric(head: string, body: Buffer | string, secret: string): string {
  const key = decodeSymmetric(secret);
  return `v1,${createHmac('sha256', key).update(head).update(body).digest('base64')}`;
}

function signAsymmetric(head: string, body: Buffer | string, secret: string): string {
  const message = Buffer.concat([Buffer.from(head), typeof body === 'string' ? Buffer.from(body) : body]);
  return `v1a,${cryptoSign(null, message, loadPrivateKey(secret)).toString('base64')}`;
}

/** Decoding a key strictly costs half as much as signing with it, so the last ones stay decoded. */
const decodedKeys = new Map<string, Buffer>();
const MAX_DECODED_KEYS = 2_000;

function decodeSymmetric(secret: string): Buffer {
  const known = decodedKeys.get(secret);
  if (known) return known;
  const key = decodeKey(secret, SYMMETRIC_PREFIX);
  if (key.length < MIN_SECRET_BYTES || key.length > MAX_SECRET_BYTES) {
    throw new RangeError(`a webhook secret holds ${MIN_SECRET_BYTES} to ${MAX_SECRET_BYTES} bytes`);
  }
  if (decodedKeys.size >= MAX_DECODED_KEYS) decodedKeys.delete(decodedKeys.keys().next().value!);
  decodedKeys.set(secret, key);
  return key;
}

/** Parsing an ed25519 key costs more than signing with it, so the last few stay parsed. */
const parsedKeys = new Map<string, KeyObject>();
const MAX_PARSED_KEYS = 256;

function loadPrivateKey(privateKey: string): KeyObject {
  const known = parsedKeys.get(privateKey);
  if (known) return known;
  // 64 bytes are libsodium's form: the seed, then the public key. Other senders write it, so it can be brought along.
  const raw = decodeKey(privateKey, PRIVATE_PREFIX, [32, 64]);
  const key = createPrivateKey({
    key: Buffer.concat([PKCS8_ED25519, raw.subarray(0, 32)]),
    format: 'der',
    type: 'pkcs8',
  });
  if (raw.length === 64) {
    const x = createPublicKey(key).export({ format: 'jwk' }).x!;
    if (!Buffer.from(x, 'base64url').equals(raw.subarray(32)))
      throw new RangeError('the two halves of the whsk_ key differ');
  }
  if (parsedKeys.size >= MAX_PARSED_KEYS) parsedKeys.delete(parsedKeys.keys().next().value!);
  parsedKeys.set(privateKey, key);
  return key;
}

/**
 * Strict: Node's own decoder skips invalid base64, and a damaged key would sign without an error. No error contains the
 * key.
 */
function decodeKey(text: string, prefix: string, lengths?: readonly number[]): Buffer {
  if (!text.startsWith(prefix)) throw new RangeError(`expected a key that starts with ${prefix}`);
  const encoded = text.slice(prefix.length);
  const raw = Buffer.from(encoded, 'base64');
  if (raw.length === 0 || raw.toString('base64') !== encoded)
    throw new RangeError(`a ${prefix} key is not valid base64`);
  if (lengths && !lengths.includes(raw.length)) {
    throw new RangeError(`a ${prefix} key holds ${lengths.join(' or ')} bytes, not ${raw.length}`);
  }
  return raw;
}
