/** The statements by which a tree takes entries. */
import type { NodeId } from '../../platform/audit/merkle';
import type { Row, Statement } from '../../platform/database/sql/statement';

/** Any text before a tenant's id, the same in every release: of two workers one folds a tenant's entries. */
const LOCK = 'audit-tree/';

export function lockTree(tenantId: string): Statement {
  return {
    name: 'audit_tree_lock',
    text: 'select pg_try_advisory_xact_lock(hashtextextended($1, 0)) as locked',
    values: [`${LOCK}${tenantId}`],
  };
}

export interface PendingRow extends Row {
  entry_id: string;
  /** Null if the entry was deleted. */
  canonical: Buffer | null;
}

/** The committed entries outside the tree, in the order of their ids. */
export function findPending(tenantId: string, limit: number): Statement {
  return {
    name: 'audit_pending_find',
    text: `select p.entry_id, l.canonical from audit_pending p
             left join audit_log l on l.tenant_id = $1 and l.id = p.entry_id
            where p.tenant_id = $1 order by p.entry_id limit $2`,
    values: [tenantId, limit],
  };
}

export function removePending(tenantId: string, entryIds: readonly string[]): Statement {
  return {
    name: 'audit_pending_remove',
    text: 'delete from audit_pending where tenant_id = $1 and entry_id = any ($2::uuid[])',
    values: [tenantId, entryIds],
  };
}

export interface NewHead {
  size: number;
  rootHash: Buffer;
  signedAt: Date;
  keyId: string;
  note: string;
}

export function saveTree(tenantId: string, head: NewHead): Statement {
  return {
    name: 'audit_tree_save',
    text: `insert into audit_trees (tenant_id, size, root_hash, signed_at, key_id, note) values ($1, $2, $3, $4, $5, $6)
           on conflict (tenant_id) do update set size = excluded.size, root_hash = excluded.root_hash,
             signed_at = excluded.signed_at, key_id = excluded.key_id, note = excluded.note`,
    values: [tenantId, head.size, head.rootHash, head.signedAt, head.keyId, head.note],
  };
}

export interface NewLeaf {
  index: number;
  entryId: string;
  hash: Buffer;
}

export function insertLeaves(tenantId: string, leaves: readonly NewLeaf[]): Statement {
  return {
    name: 'audit_leaves_insert',
    text: `insert into audit_leaves (tenant_id, leaf_index, entry_id, hash)
           select $1::uuid, n.leaf_index, n.entry_id, decode(n.hash, 'hex')
             from unnest($2::bigint[], $3::uuid[], $4::text[]) as n (leaf_index, entry_id, hash)`,
    values: [
      tenantId,
      leaves.map((leaf) => leaf.index),
      leaves.map((leaf) => leaf.entryId),
      leaves.map((leaf) => leaf.hash.toString('hex')),
    ],
  };
}

export function insertNodes(tenantId: string, nodes: readonly (NodeId & { hash: Buffer })[]): Statement {
  return {
    name: 'audit_nodes_insert',
    text: `insert into audit_nodes (tenant_id, level, node_index, hash)
           select $1::uuid, n.level, n.node_index, decode(n.hash, 'hex')
             from unnest($2::smallint[], $3::bigint[], $4::text[]) as n (level, node_index, hash)`,
    values: [
      tenantId,
      nodes.map((node) => node.level),
      nodes.map((node) => node.index),
      nodes.map((node) => node.hash.toString('hex')),
    ],
  };
}

/** Tenants whose head has changed since its last announcement, at least an hour ago. */
export function findUnannounced(before: Date, limit: number): Statement {
  return {
    name: 'audit_trees_unannounced',
    text: `select tenant_id from audit_trees
            where announced_size < size and (announced_at is null or announced_at < $1) limit $2`,
    values: [before, limit],
  };
}

export function markAnnounced(tenantId: string, size: number, at: Date): Statement {
  return {
    name: 'audit_tree_announced',
    text: 'update audit_trees set announced_at = $3, announced_size = $2 where tenant_id = $1',
    values: [tenantId, size, at],
  };
}
