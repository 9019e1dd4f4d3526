import { createHmac, hkdfSync } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { Config, required } from '../../platform/config/config';
import { SignInDatabase } from '../../platform/database/roles/sign-in-database';
import type { Transaction } from '../../platform/database/transaction';
import { AppError, TokenInvalid, ValidationFailed } from '../../platform/errors';
import type { Person } from '../../platform/http/requests/caller';
import { lengthOf } from '../../platform/http/requests/text-formats';
import { Mailer } from '../../platform/mail/mailer';
import { emailKey } from '../../platform/net/email-key';
import { User } from '../../users/user.entity';
import { Users } from '../../users/users';
import { MailAllowance } from '../mailbox/mail-allowance';
import { MailboxProofs } from '../mailbox/mailbox-proofs';
import { OwnProof } from '../mailbox/own-proof';
import { inEvenTime } from '../proofs/even-time';
import type { Client } from '../proofs/proof';
import type { RegisterDto } from '../sign-in/auth.requests';
import type { SignedInView } from '../sign-in/auth.views';
import { AuthService, byPassword } from '../sign-in/auth.service';
import { AddressTaken, assertPlain, NewAccounts } from '../sign-in/new-accounts';
import { PasswordPolicy } from '../sign-in/password-policy';
import { SignIn } from '../sign-in/sign-in';
import { userView } from '../sign-in/views';
import { OneTimeTokens, type ParsedToken } from '../tokens/one-time-tokens';
import type { VerifyEmailDto } from './registration.requests';
import type { ConfirmedView, VerificationSentView } from './registration.views';

const MIN_PASSWORD = 8;

/** Registers persons and companies, and proves their mailboxes. */
@Injectable()
export class Registration {
  /** Whether an account is created immediately, after the proof of its mailbox, or not at all. */
  readonly mode: 'open' | 'verified' | 'closed';
  private readonly key: Buffer;

  constructor(
    config: Config,
    private readonly database: SignInDatabase,
    private readonly auth: AuthService,
    private readonly accounts: NewAccounts,
    private readonly passwords: PasswordPolicy,
    private readonly users: Users,
    private readonly signIn: SignIn,
    private readonly proofs: MailboxProofs,
    private readonly own: OwnProof,
    private readonly tokens: OneTimeTokens,
    private readonly allowance: MailAllowance,
    private readonly mailer: Mailer,
  ) {
    const { REGISTRATION, SMTP_URL } = config;
    this.mode = REGISTRATION === 'auto' ? (SMTP_URL === undefined ? 'open' : 'verified') : REGISTRATION;
    this.key = Buffer.from(hkdfSync('sha256', required(config, 'JWT_SECRET'), '', 'pending-registration', 32));
  }

  /** @throws Conflict if the mode is open and the address is known; AppError `registration_closed` */
  async register(input: RegisterDto, client: Client): Promise<SignedInView | VerificationSentView> {
    if (this.mode === 'closed') throw new AppError('registration_closed', 'Registration is closed.');
    if (this.mode === 'open') {
      return this.auth.register(input, client, (tx, user) => {
        const token = this.tokens.issue(tx, 'verification', user.id);
        this.mailer.send(tx, {
          to: { address: user.email, name: user.name },
          template: 'verify_email',
          data: { token },
        });
      });
    }
    assertPlain(input.email);
    this.passwords.check(input.password, { email: input.email, tenantName: input.tenant_name });
    await inEvenTime('result', () => this.request(input.email, client));
    return { status: 'verification_sent' };
  }

  /**
   * Creates the account of a pending registration, or confirms the mailbox of an account.
   * @throws TokenInvalid; Unauthorized if the account is proved neither by a session nor by its password
   */
  async verify(
    input: VerifyEmailDto,
    person: Person | undefined,
    client: Client,
  ): Promise<SignedInView | ConfirmedView> {
    const token = this.tokens.parse(input.token);
    const { kind, data } = await this.database.transaction({ userId: token.subjectId }, (tx) =>
      this.tokens.lock(tx, token, 'registration', 'verification'),
    );
    if (kind === 'registration') return this.finish(token, String(data.email), input, client);
    await this.own.require(token.subjectId, person, input.password, client);
    return this.database.transaction({ userId: token.subjectId }, async (tx) => {
      await this.tokens.spend(tx, token, 'verification');
      const user = await tx.repository(User).findOneBy({ id: token.subjectId });
      if (!user) throw new TokenInvalid('the person is gone');
      return { user: userView(await this.proofs.confirm(tx, user)) };
    });
  }

  /** Sends the mail of a registration or verification again; the same, and as fast, for every address. */
  resend(email: string): Promise<void> {
    return inEvenTime('result', () => this.tryResend(email));
  }

  private async tryResend(email: string): Promise<void> {
    const user = await this.users.findByEmail(email);
    const subjectId = user?.id ?? this.pendingId(email);
    await this.database.transaction({ userId: subjectId }, async (tx) => {
      const isAllowed = await this.allowance.take(tx, email);
      const pending = await this.tokens.newest(tx, subjectId, 'registration');
      if (!isAllowed) return;
      if (user && !user.emailVerifiedAt) {
        const token = await this.tokens.issueNewest(tx, 'verification', user.id);
        this.send(tx, user.email, token);
      } else if (!user && pending) {
        const token = this.tokens.issue(tx, 'registration', subjectId, pending.data);
        this.send(tx, String(pending.data.email), token);
      }
    });
  }

  /** Keeps a pending registration: the same statements for an address that has an account, which gets a notice. */
  private async request(email: string, client: Client): Promise<void> {
    const user = await this.users.findByEmail(email);
    const subjectId = this.pendingId(email);
    await this.database.transaction({ userId: subjectId }, async (tx) => {
      const isTaken = await this.users.isTaken(tx, email);
      const isAllowed = await this.allowance.take(tx, email);
      const token = this.tokens.issue(tx, 'registration', subjectId, { email });
      if (!isAllowed) return;
      if (!isTaken) return this.send(tx, email, token);
      const data = { at: new Date().toISOString(), network: client.network };
      this.mailer.send(tx, { to: { address: user?.email ?? email }, template: 'address_known', data });
    });
  }

  private async finish(
    token: ParsedToken,
    email: string,
    input: VerifyEmailDto,
    client: Client,
  ): Promise<SignedInView> {
    const password = input.password ?? '';
    if (lengthOf(password) < MIN_PASSWORD) {
      const message = `must have at least ${MIN_PASSWORD} characters`;
      throw new ValidationFailed([{ field: 'password', message, code: 'min_length' }]);
    }
    const account = { email, password, name: input.name, tenantName: input.tenant_name, isVerified: true };
    try {
      const { user, tenant } = await this.accounts.create(account, {
        subjectId: token.subjectId,
        first: async (tx) => void (await this.tokens.spend(tx, token, 'registration')),
      });
      return await this.signIn.complete({ user, proof: byPassword(new Date()), client }, tenant?.id);
    } catch (error) {
      if (error instanceof AddressTaken) throw new TokenInvalid('the address has an account by now');
      throw error;
    }
  }

  private send(tx: Transaction, address: string, token: string): void {
    this.mailer.send(tx, { to: { address }, template: 'verify_email', data: { token } });
  }

  /** The subject of the pending registrations of an address: a UUID that only this service can compute. */
  private pendingId(email: string): string {
    const hex = createHmac('sha256', this.key).update(emailKey(email)).digest('hex');
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
  }
}
