/**
 * Verification of a tenant's audit log, with the platform's Web Crypto alone. A checkpoint that was kept, an entry's
 * proof and the public keys show that the entry is in the log as it was written; a consistency proof shows that a later
 * checkpoint still begins with an earlier one.
 */
import type { components } from './schema';

type Schemas = components['schemas'];
export type AuditEntry = Schemas['AuditEntry'];
export type AuditProof = Schemas['AuditProof'];
export type AuditCheckpoint = Schemas['AuditCheckpoint'];
export type AuditConsistencyProof = Schemas['AuditConsistencyProof'];
export type AuditKeys = Schemas['AuditKeys'];

/** The entry and its proof. */
export interface AuditVerification {
  /** The public keys, as `GET /.well-known/audit-keys.json` has them. */
  keys: AuditKeys;
  /** A checkpoint, or its note; the proofs must be of its size. */
  checkpoint: AuditCheckpoint | string;
  /** An entry, as the API shows it, with its proof. */
  entry?: AuditEntry;
  proof?: AuditProof;
  /** A checkpoint that was kept earlier, with the proof that leads from its size to the other's. */
  earlier?: AuditCheckpoint | string;
  consistency?: AuditConsistencyProof;
}

/** The first place that does not fit. */
export type AuditFault =
  | 'malformed_checkpoint'
  | 'origin_differs'
  | 'signature_does_not_verify'
  | 'end_is_missing'
  | 'not_consistent'
  | 'malformed_proof'
  | 'leaf_differs'
  | 'root_differs'
  | 'entry_differs';

/** A log, a checkpoint or an entry that is not to be believed. */
export class AuditVerificationError extends Error {
  override readonly name = 'AuditVerificationError';

  constructor(
    readonly fault: AuditFault,
    message: string,
  ) {
    super(message);
  }
}

type Bytes = Uint8Array<ArrayBuffer>;
interface Head {
  origin: string;
  size: number;
  root: Bytes;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true });
const ED25519 = 1;
const KEY_ID_BYTES = 4;

/** @throws AuditVerificationError naming the first place that does not fit */
export async function verifyAuditProof(input: AuditVerification): Promise<void> {
  const head = await verifyCheckpoint(input.checkpoint, input.keys);
  if (input.earlier !== undefined) {
    const earlier = await verifyCheckpoint(input.earlier, input.keys);
    await verifyConsistency(earlier, head, input.consistency);
  }
  if (input.proof) await verifyInclusion(head, input.proof);
  if (input.entry) {
    if (!input.proof) throw new AuditVerificationError('malformed_proof', 'the entry has no proof');
    await verifyEntry(input.entry, input.proof, head.origin);
  }
}

/** Reads a checkpoint and verifies its signature. @throws AuditVerificationError */
async function verifyCheckpoint(checkpoint: AuditCheckpoint | string, keys: AuditKeys): Promise<Head> {
  const note = typeof checkpoint === 'string' ? checkpoint : checkpoint.note;
  const end = note.indexOf('\n\n');
  const [origin = '', size = '', root = ''] = note.slice(0, end).split('\n');
  const rootHash = fromBase64(root);
  if (end === -1 || origin === '' || !/^(0|[1-9]\d{0,15})$/.test(size) || rootHash?.length !== 32) {
    throw new AuditVerificationError('malformed_checkpoint', 'the note has not the lines of a checkpoint');
  }
  const head = { origin, size: Number(size), root: rootHash };
  if (typeof checkpoint !== 'string') {
    const { origin: shown, size: shownSize, root_hash: shownRoot } = checkpoint;
    if (shown !== origin || shownSize !== head.size || shownRoot !== root) {
      throw new AuditVerificationError(
        'malformed_checkpoint',
        'the checkpoint says something else than its signed note',
      );
    }
  }
  const text = encoder.encode(note.slice(0, end + 1));
  for (const line of note.slice(end + 2).split('\n')) {
    const [dash, name, encoded] = line.split(' ');
    const bytes = encoded === undefined ? undefined : fromBase64(encoded);
    if (dash !== '—' || name !== origin || !bytes) continue;
    for (const { x } of keys.keys) if (await isSigned(origin, x, text, bytes)) return head;
  }
  throw new AuditVerificationError(
    'signature_does_not_verify',
    `no key has signed the checkpoint of ${head.size} entries`,
  );
}

