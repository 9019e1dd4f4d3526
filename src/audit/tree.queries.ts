/** The statements that read a log's tree. */
import type { NodeHash, NodeId } from '../platform/audit/merkle';
import type { Row, Statement } from '../platform/database/sql/statement';
import { originOfLog } from './checkpoint';

export interface TreeRow extends Row {
  size: string;
  root_hash: Buffer;
  signed_at: Date;
  note: string;
  announced_at: Date | null;
}

export function findTree(tenantId: string): Statement {
  return {
    name: 'audit_tree_find',
    text: 'select size, root_hash, signed_at, note, announced_at from audit_trees where tenant_id = $1',
    values: [tenantId],
  };
}

export interface NodeRow extends Row {
  level: number;
  node_index: string;
  hash: Buffer;
}

/** Roots of perfect subtrees; those of one leaf are the leaves themselves. */
export function findNodes(tenantId: string, nodes: readonly NodeId[]): Statement {
  const inner = nodes.filter(({ level }) => level > 0);
  const leaves = nodes.filter(({ level }) => level === 0);
  return {
    name: 'audit_nodes_find',
    text: `select n.level, n.node_index, n.hash from unnest($2::int[], $3::bigint[]) as w (level, node_index)
             join audit_nodes n on n.tenant_id = $1 and n.level = w.level and n.node_index = w.node_index
           union all
           select 0, l.leaf_index, l.hash from unnest($4::bigint[]) as w (leaf_index)
             join audit_leaves l on l.tenant_id = $1 and l.leaf_index = w.leaf_index`,
    values: [tenantId, inner.map((n) => n.level), inner.map((n) => n.index), leaves.map((n) => n.index)],
  };
}

/** The checkpoint as the API shows it. */
export function checkpointView(tenantId: string, tree: TreeRow) {
  return {
    origin: originOfLog(tenantId),
    size: Number(tree.size),
    root_hash: tree.root_hash.toString('base64'),
    signed_at: tree.signed_at.toISOString(),
    note: tree.note,
  };
}

/** The hashes of these rows by their nodes. */
export function hashesOf(rows: readonly NodeRow[]): NodeHash {
  const known = new Map(rows.map((row) => [`${row.level}/${row.node_index}`, row.hash]));
  return ({ level, index }: NodeId) => {
    const hash = known.get(`${level}/${index}`);
    if (!hash) throw new Error(`the tree lacks its node ${level}/${index}`);
    return hash;
  };
}

