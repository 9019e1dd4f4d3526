import { Injectable } from '@nestjs/common';
import { ProofPlan } from '../platform/audit/merkle';
import { TenantDatabase } from '../platform/database/tenant-database';
import { AppError, NotFound } from '../platform/errors';
import type { Caller } from '../platform/http/requests/caller';
import { type JsonPage } from '../platform/http/responses/results';
import { Cursors } from '../platform/http/responses/pagination';
import type { AuditFilters, ListAuditDto } from './audit.requests';
import type { AuditCheckpointView, AuditConsistencyProofView, AuditProofView } from './audit.views';
import * as queries from './audit.queries';
import { checkpointView, findNodes, findTree, hashesOf, type NodeRow, type TreeRow } from './tree.queries';

/** Reads the audit log and proves its entries. */
@Injectable()
export class AuditService {
  constructor(
    private readonly database: TenantDatabase,
    private readonly cursors: Cursors,
  ) {}

  /** A page of entries, newest first. @throws AppError `invalid_cursor` */
  list(caller: Caller, input: ListAuditDto): Promise<JsonPage> {
    const { limit, cursor, ...filters } = input;
    const scope = { tenant: caller, list: 'audit-log', filters };
    return this.cursors.page(scope, { limit, cursor }, async (afterId, count) => {
      const statement = queries.listEntries(caller.tenantId, toFilter(input), afterId, count);
      const rows = await this.database.queryReplica<queries.EntryRow>(caller, statement);
      return rows.map((row) => ({ id: row.id, json: JSON.stringify(queries.entryView(row)) }));
    });
  }

  /** The newest signed head. @throws AppError `business_rule_violation` while the log has no entry that is folded */
  async checkpoint(caller: Caller): Promise<AuditCheckpointView> {
    const tree = await this.treeOf(caller);
    if (!tree) throw new AppError('business_rule_violation', 'The audit log has no checkpoint yet.');
    return checkpointView(caller.tenantId, tree);
  }

  /** The proof that an entry is in the tree. @throws NotFound; AppError `business_rule_violation` */
  async proof(caller: Caller, id: string, wantedSize?: number): Promise<AuditProofView> {
    const [row] = await this.database.query<queries.ProvenRow>(caller, queries.findProven(caller.tenantId, id));
    if (!row) throw new NotFound('Entry', id);
    const { leaf_index: leafIndex, leaf_hash: leafHash } = row;
    const newest = Number((await this.treeOf(caller))?.size ?? 0);
    if (leafIndex === null || leafHash === null || Number(leafIndex) >= newest) {
      throw new AppError(
        'business_rule_violation',
        'The tree has not taken this entry yet; try again in a few seconds.',
      );
    }
    const index = Number(leafIndex);
    const size = wantedSize ?? newest;
    if (size <= index || size > newest) {
      throw new AppError(
        'business_rule_violation',
        `A proof of this entry exists for sizes from ${index + 1} to ${newest}.`,
      );
    }
    return {
      leaf_index: index,
      size,
      leaf_hash: leafHash.toString('base64'),
      hashes: await this.hashes(caller, ProofPlan.inclusion(index, size)),
      canonical: row.canonical.toString('base64'),
      salts: Object.assign({}, ...(row.salts ?? [])) as Record<string, string>,
    };
  }

  /** The proof that a later tree begins with an earlier one. @throws AppError `business_rule_violation` */
  async consistency(caller: Caller, from: number, to: number): Promise<AuditConsistencyProofView> {
    const newest = Number((await this.treeOf(caller))?.size ?? 0);
    if (from > to || to > newest) {
      throw new AppError(
        'business_rule_violation',
        `from must not be above to, nor to above the size, which is ${newest}.`,
      );
    }
    return { from, to, hashes: await this.hashes(caller, ProofPlan.consistency(from, to)) };
  }

  private async treeOf(caller: Caller): Promise<TreeRow | undefined> {
    const [tree] = await this.database.query<TreeRow>(caller, findTree(caller.tenantId));
    return tree;
  }

  private async hashes(caller: Caller, plan: ProofPlan): Promise<string[]> {
    if (plan.nodes.length === 0) return [];
    const rows = await this.database.query<NodeRow>(caller, findNodes(caller.tenantId, plan.nodes));
    return plan.hashes(hashesOf(rows)).map((hash) => hash.toString('base64'));
  }
}

/** The filters of a request as conditions. */
export function toFilter(input: AuditFilters): queries.EntryFilter {
  return {
    actorId: input.actor_id,
    action: input.action,
    targetType: input.target_type,
    targetId: input.target_id,
    since: input.since,
    until: input.until,
  };
}