async function isSigned(name: string, x: string, text: Bytes, bytes: Bytes): Promise<boolean> {
  const publicKey = fromBase64(x.replaceAll('-', '+').replaceAll('_', '/').padEnd(44, '='));
  if (publicKey?.length !== 32) return false;
  const id = (await sha256(concat(encoder.encode(`${name}\n`), Uint8Array.of(ED25519), publicKey))).subarray(
    0,
    KEY_ID_BYTES,
  );
  if (!isEqual(id, bytes.subarray(0, KEY_ID_BYTES))) return false;
  const key = await crypto.subtle.importKey('raw', publicKey, 'Ed25519', false, ['verify']);
  return crypto.subtle.verify('Ed25519', key, bytes.subarray(KEY_ID_BYTES), text);
}

/** Verifies that the leaf leads to the root of the head. */
async function verifyInclusion(head: Head, proof: AuditProof): Promise<void> {
  if (proof.size !== head.size) {
    throw new AuditVerificationError(
      'malformed_proof',
      `the proof is of size ${proof.size}, the checkpoint of ${head.size}`,
    );
  }
  const canonical = fromBase64(proof.canonical);
  const leaf = fromBase64(proof.leaf_hash);
  const hashes = proof.hashes.map(fromBase64);
  const path = proof.leaf_index < proof.size ? sidesOf(proof.leaf_index, proof.size) : undefined;
  if (!canonical || !leaf || !isComplete(hashes) || path?.length !== hashes.length) {
    throw new AuditVerificationError('malformed_proof', 'the proof is not one of this leaf and size');
  }
  if (!isEqual(await sha256(concat(Uint8Array.of(0), canonical)), leaf)) {
    throw new AuditVerificationError('leaf_differs', `leaf ${proof.leaf_index} is not the hash of its canonical bytes`);
  }
  let hash: Bytes = leaf;
  for (const [at, side] of path.entries()) {
    const other = hashes[at] as Bytes;
    hash = await (side === 'right' ? parent(hash, other) : parent(other, hash));
  }
  if (!isEqual(hash, head.root)) {
    throw new AuditVerificationError('root_differs', `leaf ${proof.leaf_index} is not in the tree of the checkpoint`);
  }
}

/** On which side of the path from a leaf to the root each hash of its proof stands, from the leaf upwards. */
function sidesOf(index: number, size: number): ('left' | 'right')[] {
  const sides: ('left' | 'right')[] = [];
  for (let [from, to] = [0, size]; to - from > 1;) {
    let half = 1;
    while (half * 2 < to - from) half *= 2;
    const isLeft = index < from + half;
    sides.push(isLeft ? 'right' : 'left');
    if (isLeft) to = from + half;
    else from += half;
  }
  return sides.reverse();
}

