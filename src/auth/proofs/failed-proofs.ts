import { Injectable } from '@nestjs/common';
import { Refusals } from '../../platform/audit/refusals';
import { SignInDatabase } from '../../platform/database/roles/sign-in-database';
import type { Row, Statement } from '../../platform/database/sql/statement';
import { tenantsToAsk } from '../../tenants/memberships';

/** A failed proof: its account, and the tenant if the request names one. */
export interface FailedProof {
  userId: string;
  tenantId?: string;
  network?: string;
  action: 'sign_in.failed' | 'second_factor.failed' | 'token.refused';
}

/**
 * Counts failed proofs in the audit log of the tenant that they were aimed at: the one named, else the one last used.
 */
@Injectable()
export class FailedProofs {
  constructor(
    private readonly database: SignInDatabase,
    private readonly refusals: Refusals,
  ) {}

  /** Returns at once and never throws: the time of a response must not tell whether there is an account. */
  note(failed: FailedProof): void {
    void this.count(failed).catch(() => undefined);
  }

  private async count({ userId, tenantId, network, action }: FailedProof): Promise<void> {
    const [membership] = await this.database.transaction({ userId }, async (tx) => {
      const tenantIds = tenantId === undefined ? await tenantsToAsk(tx, userId) : [tenantId];
      return tx.query<{ tenant_id: string } & Row>(findAttemptedMembership(userId, tenantIds));
    });
    if (!membership) return;
    this.refusals.count({
      caller: { tenantId: membership.tenant_id, actor: { type: 'anonymous', id: null }, network },
      entry: { action, target: { type: 'user', id: userId }, outcome: 'failure' },
    });
  }
}

function findAttemptedMembership(userId: string, tenantIds: readonly string[] | null): Statement {
  return {
    name: 'place_aimed_at',
    text: `select tenant_id from memberships
            where user_id = $1 and status <> 'unconfirmed' and ($2::uuid[] is null or tenant_id = any($2))
            order by last_used_at desc, tenant_id desc limit 1`,
    values: [userId, tenantIds],
  };
}
