import { Injectable } from '@nestjs/common';
import { commitment, decodeCanonical } from '../platform/audit/canonical';
import { leafHash, type NodeId } from '../platform/audit/merkle';
import { Config } from '../platform/config/config';
import { TenantDatabase, type TenantScope } from '../platform/database/tenant-database';
import { firstIdAt } from '../platform/ids/ids';
import { type EntryRow, listPublicKeys, type PublicKeyRow } from './audit.queries';
import { isSigned, originOfLog, type ParsedCheckpoint, parseCheckpoint } from './checkpoint';
import { TreeAppender } from './tree-appender';
import {
  findNodes,
  findStrayEntries,
  findTree,
  type LeafRow,
  listLeaves,
  type NodeRow,
  type TreeRow,
} from './tree.queries';

const LEAVES_AT_ONCE = 500;
const DAY_MS = 24 * 60 * 60 * 1_000;
/** Entries of the last minute may be on their way into the tree. */
const FOLDED_BY_MS = 60_000;

/** The result of a verification: the first mismatch, or none. */
export interface Verdict {
  tenantId: string;
  size: number;
  /** Entries that retention has deleted; only their leaves prove them. */
  expired: number;
  fault?: string;
}

/** A place of a log that does not fit. */
class Mismatch extends Error {}

/** Verifies a tenant's log from its first leaf to its signed head, and against a checkpoint from elsewhere. */
@Injectable()
export class AuditVerification {
  constructor(
    private readonly config: Config,
    private readonly database: TenantDatabase,
  ) {}

  async verify(scope: TenantScope, kept?: ParsedCheckpoint): Promise<Verdict> {
    const verdict: Verdict = { tenantId: scope.tenantId, size: 0, expired: 0 };
    try {
      await this.run(scope, verdict, kept);
    } catch (error) {
      if (!(error instanceof Mismatch)) throw error;
      verdict.fault = error.message;
    }
    return verdict;
  }

  private async run(scope: TenantScope, verdict: Verdict, kept?: ParsedCheckpoint): Promise<void> {
    const central = { tenantId: scope.tenantId, connection: scope.connection, central: true };
    const keys = (await this.database.query<PublicKeyRow>(central, listPublicKeys())).map((row) => row.public_key);
    if (kept && kept.origin === originOfLog(scope.tenantId) && !isSigned(kept, keys)) {
      throw new Mismatch('the given checkpoint is not signed by a key of this service');
    }
    const [tree] = await this.database.query<TreeRow>(scope, findTree(scope.tenantId));
    const size = Number(tree?.size ?? 0);
    if (kept && kept.size > size) {
      throw new Mismatch(`the end is missing: the kept checkpoint has ${kept.size} entries, the log has ${size}`);
    }
    const appender = await this.walk(scope, verdict, (walked) => {
      compareWithKept(walked, kept);
      if (tree && walked.size === size) this.checkHead(scope, tree, walked, keys);
    });
    if (appender.size < size)
      throw new Mismatch(`the end is missing: leaf ${appender.size} and those after it, of ${size}`);
    if (appender.size > size) await this.assertGrown(scope, appender.size);
    const before = firstIdAt(new Date().getTime() - FOLDED_BY_MS);
    const [stray] = await this.database.query<{ id: string }>(scope, findStrayEntries(scope.tenantId, before, 1));
    if (stray) throw new Mismatch(`entry ${stray.id} is in the log and not in its tree`);
  }

  /** The tree may have grown since its head was read: then its head of now is beyond these leaves as well. */
  private async assertGrown(scope: TenantScope, leaves: number): Promise<void> {
    const [tree] = await this.database.query<TreeRow>(scope, findTree(scope.tenantId));
    const size = Number(tree?.size ?? 0);
    if (leaves > size) throw new Mismatch(`leaf ${size} is beyond the signed head, which has ${size} entries`);
  }

  private checkHead(scope: TenantScope, tree: TreeRow, appender: TreeAppender, keys: readonly Buffer[]): void {
    const head = readNote(tree.note);
    if (head.origin !== originOfLog(scope.tenantId) || !isSigned(head, keys)) {
      throw new Mismatch('the signature of the newest checkpoint does not verify');
    }
    if (head.size !== appender.size || !head.rootHash.equals(appender.root) || !tree.root_hash.equals(appender.root)) {
      throw new Mismatch(`the leaves do not lead to the signed root of size ${head.size}`);
    }
  }

