import { Injectable } from '@nestjs/common';
import { SignInDatabase } from '../../platform/database/roles/sign-in-database';
import { Forbidden, TokenInvalid, Unauthorized, ValidationFailed } from '../../platform/errors';
import type { Person } from '../../platform/http/requests/caller';
import { lengthOf } from '../../platform/http/requests/text-formats';
import { JoiningService, type OpenInvitation } from '../../tenants/invitations/joining.service';
import { User } from '../../users/user.entity';
import { Users } from '../../users/users';
import { MailboxProofs } from '../mailbox/mailbox-proofs';
import { OwnProof } from '../mailbox/own-proof';
import { MembershipsService } from '../memberships/memberships.service';
import { SecondFactors } from '../second-factor/second-factors';
import type { Client, Proof } from '../proofs/proof';
import { proofOf } from '../sessions/sessions';
import type { SignedInView } from '../sign-in/auth.views';
import { byPassword } from '../sign-in/auth.service';
import { AddressTaken, NewAccounts } from '../sign-in/new-accounts';
import { PasswordPolicy } from '../sign-in/password-policy';
import { SignIn } from '../sign-in/sign-in';
import type { AcceptInvitationDto } from './invitations.requests';
import type { InvitationPreviewView } from './invitations.views';

const MIN_PASSWORD = 8;

/** Accepting invitations: with a new account, or with the account of the invited address. */
@Injectable()
export class AcceptingService {
  constructor(
    private readonly database: SignInDatabase,
    private readonly joining: JoiningService,
    private readonly users: Users,
    private readonly accounts: NewAccounts,
    private readonly own: OwnProof,
    private readonly proofs: MailboxProofs,
    private readonly policy: PasswordPolicy,
    private readonly factors: SecondFactors,
    private readonly signIn: SignIn,
    private readonly memberships: MembershipsService,
  ) {}

  /** The content of the invitation; does not use the token. @throws TokenInvalid */
  async preview(token: string, { network }: Client): Promise<InvitationPreviewView> {
    const { tenantName, email, role, expiresAt } = await this.joining.open(token, network);
    return { tenant: { name: tenantName }, email, role, expires_at: expiresAt.toISOString() };
  }

  /**
   * Joins the tenant and signs in to it. Of several concurrent calls one wins.
   * @throws TokenInvalid; Forbidden for a session of another person, after which the invitation is still pending;
   * Unauthorized without a session and with no or a wrong password; AppError `second_factor_required`; ValidationFailed
   */
  async accept(input: AcceptInvitationDto, person: Person | undefined, client: Client): Promise<SignedInView> {
    const invitation = await this.joining.open(input.token, client.network);
    const user = await this.users.findByEmail(invitation.email);
    if (person && person.userId !== user?.id) {
      throw new Forbidden('You are signed in as another person than the invited one.');
    }
    // Its erasure would take the membership away again, and with it perhaps the last owner.
    if (user?.eraseAt) throw isBeingDeleted();
    const proved = user
      ? await this.prove(user, input, person, client)
      : { user: await this.newUser(invitation, input), proof: byPassword(new Date()) };
    const role = await this.joining.join(invitation, proved.user);
    await this.assertStays(proved.user, invitation.tenantId);
    const tenant = await this.signIn.tenant(invitation.tenantId);
    return this.signIn.intoTenant({ ...proved, client }, tenant, role);
  }

  /** A deletion of the account that began meanwhile may not have seen the new membership. @throws Forbidden */
  private async assertStays({ id }: User, tenantId: string): Promise<void> {
    const { eraseAt } = await this.users.get(id);
    if (!eraseAt) return;
    await this.memberships.leaveTenant(id, tenantId);
    throw isBeingDeleted();
  }

  /** The proof that the account belongs to the person, with its effect on the account. */
  private async prove(
    user: User,
    { password }: AcceptInvitationDto,
    person: Person | undefined,
    client: Client,
  ): Promise<{ user: User; proof: Proof }> {
    if (person) return { user: await this.confirm(user), proof: proofOf(person.session) };
    if (password === undefined) throw new Unauthorized('Sign in, or send the password of the account.');
    const proof = byPassword(new Date());
    const matches = await this.own.matches(user, password, client);
    if (user.emailVerifiedAt === null && !matches) return { user: await this.claim(user, password), proof };
    if (!matches) throw new Unauthorized('The password is wrong.');
    const methods = await this.factors.methodsOf(user.id);
    if (methods.length > 0) throw await this.factors.challenge({ user, proof, client }, methods);
    return { user: await this.confirm(user), proof };
  }

  private confirm(user: User): Promise<User> {
    return this.database.transaction({ userId: user.id }, (tx) => this.proofs.confirm(tx, user));
  }

  /**
   * The mailbox's owner takes an account over that a stranger may have made with its address. Of several concurrent
   * calls one wins, and sets the password.
   */
  private claim(user: User, password: string): Promise<User> {
    assertLongEnough(password);
    this.policy.check(password, { email: user.email });
    return this.database.transaction({ userId: user.id }, async (tx) => {
      const lock = { mode: 'pessimistic_write' } as const;
      const locked = await tx.repository(User).findOne({ where: { id: user.id }, lock });
      if (!locked || locked.emailVerifiedAt) throw new TokenInvalid('another request has claimed the account');
      return this.proofs.claim(tx, locked, password);
    });
  }

  private async newUser(invitation: OpenInvitation, { password, name }: AcceptInvitationDto): Promise<User> {
    if (password === undefined) {
      throw new ValidationFailed([{ field: 'password', message: 'is required for a new account', code: 'required' }]);
    }
    assertLongEnough(password);
    try {
      const { user } = await this.accounts.create({ email: invitation.email, password, name, isVerified: true });
      return user;
    } catch (error) {
      // Another acceptance of this invitation was faster.
      if (error instanceof AddressTaken) throw new TokenInvalid('the address was taken meanwhile');
      throw error;
    }
  }
}

function isBeingDeleted(): Forbidden {
  return new Forbidden('The account of this address is being deleted: restore it first.');
}

/** The field takes the current password of an account as well, which may be older than the rule. */
function assertLongEnough(password: string): void {
  if (lengthOf(password) >= MIN_PASSWORD) return;
  const message = `must have at least ${MIN_PASSWORD} characters`;
  throw new ValidationFailed([{ field: 'password', message, code: 'min_length' }]);
}
