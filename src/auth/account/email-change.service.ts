import { randomBytes } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { SignInDatabase } from '../../platform/database/roles/sign-in-database';
import { isUniqueViolation } from '../../platform/database/sql/errors';
import { TokenInvalid } from '../../platform/errors';
import { Hooks } from '../../platform/hooks/hooks';
import type { Person } from '../../platform/http/requests/caller';
import { Mailer } from '../../platform/mail/mailer';
import { emailKey } from '../../platform/net/email-key';
import { tenantIdsOf } from '../../tenants/memberships';
import { User } from '../../users/user.entity';
import { Users } from '../../users/users';
import { reserveAddress } from '../../users/users.queries';
import { MailAllowance, tooManyMails } from '../mailbox/mail-allowance';
import { OwnProof } from '../mailbox/own-proof';
import type { ConfirmedView } from '../registration/registration.views';
import type { Client } from '../proofs/proof';
import { Sessions } from '../sessions/sessions';
import { assertPlain } from '../sign-in/new-accounts';
import { hashPassword } from '../sign-in/passwords';
import { userView } from '../sign-in/views';
import { OneTimeTokens } from '../tokens/one-time-tokens';
import { AccountAudit } from './account-audit';

const RESERVED_MS = 72 * 60 * 60_000;

/**
 * Changes the address of an account. The new mailbox confirms the change; the old one, if it was proved, may undo it
 * for 72 hours, and stays reserved that long.
 */
@Injectable()
export class EmailChangeService {
  constructor(
    private readonly database: SignInDatabase,
    private readonly users: Users,
    private readonly own: OwnProof,
    private readonly sessions: Sessions,
    private readonly tokens: OneTimeTokens,
    private readonly mailer: Mailer,
    private readonly hooks: Hooks,
    private readonly audit: AccountAudit,
    private readonly allowance: MailAllowance,
  ) {}

  /**
   * Asks the new mailbox to confirm; an address with an account gets a notice without a token.
   * @throws ValidationFailed; RateLimited, since the person writes to mailboxes of others
   */
  async request({ userId, session }: Person, email: string, client: Client): Promise<void> {
    assertPlain(email);
    await this.database.transaction({ userId }, async (tx) => {
      if (!(await this.allowance.takeBy(tx, userId))) throw tooManyMails();
      const isTaken = await this.users.isTaken(tx, email, userId);
      const token = await this.tokens.issueNewest(tx, 'email_change', userId, { email });
      await this.audit.record(tx, userId, 'user.email_change_requested', undefined, session.id);
      const to = { address: email };
      if (!isTaken) return this.mailer.send(tx, { to, template: 'confirm_email', data: { token } });
      const data = { at: new Date().toISOString(), network: client.network };
      this.mailer.send(tx, { to, template: 'address_known', data });
    });
  }

  /**
   * Spends the token of the new mailbox, with a session of the person or the password.
   * @throws TokenInvalid; Unauthorized, which does not use up the token
   */
  async confirm(
    text: string,
    person: Person | undefined,
    password: string | undefined,
    client: Client,
  ): Promise<ConfirmedView> {
    const token = this.tokens.parse(text);
    const userId = token.subjectId;
    await this.database.transaction({ userId }, (tx) => this.tokens.lock(tx, token, 'email_change'));
    await this.own.require(userId, person, password, client);
    try {
      return await this.database.transaction({ userId }, async (tx) => {
        const { data } = await this.tokens.spend(tx, token, 'email_change');
        const email = String(data.email);
        const user = await tx.repository(User).findOneBy({ id: userId });
        if (!user || (await this.users.isTaken(tx, email, userId))) throw new TokenInvalid('the address is taken');
        const old = user.email;
        if (user.emailVerifiedAt) {
          const undo = this.tokens.issue(tx, 'email_undo', userId, {
            email: old,
            changed_at: new Date().toISOString(),
          });
          const to = { address: old, name: user.name };
          this.mailer.send(tx, { to, template: 'undo_email', data: { token: undo, newEmail: email } });
          await tx.query(reserveAddress(old, userId, new Date(new Date().getTime() + RESERVED_MS)));
        }
        const changed = { email, emailKey: emailKey(email), emailVerifiedAt: new Date() };
        await tx.repository(User).update({ id: userId }, changed);
        await this.tokens.void(tx, userId, ['email_change', 'verification', 'reset']);
        await this.audit.record(tx, userId, 'user.email_changed', { email: { userId, personal: [old, email] } });
        return { user: userView(Object.assign(user, changed)) };
      });
    } catch (error) {
      if (isUniqueViolation(error, 'users_email_key') || isUniqueViolation(error, 'users_email_key_unique')) {
        throw new TokenInvalid('the address is taken');
      }
      throw error;
    }
  }

  /**
   * Restores the old address: the author of the change loses later additions, the password and all sessions.
   * @throws TokenInvalid
   */
  async undo(text: string): Promise<void> {
    const token = this.tokens.parse(text);
    const userId = token.subjectId;
    await this.database.transaction({ userId }, async (tx) => {
      const { data } = await this.tokens.spend(tx, token, 'email_undo');
      const email = String(data.email);
      const user = await tx.repository(User).findOneBy({ id: userId });
      if (!user) throw new TokenInvalid('the person is gone');
      await tx.repository(User).update(
        { id: userId },
        {
          email,
          emailKey: emailKey(email),
          emailVerifiedAt: new Date(),
          passwordHash: await hashPassword(randomBytes(32).toString('base64url')),
        },
      );
      const since = new Date(String(data.changed_at));
      await this.sessions.revokePerson(tx, userId, 'address_change_undone');
      await this.tokens.void(tx, userId, ['email_change', 'verification', 'reset']);
      // The mailboxes of later changes are those of their author: they must not undo this.
      await this.tokens.voidSince(tx, userId, 'email_undo', since);
      const tenantIds = await tenantIdsOf(tx, userId);
      await this.hooks.userReverted.run(tx, { userId, tenantIds, since });
      this.sessions.raisePerson(tx, userId, tenantIds);
      const change = { userId, personal: [user.email, email] as const };
      await this.audit.record(tx, userId, 'user.email_change_undone', { email: change });
      const reset = this.tokens.issue(tx, 'reset', userId);
      this.mailer.send(tx, {
        to: { address: email, name: user.name },
        template: 'reset_password',
        data: { token: reset },
      });
    });
  }
}
