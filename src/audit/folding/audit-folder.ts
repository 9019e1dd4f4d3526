import { Inject, Injectable } from '@nestjs/common';
import type { Logger } from 'pino';
import { leafHash, type NodeHash, type NodeId, rootNodes } from '../../platform/audit/merkle';
import { AuditDatabase } from '../../platform/database/roles/audit-database';
import type { TenantTransaction } from '../../platform/database/tenant-database';
import { LOGGER } from '../../platform/observability/logger.module';
import { Outbox } from '../../platform/outbox/outbox';
import { Subscriptions } from '../../platform/outbox/subscriptions';
import { CHECKPOINT_EVENT, ENTRY_EVENT_TYPES, eventTypeOf, toOcsf } from '../audit-event-types';
import { type EntryRow, entryView, findEntries } from '../audit.queries';
import { originOfLog, signCheckpoint } from '../checkpoint';
import { checkpointView, findNodes, findTree, hashesOf, type NodeRow, type TreeRow } from '../tree.queries';
import * as queries from './folding.queries';
import { SigningKeys } from './signing-key';
import { TreeAppender } from '../tree-appender';

const ENTRIES_AT_ONCE = 500;
const TENANTS_AT_ONCE = 1_000;
const HOUR_MS = 60 * 60 * 1_000;

/**
 * Appends committed entries to the tree of their tenant and signs its head: the leaves, the nodes, the head and their
 * events commit together. Of two concurrent workers, one has the tenant's lock and the other continues with the next
 * tenant.
 */
@Injectable()
export class AuditFolder {
  constructor(
    private readonly database: AuditDatabase,
    private readonly keys: SigningKeys,
    private readonly outbox: Outbox,
    private readonly subscriptions: Subscriptions,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** One round over all tenants with entries that wait. One tenant's trouble does not hold up the others. */
  async foldAll(stopped: () => boolean = () => false): Promise<void> {
    for (const tenantId of await this.database.tenantsWithPending(TENANTS_AT_ONCE)) {
      if (stopped()) return;
      try {
        // A tenant with many entries gets one batch per round, so that the others have their turn.
        await this.fold(tenantId);
      } catch (error) {
        this.logger.error({ err: error, tenant_id: tenantId }, 'audit entries could not be appended to the tree');
      }
    }
  }

  /** Takes a batch of a tenant's entries into its tree. @returns how many */
  async fold(tenantId: string): Promise<number> {
    const wanted = await this.subscriptions.subscribed({ tenantId }, ENTRY_EVENT_TYPES);
    const key = await this.keys.current();
    return this.database.transaction({ tenantId }, async (tx) => {
      const [lock] = await tx.query<{ locked: boolean }>(queries.lockTree(tenantId));
      if (!lock?.locked) return 0;
      const pending = await tx.query<queries.PendingRow>(queries.findPending(tenantId, ENTRIES_AT_ONCE));
      if (pending.length === 0) return 0;
      const [tree] = await tx.query<TreeRow>(findTree(tenantId));
      const size = Number(tree?.size ?? 0);
      const appender = new TreeAppender(size, await this.edgeOf(tx, size));
      const leaves = this.append(tenantId, appender, pending);
      const head = { size: appender.size, rootHash: appender.root };
      if (leaves.length > 0) {
        tx.defer(queries.insertLeaves(tenantId, leaves));
        if (appender.nodes.length > 0) tx.defer(queries.insertNodes(tenantId, appender.nodes));
        const note = signCheckpoint(originOfLog(tenantId), head, key);
        tx.defer(queries.saveTree(tenantId, { ...head, signedAt: new Date(), keyId: key.id, note }));
      }
      tx.defer(
        queries.removePending(
          tenantId,
          pending.map((row) => row.entry_id),
        ),
      );
      if (wanted.size > 0) await this.announce(tx, leaves, wanted);
      return leaves.length;
    });
  }

  /**
   * Sends heads that have changed since they were last sent, at least an hour ago, to the tenants that subscribe to
   * them.
   */
  async announceHeads(now = new Date()): Promise<void> {
    const before = new Date(now.getTime() - HOUR_MS);
    const rows = await this.database.acrossTenants((tx) =>
      tx.query<{ tenant_id: string }>(queries.findUnannounced(before, TENANTS_AT_ONCE)),
    );
    for (const { tenant_id: tenantId } of rows) await this.announceHead(tenantId, now);
  }

  private async announceHead(tenantId: string, now: Date): Promise<void> {
    const wanted = await this.subscriptions.subscribed({ tenantId }, [CHECKPOINT_EVENT]);
    await this.database.transaction({ tenantId }, async (tx) => {
      const [lock] = await tx.query<{ locked: boolean }>(queries.lockTree(tenantId));
      const [tree] = await tx.query<TreeRow>(findTree(tenantId));
      if (!lock?.locked || !tree) return;
      tx.defer(queries.markAnnounced(tenantId, Number(tree.size), now));
      if (!wanted.has(CHECKPOINT_EVENT)) return;
      this.outbox.publish(tx, [{ type: CHECKPOINT_EVENT, data: JSON.stringify(checkpointView(tenantId, tree)) }]);
    });
  }

  private append(tenantId: string, appender: TreeAppender, pending: readonly queries.PendingRow[]): queries.NewLeaf[] {
    const leaves: queries.NewLeaf[] = [];
    for (const { entry_id: entryId, canonical } of pending) {
      if (!canonical) {
        this.logger.error(
          { tenant_id: tenantId, entry_id: entryId },
          'an audit entry that no tree contains is missing',
        );
        continue;
      }
      const hash = leafHash(canonical);
      leaves.push({ index: appender.size, entryId, hash });
      appender.append(hash);
    }
    return leaves;
  }

  private async edgeOf(tx: TenantTransaction, size: number): Promise<NodeHash> {
    const nodes = rootNodes(size);
    if (nodes.length === 0) return noNode;
    return hashesOf(await tx.query<NodeRow>(findNodes(tx.tenantId, nodes)));
  }

  private async announce(
    tx: TenantTransaction,
    leaves: readonly queries.NewLeaf[],
    wanted: ReadonlySet<string>,
  ): Promise<void> {
    const rows = await tx.query<EntryRow>(
      findEntries(
        tx.tenantId,
        leaves.map((leaf) => leaf.entryId),
      ),
    );
    const indexOf = new Map(leaves.map((leaf) => [leaf.entryId, leaf.index]));
    const events = rows
      .map((row) => ({ type: eventTypeOf(row.action), entry: entryView(row) }))
      .filter(({ type }) => wanted.has(type))
      .map(({ type, entry }) => ({
        type,
        data: JSON.stringify({ ...entry, leaf_index: indexOf.get(entry.id), ocsf: toOcsf(entry, tx.tenantId) }),
      }));
    if (events.length > 0) this.outbox.publish(tx, events);
  }
}

function noNode({ level, index }: NodeId): Buffer {
  throw new Error(`an empty tree has no node ${level}/${index}`);
}