/** RFC 9162, section 2.1.4.2. */
async function verifyConsistency(first: Head, second: Head, proof: AuditConsistencyProof | undefined): Promise<void> {
  if (first.origin !== second.origin) {
    throw new AuditVerificationError('origin_differs', 'the two checkpoints are of different logs');
  }
  if (first.size > second.size) {
    throw new AuditVerificationError('end_is_missing', `the log had ${first.size} entries and has ${second.size}`);
  }
  const fail = (): never => {
    throw new AuditVerificationError(
      'not_consistent',
      `the first ${first.size} entries are not those of the earlier checkpoint`,
    );
  };
  if (first.size === second.size) return isEqual(first.root, second.root) ? undefined : fail();
  if (first.size === 0) return;
  const hashes = proof?.from === first.size && proof.to === second.size ? proof.hashes.map(fromBase64) : undefined;
  if (!hashes || !isComplete(hashes)) {
    throw new AuditVerificationError('malformed_proof', `a proof from size ${first.size} to ${second.size} is needed`);
  }
  const rest = [...hashes];
  const seed = Number.isInteger(Math.log2(first.size)) ? first.root : rest.shift();
  if (!seed) return fail();
  let [older, newer] = [seed, seed];
  let [last, end] = [first.size - 1, second.size - 1];
  const up = (): void => void ([last, end] = [Math.floor(last / 2), Math.floor(end / 2)]);
  while (last % 2 === 1) up();
  for (const hash of rest) {
    if (end === 0) return fail();
    if (last % 2 === 1 || last === end) {
      older = await parent(hash, older);
      newer = await parent(hash, newer);
      while (last % 2 === 0 && last !== 0) up();
    } else {
      newer = await parent(newer, hash);
    }
    up();
  }
  if (end !== 0 || !isEqual(older, first.root) || !isEqual(newer, second.root)) fail();
}

/** Compares the entry with its canonical bytes; erased values are not compared. */
async function verifyEntry(entry: AuditEntry, proof: AuditProof, origin: string): Promise<void> {
  const shown = new Map<string, string | null | undefined>([
    ['version', 'audit-entry/1'],
    ['tenant_id', origin.slice(origin.lastIndexOf('/') + 1)],
    ['id', entry.id],
    ['occurred_at', entry.occurred_at],
    ['actor.type', entry.actor.type],
    ['actor.id', entry.actor.id],
    ['actor.email', entry.actor.email],
    ['actor.via', entry.actor.via],
    ['action', entry.action],
    ['target.type', entry.target.type],
    ['target.id', entry.target.id],
    ['network', entry.network],
    ['user_agent', entry.user_agent],
    ['request_id', entry.request_id],
    ['session_id', entry.session_id],
    ['outcome', entry.outcome],
    ['count', String(entry.count)],
    ...Object.entries(entry.changes).map(([field, change]) => [`changes.${field}`, JSON.stringify(change)] as const),
  ]);
  const differs = (name: string): never => {
    throw new AuditVerificationError('entry_differs', `entry ${entry.id} was changed: ${name}`);
  };
  for (const [name, value] of pairsOf(fromBase64(proof.canonical) as Bytes)) {
    const salted = name.endsWith('#');
    const field = salted ? name.slice(0, -1) : name;
    const text = shown.get(field) ?? undefined;
    shown.delete(field);
    if (!salted) {
      if (text === undefined || !isEqual(encoder.encode(text), value)) differs(field);
      continue;
    }
    const salt = proof.salts[field];
    if (text === undefined && salt === undefined) continue;
    const bytes = salt === undefined ? undefined : fromBase64(salt);
    if (text === undefined || !bytes) differs(field);
    else if (!isEqual(await sha256(concat(bytes, encoder.encode(text))), value)) differs(field);
  }
  for (const [name, value] of shown) if (value !== null && value !== undefined) differs(name);
}

function pairsOf(bytes: Bytes): [string, Bytes][] {
  const parts: Bytes[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < bytes.length;) {
    const end = at + 4 <= bytes.length ? at + 4 + view.getUint32(at) : Infinity;
    if (end > bytes.length) throw new AuditVerificationError('malformed_proof', 'the canonical bytes end too early');
    parts.push(bytes.subarray(at + 4, end));
    at = end;
  }
  return Array.from({ length: parts.length / 2 }, (_, at) => [
    decoder.decode(parts[2 * at]),
    parts[2 * at + 1] as Bytes,
  ]);
}

function parent(left: Bytes, right: Bytes): Promise<Bytes> {
  return sha256(concat(Uint8Array.of(1), left, right));
}

async function sha256(bytes: Bytes): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
}

function concat(...parts: Uint8Array[]): Bytes {
  const all = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}

function isComplete(hashes: (Bytes | undefined)[]): hashes is Bytes[] {
  return hashes.every((hash) => hash?.length === 32);
}

function fromBase64(text: string): Bytes | undefined {
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text)) return undefined;
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
