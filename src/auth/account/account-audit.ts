import { Injectable } from '@nestjs/common';
import { AuditLog } from '../../platform/audit/audit-log';
import type { AuditedCaller, AuditEntry } from '../../platform/audit/audit-entry';
import type { Transaction } from '../../platform/database/transaction';
import { tenantIdsOf } from '../../tenants/memberships';

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
    for (const tenantId of await tenantIdsOf(tx, userId)) {
      const caller = {
        tenantId,
        actor,
        ...(sessionId === undefined ? {} : { session: { id: sessionId } }),
      };
      this.log.record(tx, caller, { action, target: { type: 'user', id: userId }, changes });
    }
  }
}
