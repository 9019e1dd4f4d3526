import { inEvenTime } from '../proofs/even-time';
import type { Client, Proof } from '../proofs/proof';
import { Injectable } from '@nestjs/common';
import { SecurityLog } from '../../platform/audit/security-log';
import type { Transaction } from '../../platform/database/transaction';
import { Conflict, Unauthorized } from '../../platform/errors';
import { emailKey } from '../../platform/net/email-key';
import { personOf, type Principal } from '../../platform/http/requests/caller';
import type { Tenant } from '../../tenants/tenant.entity';
import type { User } from '../../users/user.entity';
import { Users } from '../../users/users';
import { FailedProofs } from '../proofs/failed-proofs';
import type { LoginDto, RegisterDto } from './auth.requests';
import type { MeView, SignedInView, TokensView } from './auth.views';
import { AddressTaken, NewAccounts } from './new-accounts';
import { verifyPassword } from './passwords';
import { SecondFactors } from '../second-factor/second-factors';
import { SessionStates } from '../sessions/session-states';
import { Sessions } from '../sessions/sessions';
import { SignInLimits } from './sign-in-limits';
import { SignIn, type SignedInToTenant } from './sign-in';
import { tenantView, userView } from './views';

/** Registers companies, signs people in and out. */
@Injectable()
export class AuthService {
  constructor(
    private readonly accounts: NewAccounts,
    private readonly users: Users,
    private readonly signIn: SignIn,
    private readonly sessions: Sessions,
    private readonly states: SessionStates,
    private readonly limits: SignInLimits,
    private readonly factors: SecondFactors,
    private readonly failures: FailedProofs,
    private readonly security: SecurityLog,
  ) {}

  /** Makes a user, a tenant and its owner, and signs the owner in. @throws Conflict when the e-mail address is known */
  async register(
    input: RegisterDto,
    client: Client,
    last?: (tx: Transaction, user: User) => void,
  ): Promise<SignedInToTenant> {
    const { email, password, name, tenant_name: tenantName } = input;
    try {
      const { user, tenant } = await this.accounts.create(
        { email, password, name, tenantName, isVerified: false },
        { last },
      );
      await this.limits.complete(user.id, email, client.network);
      return await this.signIn.intoTenant({ user, proof: byPassword(new Date()), client }, tenant as Tenant, 'owner');
    } catch (error) {
      if (error instanceof AddressTaken) throw new Conflict('This e-mail address is already registered.');
      throw error;
    }
  }

  /**
   * Signs a person in: to the tenant named, else to the one last used.
   * @throws Unauthorized, the same for an unknown address and a wrong password
   * @throws NotFound for a tenant that is not theirs; RateLimited after too many failures
   */
  login(input: LoginDto, client: Client): Promise<SignedInView> {
    return inEvenTime('failure', () => this.tryLogin(input, client));
  }

  private async tryLogin(input: LoginDto, client: Client): Promise<SignedInView> {
    const found = await this.users.findByEmail(input.email);
    const attempt = { email: input.email, network: client.network, userId: found?.id };
    const user = await this.limits.guard(attempt, async () => {
      const matches = await verifyPassword(found?.passwordHash, input.password);
      return matches && found ? found : undefined;
    });
    if (!user) {
      const actor = found ? `user:${found.id}` : 'anonymous';
      const { network } = client;
      const failed = {
        action: 'sign_in.failed',
        outcome: 'failure' as const,
        actor,
        network,
        addressKey: emailKey(input.email),
      };
      // Failures of an account are counted with the refusals of its tenant.
      if (found) this.security.write(failed);
      else this.security.note(failed);
      // Not awaited: the time must not reveal whether there is an account.
      if (found) {
        this.failures.note({ userId: found.id, tenantId: input.tenant_id, network, action: 'sign_in.failed' });
      }
      throw new Unauthorized('The e-mail address or the password is wrong.');
    }
    const proved = { user, proof: byPassword(new Date()), client };
    const methods = await this.factors.methodsOf(user.id);
    if (methods.length > 0) throw await this.factors.challenge(proved, methods, input.tenant_id);
    return this.signIn.complete(proved, input.tenant_id);
  }

  /** Exchanges a refresh token for a new pair. @throws Unauthorized */
  async refresh(refreshToken: string, { network }: Client): Promise<TokensView> {
    return this.signIn.pair(await this.sessions.refresh(refreshToken, network));
  }

  /** Ends the session of a refresh token. @throws Unauthorized for a token that was never given out */
  async logout(refreshToken: string): Promise<void> {
    const { home, session } = await this.sessions.end(refreshToken);
    this.states.forget(home, session.id);
  }

  /** The holder of the credential: a person, in a tenant or without one. */
  async me(principal: Principal): Promise<MeView> {
    const person = personOf(principal);
    if (!person) return this.keyView(principal);
    const [user, tenant, methods] = await Promise.all([
      this.users.get(person.userId),
      person.tenantId === null ? null : this.signIn.tenant(person.tenantId),
      this.factors.methodsOf(person.userId),
    ]);
    const { session } = person;
    const verifiedAt = user.emailVerifiedAt?.toISOString() ?? null;
    return {
      user: userView(user),
      tenant: tenant && tenantView(tenant),
      role: principal.kind === 'tenant' ? principal.caller.role : principal.role || null,
      permissions: principal.kind === 'tenant' ? [...principal.caller.permissions] : [],
      email_verified_at: verifiedAt,
      second_factor: { enabled: methods.length > 0, methods },
      session: {
        id: session.id,
        amr: [...session.amr],
        acr: session.acr,
        auth_time: session.authTime.toISOString(),
      },
    };
  }

  /** The description of an API key for itself. */
  private async keyView(principal: Principal): Promise<MeView> {
    const caller = principal.kind === 'tenant' ? principal.caller : undefined;
    if (!caller?.apiKey) throw new Unauthorized();
    const { id, name, kind } = caller.apiKey;
    const tenant = await this.signIn.tenant(caller.tenantId);
    return {
      api_key: { id, name, kind },
      tenant: tenant && tenantView(tenant),
      role: caller.role || null,
      permissions: [...caller.permissions],
    };
  }
}

/** The proof of a password given at this time. */
export function byPassword(authTime: Date): Proof {
  return { amr: ['pwd'], acr: 'aal1', authTime, connectionId: null };
}
