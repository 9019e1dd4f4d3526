/**
 * Verification of messages to webhook endpoints (Standard Webhooks), with the platform's Web Crypto alone: it runs on
 * every platform with `fetch`.
 */
import type { webhooks } from './schema';

/** Every event of the service itself, told apart by `type`. */
export type WebhookEvent = {
  [Type in keyof webhooks]: webhooks[Type]['post']['requestBody']['content']['application/json'];
}[keyof webhooks];

/** The members of a tenant's own events besides `type` and `data`. */
export type Enveloped<Own extends { type: string; data: unknown }> = Own & Pick<WebhookEvent, 'id' | 'timestamp'>;

/**
 * A key that verifies: an endpoint's secret (`whsec_…`) for `v1`, or for `v1a` a public key, as text (`whpk_…`) or as
 * the JWKS route has it.
 */
export type VerificationKey = string | { kty: 'OKP'; crv: 'Ed25519'; x: string };

/** A webhook as it came. */
export interface ReceivedWebhook {
  /** The raw bytes of the body, or the text that they are in UTF-8: never what was parsed and written again. */
  body: Uint8Array | ArrayBuffer | string;
  /** The request's headers: `Headers`, or an object as Node has it. */
  headers: Headers | Record<string, string | string[] | undefined>;
}

export interface VerificationOptions {
  /** One key, or several while they change: one signature by one of them is enough. */
  keys: VerificationKey | readonly VerificationKey[];
  /** How far the message's time may be from the clock's, either way; 300 seconds. */
  toleranceSeconds?: number;
  /** The clock, unix milliseconds. */
  now?: () => number;
}

/** The fault of a webhook; respond to each with 401 and nothing else. */
export type WebhookFault = 'missing_headers' | 'stale' | 'no_signature_fits' | 'malformed_body';

/** A message that is not to be believed. */
export class WebhookVerificationError extends Error {
  override readonly name = 'WebhookVerificationError';

  constructor(
    readonly fault: WebhookFault,
    message: string,
  ) {
    super(message);
  }
}

/** Each costs a verification: more than rotating secrets need is a forged header. */
const MAX_SIGNATURES = 16;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const encoder = new TextEncoder();

type Bytes = Uint8Array<ArrayBuffer>;
interface Verifier {
  version: string;
  fits(signature: Bytes, signed: Bytes): Promise<boolean>;
}

/**
 * The event in a message that is genuine, unaltered and recent. Signatures are compared in constant time.
 *
 * `Own` adds the tenant's own events: `verifyWebhook<{ type: 'invoice.paid'; data: Invoice }>(…)`. A type that is not
 * known here is returned as well: a `switch` needs a `default`.
 * @throws WebhookVerificationError for a message that is not to be believed
 * @throws TypeError for a key or a body that is none, whatever the message
 */
export async function verifyWebhook<Own extends { type: string; data: unknown } = never>(
  message: ReceivedWebhook,
  options: VerificationOptions,
): Promise<WebhookEvent | Enveloped<Own>> {
  const { keys, toleranceSeconds = 300, now = Date.now } = options;
  const verifiers = await Promise.all([keys].flat().map((key) => verifierOf(key as VerificationKey)));
  const body = bytesOf(message.body);
  const [id, timestamp, signatures] = ['webhook-id', 'webhook-timestamp', 'webhook-signature'].map((name) =>
    headerOf(message.headers, name),
  );
  if (!id || !signatures || !timestamp || !/^\d{1,12}$/.test(timestamp)) {
    throw new WebhookVerificationError('missing_headers', 'the headers of a webhook are missing');
  }
  if (Math.abs(now() / 1000 - Number(timestamp)) > toleranceSeconds) {
    throw new WebhookVerificationError('stale', 'the message is too old, or too new');
  }
  const signed = concatenated(encoder.encode(`${id}.${timestamp}.`), body);
  if (!(await anyFits(signatures, signed, verifiers))) {
    throw new WebhookVerificationError('no_signature_fits', 'no signature fits the message');
  }
  return eventIn(body) as WebhookEvent | Enveloped<Own>;
}

async function anyFits(header: string, signed: Bytes, verifiers: readonly Verifier[]): Promise<boolean> {
  for (const entry of header.split(' ').slice(0, MAX_SIGNATURES)) {
    const comma = entry.indexOf(',');
    const [version, encoded] = [entry.slice(0, comma), entry.slice(comma + 1)];
    // Versions that are not known are passed over: the next one may be.
    const candidates = verifiers.filter((verifier) => verifier.version === version);
    if (candidates.length === 0 || !BASE64.test(encoded)) continue;
    const signature = decoded(encoded);
    for (const verifier of candidates) if (await verifier.fits(signature, signed)) return true;
  }
  return false;
}

/** No error names the key. */
async function verifierOf(key: VerificationKey): Promise<Verifier> {
  if (typeof key === 'string' && key.startsWith('whsec_')) {
    const secret = keyBytes(key, 'whsec_');
    const hmac = await crypto.subtle.importKey('raw', secret, { name: 'HMAC', hash: 'SHA-256' }, false, ['verify']);
    return { version: 'v1', fits: (signature, signed) => crypto.subtle.verify('HMAC', hmac, signature, signed) };
  }
  if (typeof key === 'string' && !key.startsWith('whpk_')) {
    throw new TypeError('a key is an endpoint’s whsec_… or whpk_…, or a key of the JWKS route');
  }
  const ed25519 =
    typeof key === 'string'
      ? await crypto.subtle.importKey('raw', keyBytes(key, 'whpk_'), { name: 'Ed25519' }, false, ['verify'])
      : await crypto.subtle.importKey('jwk', { kty: key.kty, crv: key.crv, x: key.x }, { name: 'Ed25519' }, false, [
          'verify',
        ]);
  return { version: 'v1a', fits: (signature, signed) => crypto.subtle.verify('Ed25519', ed25519, signature, signed) };
}

function keyBytes(key: string, prefix: string): Bytes {
  const encoded = key.slice(prefix.length);
  if (encoded === '' || !BASE64.test(encoded)) throw new TypeError(`a ${prefix} key is base64 after its prefix`);
  return decoded(encoded);
}

function eventIn(body: Bytes): unknown {
  let event: unknown;
  try {
    event = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    event = undefined;
  }
  const { id, type } = (event ?? {}) as { id?: unknown; type?: unknown };
  if (typeof id === 'string' && typeof type === 'string') return event;
  throw new WebhookVerificationError('malformed_body', 'the body is genuine, but no event');
}

function bytesOf(body: ReceivedWebhook['body']): Bytes {
  if (typeof body === 'string') return encoder.encode(body);
  // Copies: what is verified is what is parsed, whatever happens to the caller's buffer in between.
  if (ArrayBuffer.isView(body)) return new Uint8Array(body);
  if (body instanceof ArrayBuffer) return new Uint8Array(body).slice();
  throw new TypeError('the body must be the raw bytes that came: a parsed one cannot be verified');
}

function headerOf(headers: ReceivedWebhook['headers'], name: string): string | undefined {
  if (typeof (headers as Headers).get === 'function') return (headers as Headers).get(name) ?? undefined;
  const entry = Object.entries(headers).find(([key]) => key.toLowerCase() === name);
  return typeof entry?.[1] === 'string' ? entry[1] : undefined;
}

function concatenated(head: Bytes, body: Bytes): Bytes {
  const all = new Uint8Array(head.length + body.length);
  all.set(head);
  all.set(body, head.length);
  return all;
}

function decoded(base64: string): Bytes {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}
