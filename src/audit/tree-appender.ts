import { type NodeHash, nodeHash, type NodeId, rootHash, rootNodes } from '../platform/audit/merkle';

/** Appends leaves to a tree with known hashes along its edge, and returns the rows to store. */
export class TreeAppender {
  private readonly known = new Map<string, Buffer>();
  /** Roots of perfect subtrees of two leaves and more that are complete now. */
  nodes: (NodeId & { hash: Buffer })[] = [];

  /** @param edge gives the hashes of {@link rootNodes} of the size */
  constructor(
    public size: number,
    edge: NodeHash,
  ) {
    for (const node of rootNodes(size)) this.known.set(key(node), edge(node));
  }

  append(leaf: Buffer): void {
    let node: NodeId = { level: 0, index: this.size };
    let hash = leaf;
    this.known.set(key(node), hash);
    // A node that is a right child completes its parent.
    while (node.index % 2 === 1) {
      const sibling = { level: node.level, index: node.index - 1 };
      hash = nodeHash(this.hashOf(sibling), hash);
      // Only the roots along the edge are needed again.
      this.known.delete(key(sibling));
      this.known.delete(key(node));
      node = { level: node.level + 1, index: (node.index - 1) / 2 };
      this.known.set(key(node), hash);
      this.nodes.push({ ...node, hash });
    }
    this.size++;
  }

  get root(): Buffer {
    return rootHash(this.size, (node) => this.hashOf(node));
  }

  private hashOf(node: NodeId): Buffer {
    const hash = this.known.get(key(node));
    if (!hash) throw new Error(`the tree has no node ${key(node)}`);
    return hash;
  }
}

function key({ level, index }: NodeId): string {
  return `${level}/${index}`;
}
