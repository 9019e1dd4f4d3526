/** The statements that read a log's tree. */
import type { NodeHash, NodeId } from '../platform/audit/merkle';
import type { Row, Statement } from '../platform/database/sql/statement';
import { ENTRY_COLUMNS, type EntryRow } from './audit.queries';
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

/** A leaf with its entry, if that still exists. */
export interface LeafRow extends Partial<EntryRow> {
  leaf_index: string;
  entry_id: string;
  hash: Buffer;
  canonical: Buffer | null;
  salts: Record<string, string>[] | null;
}

/** Leaves from an index on, in order, with the content of their entries. */
export function listLeaves(tenantId: string, from: number, limit: number): Statement {
  return {
    name: 'audit_leaves_list',
    text: `select f.leaf_index, f.entry_id, f.hash, l.canonical, ${ENTRY_COLUMNS},
                  (select json_agg(p.salts) from audit_personal p where p.tenant_id = $1 and p.entry_id = l.id) as salts
             from audit_leaves f left join audit_log l on l.tenant_id = $1 and l.id = f.entry_id
            where f.tenant_id = $1 and f.leaf_index >= $2 order by f.leaf_index limit $3`,
    values: [tenantId, from, limit],
  };
}

/** Entries before an id that no tree has and that do not wait for it either, the oldest first. */
export function findStrayEntries(tenantId: string, before: string, limit: number): Statement {
  return {
    name: 'audit_stray_entries',
    text: `select l.id from audit_log l
            where l.tenant_id = $1 and l.id < $2
              and not exists (select from audit_leaves f where f.tenant_id = $1 and f.entry_id = l.id)
              and not exists (select from audit_pending p where p.tenant_id = $1 and p.entry_id = l.id)
            order by l.id limit $3`,
    values: [tenantId, before, limit],
  };
}
