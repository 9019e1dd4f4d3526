import { createHash } from 'node:crypto';
import {
  EMPTY_ROOT,
  isConsistent,
  leafHash,
  nodeHash,
  type NodeHash,
  ProofPlan,
  rootHash,
  rootOfInclusion,
} from './merkle';

const LEAVES = Array.from({ length: 40 }, (_, index) => leafHash(Buffer.from(`leaf ${index}`)));

/** The definition of RFC 6962, word for word. */
function definedRoot(leaves: readonly Buffer[]): Buffer {
  if (leaves.length === 0) return createHash('sha256').digest();
  if (leaves.length === 1) return leaves[0] as Buffer;
  let half = 1;
  while (half * 2 < leaves.length) half *= 2;
  return nodeHash(definedRoot(leaves.slice(0, half)), definedRoot(leaves.slice(half)));
}

const hashOf: NodeHash = ({ level, index }) => {
  const width = 2 ** level;
  const leaves = LEAVES.slice(index * width, (index + 1) * width);
  if (leaves.length !== width) throw new Error('the node is not within the tree');
  return definedRoot(leaves);
};

describe('the Merkle tree', () => {
  it('has the root that RFC 6962 defines, for every size', () => {
    expect(rootHash(0, hashOf)).toEqual(EMPTY_ROOT);
    for (let size = 1; size <= LEAVES.length; size++) {
      expect(rootHash(size, hashOf)).toEqual(definedRoot(LEAVES.slice(0, size)));
    }
  });

  it('hashes the test leaf of Certificate Transparency as its reference does', () => {
    expect(leafHash(Buffer.alloc(0)).toString('hex')).toBe(
      '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
    );
  });

  it('proves that each leaf is in each tree, and nothing else', () => {
    for (let size = 1; size <= LEAVES.length; size++) {
      const root = definedRoot(LEAVES.slice(0, size));
      for (let index = 0; index < size; index++) {
        const proof = ProofPlan.inclusion(index, size).hashes(hashOf);
        expect(rootOfInclusion(LEAVES[index] as Buffer, index, size, proof)).toEqual(root);
        expect(rootOfInclusion(leafHash(Buffer.from('forged')), index, size, proof)).not.toEqual(root);
        if (size > 1) {
          const other = (index + 1) % size;
          expect(rootOfInclusion(LEAVES[index] as Buffer, other, size, proof)).not.toEqual(root);
        }
      }
    }
  });

  it('proves that each tree begins with each smaller one, and detects a fork', () => {
    for (let to = 0; to <= LEAVES.length; to++) {
      const second = { size: to, root: definedRoot(LEAVES.slice(0, to)) };
      for (let from = 0; from <= to; from++) {
        const first = { size: from, root: definedRoot(LEAVES.slice(0, from)) };
        const proof = ProofPlan.consistency(from, to).hashes(hashOf);
        expect(isConsistent(first, second, proof)).toBe(true);
        if (from === 0) continue;
        expect(isConsistent({ size: from, root: leafHash(first.root) }, second, proof)).toBe(false);
        expect(isConsistent(first, { size: to, root: leafHash(second.root) }, proof)).toBe(false);
        expect(isConsistent(first, second, [...proof, first.root])).toBe(false);
        if (proof.length > 0) expect(isConsistent(first, second, proof.slice(1))).toBe(false);
      }
    }
  });
});
