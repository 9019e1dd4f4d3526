/**
 * A signed head of a log, as a C2SP `tlog-checkpoint`: a note of three lines (origin, size, root hash), a blank line,
 * and a line with the signature. The name of the key is the origin; its id is derived from the name and the public key,
 * so that a note of one log never verifies as another's.
 */
import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';

const ED25519 = 1;
const KEY_ID_BYTES = 4;
/** The bytes before the 32 bytes of an Ed25519 key in DER. */
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

function publicKeyOf(raw: Buffer): KeyObject {
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
export function signCheckpoint(
  origin: string,
  head: TreeHead,
  key: { publicKey: Buffer; privateKey: KeyObject },
): string {
  const text = `${origin}\n${head.size}\n${head.rootHash.toString('base64')}\n`;
  const signature = Buffer.concat([keyId(origin, key.publicKey), sign(null, Buffer.from(text), key.privateKey)]);
  return `${text}\n— ${origin} ${signature.toString('base64')}\n`;
}

/** A checkpoint as it was read, with its signatures. */
export interface ParsedCheckpoint extends TreeHead {
  origin: string;
  text: string;
  signatures: { name: string; keyId: Buffer; signature: Buffer }[];
}

/** Reads a note. @throws RangeError with its fault */
export function parseCheckpoint(note: string): ParsedCheckpoint {
  const end = note.indexOf('\n\n');
  if (end === -1) throw new RangeError('the checkpoint has no blank line before its signatures');
  const text = note.slice(0, end + 1);
  const [origin = '', size = '', root = ''] = text.split('\n');
  if (origin === '' || !/^(0|[1-9]\d{0,15})$/.test(size))
    throw new RangeError('the checkpoint has no origin or no size');
  const rootHash = Buffer.from(root, 'base64');
  if (rootHash.length !== 32 || rootHash.toString('base64') !== root)
    throw new RangeError('the checkpoint has no root hash');
  const lines = note
    .slice(end + 2)
    .split('\n')
    .filter((line) => line !== '');
  const signatures = lines.map((line) => {
    const match = /^— (\S+) ([A-Za-z0-9+/]+={0,2})$/.exec(line);
    if (!match) throw new RangeError('a signature of the checkpoint is malformed');
    const bytes = Buffer.from(match[2] as string, 'base64');
    return {
      name: match[1] as string,
      keyId: bytes.subarray(0, KEY_ID_BYTES),
      signature: bytes.subarray(KEY_ID_BYTES),
    };
  });
  return { origin, size: Number(size), rootHash, text, signatures };
}

/** Whether one of the keys has signed the checkpoint under its own name. */
export function isSigned(checkpoint: ParsedCheckpoint, publicKeys: readonly Buffer[]): boolean {
  const { origin, text, signatures } = checkpoint;
  return publicKeys.some((publicKey) =>
    signatures.some(
      (one) =>
        one.name === origin &&
        one.keyId.equals(keyId(origin, publicKey)) &&
        verify(null, Buffer.from(text), publicKeyOf(publicKey), one.signature),
    ),
  );
}
