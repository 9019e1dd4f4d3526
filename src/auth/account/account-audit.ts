import { Injectable } from '@nestjs/common';
import { AuditLog } from '../../platform/audit/audit-log';
import type { AuditedCaller, AuditEntry } from '../../platform/audit/audit-entry';
import type { Row } from '../../platform/database/sql/statement';
import type { Transaction } from '../../platform/database/transaction';
import { findMemberships } from '../mailbox/mailbox-proofs';

/** Records changes of an account in the log of each of its tenants, without network and user agent. */
@Injectable()
export class AccountAudit {
  constructor(private readonly log: AuditLog) {}

  /**
   * Runs in a transaction of the sign-in role that is bound to the person.
   * @param actor the person, unless another is named
   */
  async record(
    tx: Transaction,
    userId: string,
    action: string,
    changes?: AuditEntry['changes'],
    sessionId?: string,
    actor: AuditedCaller['actor'] = { type: 'user', id: userId },
  ): Promise<void> {
    const memberships = await tx.query<{ tenant_id: string } & Row>(findMemberships(userId));
    for (const { tenant_id: tenantId } of memberships) {
      const caller = {
        tenantId,
        actor,
        ...(sessionId === undefined ? {} : { session: { id: sessionId } }),
      };
      this.log.record(tx, caller, { action, target: { type: 'user', id: userId }, changes });
    }
  }
}
