/**
 * The Merkle tree of RFC 6962 (section 2.1): hashes, roots, inclusion and consistency proofs. A tree of n leaves is a
 * few perfect subtrees. Every proof consists of the roots of perfect subtrees, which are stored by level and index and
 * never change, so that appending and proving take a number of hashes that is logarithmic in n.
 */
import { createHash } from 'node:crypto';

/** The root of the perfect subtree over leaves `index * 2^level` up to `(index + 1) * 2^level`. */
export interface NodeId {
  readonly level: number;
  readonly index: number;
}

/** The hash of a perfect subtree that is within the tree. */
export type NodeHash = (node: NodeId) => Buffer;

export function leafHash(bytes: Buffer): Buffer {
  return createHash('sha256').update(Buffer.of(0)).update(bytes).digest();
}

export function nodeHash(left: Buffer, right: Buffer): Buffer {
  return createHash('sha256').update(Buffer.of(1)).update(left).update(right).digest();
}

/** The root of the empty tree. */
export const EMPTY_ROOT = createHash('sha256').digest();

/** A range of leaves whose hash a proof needs. */
interface Range {
  readonly from: number;
  readonly to: number;
}

/** The largest power of two below `count`, which is at least two. */
function split(count: number): number {
  let half = 1;
  while (half * 2 < count) half *= 2;
  return half;
}

/** The perfect subtrees of a range that begins at a multiple of its largest one, from left to right. */
function subtreesOf({ from, to }: Range): NodeId[] {
  const nodes: NodeId[] = [];
  for (let at = from; at < to;) {
    let level = 0;
    while (at % 2 ** (level + 1) === 0 && at + 2 ** (level + 1) <= to) level++;
    nodes.push({ level, index: at / 2 ** level });
    at += 2 ** level;
  }
  return nodes;
}

function rangeHash(range: Range, hashOf: NodeHash): Buffer {
  const hashes = subtreesOf(range).map(hashOf);
  return hashes.reduceRight((right, left) => nodeHash(left, right));
}

/** The nodes that form the root of a tree of this size. */
export function rootNodes(size: number): NodeId[] {
  return subtreesOf({ from: 0, to: size });
}

/** The root of the tree of the first `size` leaves. */
export function rootHash(size: number, hashOf: NodeHash): Buffer {
  return size === 0 ? EMPTY_ROOT : rangeHash({ from: 0, to: size }, hashOf);
}

/** The ranges whose hashes prove that leaf `index` is in a tree of `size` leaves, from the leaf upwards. */
function inclusionRanges(index: number, { from, to }: Range): Range[] {
  if (to - from === 1) return [];
  const middle = from + split(to - from);
  return index < middle
    ? [...inclusionRanges(index, { from, to: middle }), { from: middle, to }]
    : [...inclusionRanges(index, { from: middle, to }), { from, to: middle }];
}

/** The ranges of the proof that the tree of `size` leaves begins with that of `first` ones. */
function consistencyRanges(first: number, { from, to }: Range, complete: boolean): Range[] {
  if (first === to) return complete ? [] : [{ from, to }];
  const middle = from + split(to - from);
  return first <= middle
    ? [...consistencyRanges(first, { from, to: middle }, complete), { from: middle, to }]
    : [...consistencyRanges(first, { from: middle, to }, false), { from, to: middle }];
}

/** A proof as the ranges of its hashes: first the nodes are looked up, then the proof is written. */
export class ProofPlan {
  private constructor(private readonly ranges: readonly Range[]) {}

  /** The proof that leaf `index` is in the tree of `size` leaves; `index` is below `size`. */
  static inclusion(index: number, size: number): ProofPlan {
    return new ProofPlan(inclusionRanges(index, { from: 0, to: size }));
  }

  /** The proof that the tree of `to` leaves begins with that of `from`; `from` is at most `to`. */
  static consistency(from: number, to: number): ProofPlan {
    return new ProofPlan(from === 0 || from === to ? [] : consistencyRanges(from, { from: 0, to }, true));
  }

  /** The nodes that have to be known. */
  get nodes(): NodeId[] {
    return this.ranges.flatMap(subtreesOf);
  }

  hashes(hashOf: NodeHash): Buffer[] {
    return this.ranges.map((range) => rangeHash(range, hashOf));
  }
}

/** The root to which an inclusion proof leads; undefined for a proof of the wrong length. */
export function rootOfInclusion(
  leaf: Buffer,
  index: number,
  size: number,
  proof: readonly Buffer[],
): Buffer | undefined {
  if (index >= size) return undefined;
  const ranges = inclusionRanges(index, { from: 0, to: size });
  if (ranges.length !== proof.length) return undefined;
  return ranges.reduce(
    (hash, { from }, at) => (from > index ? nodeHash(hash, proof[at] as Buffer) : nodeHash(proof[at] as Buffer, hash)),
    leaf,
  );
}

/** Whether a consistency proof leads from one root to the other. */
export function isConsistent(
  first: { size: number; root: Buffer },
  second: { size: number; root: Buffer },
  proof: readonly Buffer[],
): boolean {
  if (first.size > second.size) return false;
  if (first.size === 0) return proof.length === 0;
  if (first.size === second.size) return proof.length === 0 && first.root.equals(second.root);
  const rest = [...proof];
  // A first tree that is perfect is a node of the second one, and its root is not repeated.
  const isPerfect = Number.isInteger(Math.log2(first.size));
  const seed = isPerfect ? first.root : rest.shift();
  if (!seed) return false;
  let [older, newer] = [seed, seed];
  let [last, end] = [first.size - 1, second.size - 1];
  while (last % 2 === 1) [last, end] = [Math.floor(last / 2), Math.floor(end / 2)];
  for (const hash of rest) {
    if (end === 0) return false;
    if (last % 2 === 1 || last === end) {
      older = nodeHash(hash, older);
      newer = nodeHash(hash, newer);
      while (last % 2 === 0 && last !== 0) [last, end] = [Math.floor(last / 2), Math.floor(end / 2)];
    } else {
      newer = nodeHash(newer, hash);
    }
    [last, end] = [Math.floor(last / 2), Math.floor(end / 2)];
  }
  return end === 0 && older.equals(first.root) && newer.equals(second.root);
}