  /** Processes all leaves in order, and compares the tree after each. */
  private async walk(
    scope: TenantScope,
    verdict: Verdict,
    compare: (walked: TreeAppender) => void,
  ): Promise<TreeAppender> {
    const appender = new TreeAppender(0, noEdge);
    const expiredBefore = firstIdAt(new Date().getTime() - this.config.AUDIT_RETENTION_DAYS * DAY_MS);
    for (;;) {
      const rows = await this.database.queryIsolated<LeafRow>(
        scope,
        listLeaves(scope.tenantId, appender.size, LEAVES_AT_ONCE),
      );
      for (const row of rows) {
        const index = Number(row.leaf_index);
        if (index !== appender.size) throw new Mismatch(`leaf ${appender.size} is missing`);
        if (row.canonical) checkEntry(row, row.canonical);
        else if (row.entry_id < expiredBefore) verdict.expired++;
        else throw new Mismatch(`entry ${row.entry_id} (leaf ${index}) is missing`);
        appender.append(row.hash);
        verdict.size = appender.size;
        compare(appender);
      }
      await this.checkNodes(scope, appender);
      if (rows.length < LEAVES_AT_ONCE) return appender;
    }
  }

  /** Proofs use the stored nodes: they must be equal to those that the leaves produce. */
  private async checkNodes(scope: TenantScope, appender: TreeAppender): Promise<void> {
    const { nodes } = appender;
    appender.nodes = [];
    if (nodes.length === 0) return;
    const rows = await this.database.queryIsolated<NodeRow>(scope, findNodes(scope.tenantId, nodes));
    const stored = new Map(rows.map((row) => [`${row.level}/${row.node_index}`, row.hash]));
    for (const { level, index, hash } of nodes) {
      if (!stored.get(`${level}/${index}`)?.equals(hash)) {
        const from = index * 2 ** level;
        throw new Mismatch(`the stored hash over leaves ${from} to ${from + 2 ** level - 1} is not theirs`);
      }
    }
  }
}

/** @throws Mismatch if the log does not begin with the entries of the kept checkpoint */
function compareWithKept(walked: TreeAppender, kept?: ParsedCheckpoint): void {
  if (!kept || kept.size !== walked.size || kept.rootHash.equals(walked.root)) return;
  throw new Mismatch(`the log is not the one of the kept checkpoint: its first ${kept.size} entries have another root`);
}

function readNote(note: string): ParsedCheckpoint {
  try {
    return parseCheckpoint(note);
  } catch (error) {
    throw new Mismatch((error as Error).message);
  }
}

/** The columns of an entry, by their canonical names; those with `#` are committed to with a salt. */
function columnsOf(row: LeafRow): Map<string, string> {
  const entry = row as LeafRow & EntryRow;
  const columns = new Map<string, string | null>([
    ['id', entry.id],
    ['occurred_at', entry.occurred_at.toISOString()],
    ['actor.type', entry.actor_type],
    ['actor.id', entry.actor_id],
    ['actor.via', entry.actor_via],
    ['action', entry.action],
    ['target.type', entry.target_type],
    ['target.id', entry.target_id],
    ['request_id', entry.request_id],
    ['session_id', entry.session_id],
    ['outcome', entry.outcome],
    ['count', String(entry.count)],
  ]);
  for (const [field, change] of Object.entries(entry.changes)) columns.set(`changes.${field}`, JSON.stringify(change));
  for (const [name, value] of Object.entries(merged(row.personal))) columns.set(`${name}#`, value);
  return new Map([...columns].filter((pair): pair is [string, string] => pair[1] !== null));
}

function merged(parts: Record<string, string>[] | null | undefined): Record<string, string> {
  return Object.assign({}, ...(parts ?? [])) as Record<string, string>;
}

/** @throws Mismatch that names the changed part of the entry */
function checkEntry(row: LeafRow, canonical: Buffer): void {
  const place = `entry ${row.entry_id} (leaf ${row.leaf_index})`;
  if (!leafHash(canonical).equals(row.hash))
    throw new Mismatch(`${place} was changed: its canonical bytes have another hash`);
  const salts = merged(row.salts);
  const columns = columnsOf(row);
  for (const [name, value] of pairsOf(place, canonical)) {
    if (name === 'version' || name === 'tenant_id') continue;
    const shown = columns.get(name);
    columns.delete(name);
    if (!name.endsWith('#')) {
      if (shown !== value.toString('utf8')) throw new Mismatch(`${place} was changed: ${name}`);
      continue;
    }
    const salt = salts[name.slice(0, -1)];
    // Without value and salt it was erased.
    if (shown === undefined && salt === undefined) continue;
    if (shown === undefined || salt === undefined || !commitment(Buffer.from(salt, 'base64'), shown).equals(value)) {
      throw new Mismatch(`${place} was changed: ${name.slice(0, -1)}`);
    }
  }
  const [added] = columns.keys();
  if (added !== undefined) throw new Mismatch(`${place} was changed: ${added} was added`);
}

function pairsOf(place: string, canonical: Buffer): [string, Buffer][] {
  try {
    return decodeCanonical(canonical);
  } catch (error) {
    throw new Mismatch(`${place} was changed: ${(error as Error).message}`);
  }
}

function noEdge({ level, index }: NodeId): Buffer {
  throw new Error(`an empty tree has no node ${level}/${index}`);
}
