import { createPublicKey, verify as verifySignature } from 'node:crypto';

const TOLERANCE_SECONDS = 5 * 60;

/** Throws unless a message is authentic, unaltered and recent. `publicKey` is the key of the endpoint, `whpk_…`. */
export function verify(publicKey, headers, body) {
  const id = headers['webhook-id'];
  const timestamp = headers['webhook-timestamp'];
  const signatures = headers['webhook-signature'];
  if (!id || !signatures || !/^\d{1,12}$/.test(timestamp)) throw new Error('headers are missing');
  if (Math.abs(Date.now() / 1000 - Number(timestamp)) > TOLERANCE_SECONDS) throw new Error('too old, or too new');

  const x = Buffer.from(publicKey.slice('whpk_'.length), 'base64').toString('base64url');
  // A key from the JWKS route already has this form.
  const key = createPublicKey({ format: 'jwk', key: { kty: 'OKP', crv: 'Ed25519', x } });
  const signed = Buffer.concat([Buffer.from(`${id}.${timestamp}.`), body]);
  const genuine = signatures.split(' ').some((entry) => {
    const [version, signature = ''] = entry.split(',');
    return version === 'v1a' && verifySignature(null, signed, key, Buffer.from(signature, 'base64'));
  });
  if (!genuine) throw new Error('no signature fits');
}
