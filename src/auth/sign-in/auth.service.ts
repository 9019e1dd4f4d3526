import { Injectable } from '@nestjs/common';
import { uuidv7 } from 'uuidv7';
import { isUniqueViolation } from '../../platform/database/sql/errors';
import { SignInDatabase } from '../../platform/database/roles/role-databases';
import { Conflict, Unauthorized, ValidationFailed } from '../../platform/errors';
import { personOf, type Principal } from '../../platform/http/requests/caller';
import { Membership, newMembership } from '../../tenants/membership.entity';
import { newTenant, Tenant } from '../../tenants/tenant.entity';
import { emailKey, isPlainAddress } from '../../platform/net/email-key';
import { User } from '../../users/user.entity';
import { Users } from '../../users/users';
import type { LoginDto, MeView, RegisterDto, SignedInView, TokensView } from './auth.dto';
import type { Client } from '../sessions/client';
import { PasswordPolicy } from './password-policy';
import { hashPassword, verifyPassword } from './passwords';
import { SecondFactors } from '../second-factor/second-factors';
import { SessionStates } from '../sessions/session-states';
import { type Proof, Sessions } from '../sessions/sessions';
import { SignInLimits } from './sign-in-limits';
import { SignIn, type SignedInToTenant } from './sign-in';
import { tenantView, userView } from './views';

/** Registers companies, signs people in and out. */
@Injectable()
export class AuthService {
  constructor(
    private readonly signInDatabase: SignInDatabase,
    private readonly users: Users,
    private readonly signIn: SignIn,
    private readonly sessions: Sessions,
    private readonly states: SessionStates,
    private readonly limits: SignInLimits,
    private readonly factors: SecondFactors,
    private readonly passwords: PasswordPolicy,
  ) {}

  /** Makes a user, a tenant and its owner, and signs the owner in. @throws Conflict when the e-mail address is known */
  async register(input: RegisterDto, client: Client): Promise<SignedInToTenant> {
    assertPlain(input.email);
    this.passwords.check(input.password, { email: input.email, tenantName: input.tenant_name });
    const now = new Date();
    const user: User = {
      id: uuidv7(),
      email: input.email,
      emailKey: emailKey(input.email),
      emailVerifiedAt: null,
      name: input.name ?? null,
      passwordHash: await hashPassword(input.password),
      createdAt: now,
      eraseAt: null,
    };
    const tenant = newTenant(uuidv7(), input.tenant_name, now);
    try {
      await this.signInDatabase.transaction({ tenantId: tenant.id }, async (tx) => {
        await tx.repository(User).insert(user);
        await tx.repository(Tenant).insert(tenant);
        await tx.repository(Membership).insert(newMembership(tenant.id, user.id, 'owner', now));
      });
    } catch (error) {
      if (isUniqueViolation(error, 'users_email_key') || isUniqueViolation(error, 'users_email_key_unique')) {
        throw new Conflict('This e-mail address is already registered.');
      }
      throw error;
    }
    return this.signIn.intoTenant({ user, proof: byPassword(now), client }, tenant, 'owner');
  }

  /**
   * Signs a person in: to the tenant named, else to the one last used.
   * @throws Unauthorized, the same for an unknown address and a wrong password
   * @throws NotFound for a tenant that is not theirs; RateLimited after too many failures
   */
  async login(input: LoginDto, client: Client): Promise<SignedInView> {
    const user = await this.limits.guard(input.email, client.network, async () => {
      const found = await this.users.findByEmail(input.email);
      return (await verifyPassword(found?.passwordHash, input.password)) && found ? found : undefined;
    });
    if (!user) throw new Unauthorized('The e-mail address or the password is wrong.');
    return this.signIn.complete({ user, proof: byPassword(new Date()), client }, input.tenant_id);
  }

  /** Exchanges a refresh token for a new pair. @throws Unauthorized */
  async refresh(refreshToken: string): Promise<TokensView> {
    return this.signIn.pair(await this.sessions.refresh(refreshToken));
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

  /** What an API key learns of itself. */
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

/** @throws ValidationFailed for an address that no new account may have */
export function assertPlain(email: string, field = 'email'): void {
  if (isPlainAddress(email)) return;
  throw new ValidationFailed([{ field, message: 'must not have letters that only look like others', code: 'email' }]);
}
