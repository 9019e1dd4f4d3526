/** The statements by which a tree takes entries. */
import type { NodeId } from '../../platform/audit/merkle';
import { insertRows } from '../../platform/database/sql/insert-values';
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
  return insertRows({
    name: 'audit_leaves_insert',
    table: 'audit_leaves',
    shared: { tenant_id: ['uuid', tenantId] },
    columns: { leaf_index: 'bigint', entry_id: 'uuid', hash: 'bytea' },
    rows: leaves.map((leaf) => [leaf.index, leaf.entryId, leaf.hash]),
  });
}

export function insertNodes(tenantId: string, nodes: readonly (NodeId & { hash: Buffer })[]): Statement {
  return insertRows({
    name: 'audit_nodes_insert',
    table: 'audit_nodes',
    shared: { tenant_id: ['uuid', tenantId] },
    columns: { level: 'smallint', node_index: 'bigint', hash: 'bytea' },
    rows: nodes.map((node) => [node.level, node.index, node.hash]),
  });
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
