import { Injectable } from '@nestjs/common';
import { SignInDatabase } from '../../platform/database/roles/sign-in-database';
import type { Transaction } from '../../platform/database/transaction';
import { Conflict, NotFound } from '../../platform/errors';
import { Hooks } from '../../platform/hooks/hooks';
import { Mailer } from '../../platform/mail/mailer';
import { tenantIdsOf } from '../../tenants/memberships';
import { User } from '../../users/user.entity';
import { Users } from '../../users/users';
import { SecondFactors } from '../second-factor/second-factors';
import { OneTimeTokens } from '../tokens/one-time-tokens';
import { AccountAudit } from './account-audit';

/** The time between the announcement and the reset, in which the person can object by signing in with the factor. */
const FACTOR_RESET_WAIT_MS = 24 * 60 * 60 * 1000;

/** The state of a reset of second factors: announced, or done. */
export interface FactorReset {
  userId: string;
  effectiveAt: Date;
  done: boolean;
}

/** The operator's actions for a person who is locked out. */
@Injectable()
export class OperatorAccounts {
  constructor(
    private readonly database: SignInDatabase,
    private readonly users: Users,
    private readonly factors: SecondFactors,
    private readonly tokens: OneTimeTokens,
    private readonly mailer: Mailer,
    private readonly audit: AccountAudit,
    private readonly hooks: Hooks,
  ) {}

  /**
   * Sends a reset of the password. @returns its token if no mail carries it, otherwise null; throws NotFound for an
   * address without an account
   */
  async sendReset(email: string): Promise<{ userId: string; token: string | null }> {
    const user = await this.find(email);
    return this.database.transaction({ userId: user.id }, async (tx) => {
      const token = this.tokens.issue(tx, 'reset', user.id);
      this.mailer.send(tx, { to: addressOf(user), template: 'reset_password', data: { token } });
      await this.audit.record(tx, user.id, 'user.reset_sent', undefined, undefined, OPERATOR);
      return { userId: user.id, token: this.mailer.isConfigured ? null : token };
    });
  }

  /**
   * Announces the end of a person's second factors, or executes an announcement of a day ago. A sign-in with the factor
   * meanwhile cancels it.
   * @throws NotFound for an address without an account; Conflict for a person without a second factor
   */
  async resetFactors(email: string): Promise<FactorReset> {
    const { id: userId } = await this.find(email);
    if ((await this.factors.methodsOf(userId)).length === 0) throw new Conflict('The person has no second factor.');
    return this.database.transaction({ userId }, async (tx) => {
      const user = await tx
        .repository(User)
        .findOneOrFail({ where: { id: userId }, lock: { mode: 'pessimistic_write' } });
      const now = new Date();
      const effectiveAt = user.factorResetAt ?? new Date(now.getTime() + FACTOR_RESET_WAIT_MS);
      const done = user.factorResetAt !== null && effectiveAt <= now;
      if (done) await this.endFactors(tx, user, now);
      else if (user.factorResetAt === null) await this.announce(tx, user, now, effectiveAt);
      return { userId, effectiveAt, done };
    });
  }

  private async announce(tx: Transaction, user: User, now: Date, effectiveAt: Date): Promise<void> {
    await tx.repository(User).update({ id: user.id }, { factorResetAt: effectiveAt });
    const changes = { effective_at: [null, effectiveAt] as const };
    await this.audit.record(tx, user.id, 'user.factor_reset_announced', changes, undefined, OPERATOR);
    const data = { at: now.toISOString(), effectiveAt: effectiveAt.toISOString() };
    this.mailer.send(tx, { to: addressOf(user), template: 'factor_reset_announced', data });
  }

  private async endFactors(tx: Transaction, user: User, now: Date): Promise<void> {
    await tx.repository(User).update({ id: user.id }, { factorResetAt: null });
    await this.hooks.factorsReset.run(tx, { userId: user.id, tenantIds: await tenantIdsOf(tx, user.id) });
    await this.audit.record(tx, user.id, 'user.factors_reset', undefined, undefined, OPERATOR);
    const data = { at: now.toISOString(), factor: 'totp' as const };
    this.mailer.send(tx, { to: addressOf(user), template: 'factor_removed', data });
  }

  private async find(email: string): Promise<User> {
    const user = await this.users.findByEmail(email);
    if (!user) throw new NotFound('Account', email);
    return user;
  }
}

const OPERATOR = { type: 'operator', id: null } as const;

function addressOf({ email, name }: User) {
  return { address: email, name };
}
