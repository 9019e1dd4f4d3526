import { Injectable } from '@nestjs/common';
import { AuditLog } from '../../platform/audit/audit-log';
import type { Row } from '../../platform/database/sql/statement';
import type { Transaction } from '../../platform/database/transaction';
import { Outbox } from '../../platform/outbox/outbox';
import type { RevocationReason, SessionRevocationView } from './session-event-types';

/** A session that a statement has ended. */
export interface EndedSession extends Row {
  /** The tenant, or the person for a session without one. */
  tenant_id: string;
  id: string;
}

const MAX_NAMED = 1_000;

/** Reasons whose change writes an audit entry of its own. */
const RECORDED_ELSEWHERE: ReadonlySet<RevocationReason> = new Set(['ended_by_member', 'membership_ended']);

/** Notifies the tenants of sessions that ended early: an event and an audit entry for each tenant. */
@Injectable()
export class SessionEnds {
  constructor(
    private readonly outbox: Outbox,
    private readonly audit: AuditLog,
  ) {}

  /** Runs in the transaction that has ended them. A session without a tenant has no recipient. */
  report(tx: Transaction, userId: string, ended: readonly EndedSession[], reason: RevocationReason): void {
    const byTenant = new Map<string, string[]>();
    for (const { tenant_id: tenantId, id } of ended) {
      if (tenantId === userId) continue;
      byTenant.set(tenantId, [...(byTenant.get(tenantId) ?? []), id]);
    }
    for (const [tenantId, ids] of byTenant) this.reportToTenant(tx, tenantId, userId, ids, reason);
  }

  private reportToTenant(
    tx: Transaction,
    tenantId: string,
    userId: string,
    ids: readonly string[],
    reason: RevocationReason,
  ): void {
    const view: SessionRevocationView = {
      user_id: userId,
      session_ids: ids.slice(0, MAX_NAMED),
      reason,
      revoked_at: new Date().toISOString(),
    };
    const event = { type: 'session.revoked', data: JSON.stringify(view), aggregateId: userId };
    this.outbox.publishTo(tx, tenantId, [event]);
    if (RECORDED_ELSEWHERE.has(reason)) return;
    const [sessionId] = ids;
    this.audit.record(
      tx,
      {
        tenantId,
        actor: { type: 'user', id: userId },
        ...(sessionId === undefined ? {} : { session: { id: sessionId } }),
      },
      {
        action: 'session.revoked',
        target: { type: 'user', id: userId },
        changes: { sessions: [ids.length, 0], reason: [null, reason] },
      },
    );
  }
}
