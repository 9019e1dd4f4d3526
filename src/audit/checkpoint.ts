/**
 * A signed head of a log, as a C2SP `tlog-checkpoint`: a note of three lines (origin, size, root hash), a blank line, and
 * a line with the signature. The name of the key is the origin; its id is made of the name and the public key, so that a
 * note of one log never verifies as another's.
 */
import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto';

const ED25519 = 1;
const KEY_ID_BYTES = 4;
/** What stands before the 32 bytes of an Ed25519 key in DER. */
const PUBLIC_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');
const PRIVATE_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');

/** The head of a tree. */
export interface TreeHead {
  size: number;
  rootHash: Buffer;
}

/** The name of a tenant's log; it does not change with the address of the service. */
export function originOfLog(tenantId: string): string {
  return `orders-saas-api/audit-log/${tenantId}`;
}

export function publicKeyOf(raw: Buffer): KeyObject {
  return createPublicKey({ key: Buffer.concat([PUBLIC_PREFIX, raw]), format: 'der', type: 'spki' });
}

export function privateKeyOf(raw: Buffer): KeyObject {
  return createPrivateKey({ key: Buffer.concat([PRIVATE_PREFIX, raw]), format: 'der', type: 'pkcs8' });
}

function keyId(name: string, publicKey: Buffer): Buffer {
  const bytes = Buffer.concat([Buffer.from(`${name}\n`), Buffer.of(ED25519), publicKey]);
  return createHash('sha256').update(bytes).digest().subarray(0, KEY_ID_BYTES);
}

/** The signed note of a head. */
export function signCheckpoint(origin: string, head: TreeHead, key: { publicKey: Buffer; privateKey: KeyObject }): string {
  const text = `${origin}\n${head.size}\n${head.rootHash.toString('base64')}\n`;
  const signature = Buffer.concat([keyId(origin, key.publicKey), sign(null, Buffer.from(text), key.privateKey)]);
  return `${text}\n— ${origin} ${signature.toString('base64')}\n`;
}
