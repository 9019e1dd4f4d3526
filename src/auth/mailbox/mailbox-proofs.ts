import { randomBytes } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { AuditLog } from '../../platform/audit/audit-log';
import type { Statement } from '../../platform/database/sql/statement';
import type { Transaction } from '../../platform/database/transaction';
import { Hooks } from '../../platform/hooks/hooks';
import { tenantIdsOf } from '../../tenants/memberships';
import { User } from '../../users/user.entity';
import { Sessions } from '../sessions/sessions';
import { hashPassword } from '../sign-in/passwords';
import { OneTimeTokens } from '../tokens/one-time-tokens';

/**
 * Proofs of a mailbox, decided here for every way. With a live session of the person or the current password it is a
 * confirmation: the address counts as verified, and nothing else changes. Alone (a reset, an accepted invitation), on
 * an account whose address was never verified, it is a claim: the mailbox's owner takes over an account that a stranger
 * may have created, so all earlier credentials of the account are void.
 */
@Injectable()
export class MailboxProofs {
  constructor(
    private readonly sessions: Sessions,
    private readonly tokens: OneTimeTokens,
    private readonly hooks: Hooks,
    private readonly audit: AuditLog,
  ) {}

  /** Takes the address as verified, in a transaction of the sign-in role bound to the person. */
  async confirm(tx: Transaction, user: User): Promise<User> {
    if (user.emailVerifiedAt) return user;
    user.emailVerifiedAt = new Date();
    await tx.repository(User).update({ id: user.id }, { emailVerifiedAt: user.emailVerifiedAt });
    await this.tokens.void(tx, user.id, ['verification']);
    this.record(tx, user.id, 'user.email_verified', await tenantIdsOf(tx, user.id));
    return user;
  }

  /**
   * The mailbox alone: a claim if the address was never verified, otherwise only the new password.
   * @param password the new one; without it the account has no usable password
   */
  async claim(tx: Transaction, user: User, password?: string): Promise<User> {
    const isClaim = user.emailVerifiedAt === null;
    const changed = {
      emailVerifiedAt: user.emailVerifiedAt ?? new Date(),
      passwordHash: await hashPassword(password ?? randomBytes(32).toString('base64url')),
    };
    await tx.repository(User).update({ id: user.id }, changed);
    await this.sessions.revokePerson(tx, user.id, isClaim ? 'account_claimed' : 'password_reset');
    await this.tokens.void(tx, user.id, ['reset', 'verification', 'email_change']);
    if (isClaim) {
      const tenantIds = await tenantIdsOf(tx, user.id);
      await this.hooks.userClaimed.run(tx, { userId: user.id, tenantIds });
      await tx.query(unconfirmMemberships(user.id, tx.isDistributed ? tenantIds : null));
      this.record(tx, user.id, 'user.claimed', tenantIds);
      this.sessions.raisePerson(tx, user.id, tenantIds);
    }
    return Object.assign(user, changed);
  }

  private record(tx: Transaction, userId: string, action: string, tenantIds: readonly string[]): void {
    const caller = { actor: { type: 'user', id: userId } };
    this.audit.recordInEach(tx, tenantIds, caller, { action, target: { type: 'user', id: userId } });
  }
}

/** Memberships of a directory stay: the directory vouches for them. */
function unconfirmMemberships(userId: string, tenantIds: readonly string[] | null): Statement {
  return {
    name: 'places_unconfirm',
    text: `update memberships set status = 'unconfirmed', version = version + 1
            where user_id = $1 and managed_by = 'user' and status = 'active'
              and ($2::uuid[] is null or tenant_id = any($2))`,
    values: [userId, tenantIds],
  };
}
