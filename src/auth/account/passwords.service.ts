import { Injectable, type OnModuleInit } from '@nestjs/common';
import { uuidv7 } from 'uuidv7';
import { type AuditedCaller, SECRET_CHANGE } from '../../platform/audit/audit-entry';
import { AuditLog } from '../../platform/audit/audit-log';
import { SignInDatabase } from '../../platform/database/roles/sign-in-database';
import type { Transaction } from '../../platform/database/transaction';
import { TokenInvalid, ValidationFailed } from '../../platform/errors';
import { Hooks } from '../../platform/hooks/hooks';
import type { Person } from '../../platform/http/requests/caller';
import { Mailer } from '../../platform/mail/mailer';
import { User } from '../../users/user.entity';
import { Users } from '../../users/users';
import { MailAllowance, tooManyMails } from '../mailbox/mail-allowance';
import { MailboxProofs } from '../mailbox/mailbox-proofs';
import { OwnProof } from '../mailbox/own-proof';
import { inEvenTime } from '../proofs/even-time';
import type { Client } from '../proofs/proof';
import { Sessions } from '../sessions/sessions';
import { PasswordPolicy } from '../sign-in/password-policy';
import { hashPassword } from '../sign-in/passwords';
import { OneTimeTokens } from '../tokens/one-time-tokens';
import { AccountAudit } from './account-audit';
import type { ChangePasswordDto, ResetPasswordDto } from './passwords.requests';

const RESET_AT_LEAST_EVERY_MS = 30 * 60_000;

/** Changes and resets passwords. */
@Injectable()
export class PasswordsService implements OnModuleInit {
  constructor(
    private readonly database: SignInDatabase,
    private readonly users: Users,
    private readonly own: OwnProof,
    private readonly policy: PasswordPolicy,
    private readonly proofs: MailboxProofs,
    private readonly sessions: Sessions,
    private readonly tokens: OneTimeTokens,
    private readonly allowance: MailAllowance,
    private readonly mailer: Mailer,
    private readonly audit: AccountAudit,
    private readonly log: AuditLog,
    private readonly hooks: Hooks,
  ) {}

  onModuleInit(): void {
    this.hooks.resetForMember.handleWith(({ caller, userId }) => this.sendReset(caller, userId));
    this.hooks.mailAllowed.handleWith(({ tenantId, email }) =>
      this.database.transaction({}, (tx) => this.allowance.takeBy(tx, tenantId, email)),
    );
  }

  /**
   * Changes the password and ends the person's other sessions. @throws ValidationFailed for a wrong current password
   */
  async change(person: Person, input: ChangePasswordDto, client: Client): Promise<void> {
    const { userId, session } = person;
    const user = await this.users.get(userId);
    if (!(await this.own.matches(user, input.current_password, client))) {
      throw new ValidationFailed([
        { field: 'current_password', message: 'is not the current password', code: 'wrong' },
      ]);
    }
    this.policy.check(input.new_password, { email: user.email, field: 'new_password' });
    const passwordHash = await hashPassword(input.new_password);
    await this.database.transaction({ userId }, async (tx) => {
      await tx.repository(User).update({ id: userId }, { passwordHash });
      await this.tokens.void(tx, userId, ['reset', 'email_change']);
      await this.sessions.revokePerson(tx, userId, 'password_changed', session.id);
      await this.audit.record(tx, userId, 'user.password_changed', { password: SECRET_CHANGE }, session.id);
      this.notifyOfChange(tx, user, client);
    });
  }

  /** Sends a reset to the address if it has an account; neither the statements nor the duration tell it. */
  forgot(email: string): Promise<void> {
    return inEvenTime('result', () => this.tryForgot(email));
  }

  private async tryForgot(email: string): Promise<void> {
    const user = await this.users.findByEmail(email);
    const userId = user?.id ?? uuidv7();
    await this.database.transaction({ userId }, async (tx) => {
      const isAllowed = await this.allowance.take(tx, email);
      const last = await this.tokens.newest(tx, userId, 'reset');
      const isDue = !last || last.created_at.getTime() < new Date().getTime() - RESET_AT_LEAST_EVERY_MS;
      // Only those that are sent count as the last one: requests beyond the allowance must not put off the next mail.
      const token = this.tokens.issue(tx, isAllowed || isDue ? 'reset' : 'reset_not_sent', userId);
      if (user && (isAllowed || isDue)) this.sendToken(tx, user, token);
    });
  }

  /** Sends a reset to a person, for a member of a tenant with the permission. @throws RateLimited */
  async sendReset(caller: AuditedCaller, userId: string): Promise<void> {
    const user = await this.users.get(userId);
    await this.database.transaction({ userId }, async (tx) => {
      if (!(await this.allowance.takeBy(tx, caller.tenantId, user.email))) throw tooManyMails();
      this.sendToken(tx, user, this.tokens.issue(tx, 'reset', userId));
      this.log.record(tx, caller, { action: 'member.reset_sent', target: { type: 'user', id: userId } });
    });
  }

  /**
   * Spends a reset's token for a new password: all sessions end, and a second factor is still asked. @throws
   * TokenInvalid
   */
  async reset(input: ResetPasswordDto, client: Client): Promise<void> {
    const token = this.tokens.parse(input.token);
    const userId = token.subjectId;
    await this.database.transaction({ userId }, async (tx) => {
      await this.tokens.spend(tx, token, 'reset');
      const user = await tx.repository(User).findOneBy({ id: userId });
      if (!user) throw new TokenInvalid('the person is gone');
      this.policy.check(input.password, { email: user.email });
      await this.proofs.claim(tx, user, input.password);
      await this.audit.record(tx, userId, 'user.password_reset', { password: SECRET_CHANGE });
      this.notifyOfChange(tx, user, client);
    });
  }

  private sendToken(tx: Transaction, user: User, token: string): void {
    const to = { address: user.email, name: user.name };
    this.mailer.send(tx, { to, template: 'reset_password', data: { token } });
  }

  private notifyOfChange(tx: Transaction, user: User, client: Client): void {
    const data = { at: new Date().toISOString(), network: client.network, userAgent: client.userAgent };
    this.mailer.send(tx, { to: { address: user.email, name: user.name }, template: 'password_changed', data });
  }
}
