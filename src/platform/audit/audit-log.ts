import { Injectable } from '@nestjs/common';
import type { Transaction } from '../database/transaction';
import { newTimedId } from '../ids/ids';
import {
  type AuditedCaller,
  type AuditEntry,
  auditText,
  type Change,
  changeText,
  type PersonalChange,
} from './audit-entry';
import { insertAuditEntry, insertPending, insertPersonal, type PersonalRow, requestErasure } from './audit.queries';
import { actorText, SecurityLog } from './security-log';
import { CANONICAL_VERSION, commitment, encodeCanonical, newSalt } from './canonical';

/** Owns the personal values of a caller that is not a known person. */
const NO_PERSON = '00000000-0000-0000-0000-000000000000';
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** The operations that a transaction needs for a record: those of a tenant and of the sign-in role have them. */
export type AuditTransaction = Pick<Transaction, 'insert' | 'afterCommit'>;

/**
 * Writes the audit log. An entry is inserted in the transaction of its change, so it exists exactly if the change does,
 * and takes no lock. The log's tree is built from committed entries, elsewhere.
 */
@Injectable()
export class AuditLog {
  constructor(private readonly security: SecurityLog) {}

  /** Records an action of the caller in the log of the caller's tenant. @returns the entry's id */
  record(tx: AuditTransaction, caller: AuditedCaller, entry: AuditEntry): string {
    const { id, at } = newTimedId();
    const { actor, origin, tenantId } = caller;
    const personal = new PersonalValues(actor.type === 'user' && actor.id !== null ? actor.id : NO_PERSON);
    const pairs: [string, string | Buffer][] = [['version', CANONICAL_VERSION]];
    const plain = (name: string, value: string | null | undefined): string | null => {
      if (value === null || value === undefined) return null;
      const text = auditText(value);
      pairs.push([name, text]);
      return text;
    };
    const salted = (name: string, value: string | undefined, userId?: string): void => {
      if (value !== undefined) pairs.push([`${name}#`, personal.add(name, value, userId)]);
    };

    plain('tenant_id', tenantId);
    plain('id', id);
    plain('occurred_at', at.toISOString());
    const actorType = plain('actor.type', actor.type) as string;
    const actorId = plain('actor.id', actor.id);
    salted('actor.email', actor.email === undefined ? undefined : auditText(actor.email));
    const actorVia = plain('actor.via', actor.via);
    const action = plain('action', entry.action) as string;
    const targetType = plain('target.type', entry.target.type) as string;
    const targetId = plain('target.id', entry.target.id);
    const shown: string[] = [];
    for (const [field, change] of sorted(entry.changes)) {
      const name = `changes.${auditText(field)}`;
      if (isPersonal(change)) {
        salted(name, changeText(change.personal), change.userId);
        continue;
      }
      const text = changeText(change);
      pairs.push([name, text]);
      shown.push(`${JSON.stringify(auditText(field))}:${text}`);
    }
    salted('network', origin?.network);
    salted('user_agent', origin?.userAgent === undefined ? undefined : auditText(origin.userAgent));
    const requestId = plain('request_id', origin?.requestId);
    const sessionId = plain('session_id', caller.session?.id);
    const outcome = plain('outcome', entry.outcome ?? 'success') as string;
    const count = entry.count ?? 1;
    plain('count', String(count));

    const row = { tenantId, id, occurredAt: at, actorType, actorId, actorVia, action, targetType, targetId };
    const canonical = encodeCanonical(pairs);
    tx.insert(
      insertAuditEntry({ ...row, changes: `{${shown.join(',')}}`, requestId, sessionId, outcome, count, canonical }),
      ...personal.rows().map((one) => insertPersonal(tenantId, id, one)),
      insertPending(tenantId, id),
    );
    if (!entry.isRoutine) tx.afterCommit(() => this.logEntry(caller, entry));
    return id;
  }

  /**
   * Records a change of a person's account in the log of each of the person's tenants. The person's origin is private
   * to the person: the entries have neither network nor user agent.
   */
  recordInEach(
    tx: AuditTransaction,
    tenantIds: readonly string[],
    caller: Omit<AuditedCaller, 'tenantId'>,
    entry: AuditEntry,
  ): void {
    for (const tenantId of tenantIds) this.record(tx, { actor: caller.actor, tenantId }, entry);
  }

  /** The log already has a line for each refusal that an entry sums up. */
  private logEntry({ tenantId, actor, session, origin, addressKey }: AuditedCaller, entry: AuditEntry): void {
    if (entry.count !== undefined) return;
    this.security.note({
      action: entry.action,
      outcome: entry.outcome ?? 'success',
      tenantId,
      actor: actorText(actor),
      sessionId: session?.id,
      network: origin?.network,
      addressKey,
    });
  }

  /** Requests the erasure of a user's personal values from a tenant's log, soon after the transaction has committed. */
  erasePerson(tx: AuditTransaction, tenantId: string, userId: string): void {
    tx.insert(requestErasure(tenantId, userId));
  }
}

function isPersonal(change: Change | PersonalChange): change is PersonalChange {
  return !Array.isArray(change);
}

function sorted<T>(record: Readonly<Record<string, T>> | undefined): [string, T][] {
  return Object.entries(record ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
}

/** The personal values of one entry, each with a salt of its own, by the person that they are of. */
class PersonalValues {
  private readonly byUser = new Map<string, PersonalRow>();

  constructor(private readonly actorId: string) {}

  /** @returns the commitment to the value in the canonical bytes */
  add(name: string, value: string, userId = this.actorId): Buffer {
    const owner = UUID.test(userId) ? userId : NO_PERSON;
    const row = this.byUser.get(owner) ?? { userId: owner, data: {}, salts: {} };
    const salt = newSalt();
    row.data[name] = value;
    row.salts[name] = salt.toString('base64');
    this.byUser.set(owner, row);
    return commitment(salt, value);
  }

  rows(): PersonalRow[] {
    return [...this.byUser.values()];
  }
}
