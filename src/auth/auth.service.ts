import { Injectable } from '@nestjs/common';
import { uuidv7 } from 'uuidv7';
import { isUniqueViolation } from '../platform/database/sql/errors';
import { SignInDatabase } from '../platform/database/roles/role-databases';
import { TenantDatabase } from '../platform/database/tenant-database';
import { Conflict, Unauthorized } from '../platform/errors';
import type { Caller } from '../platform/http/requests/caller';
import { Membership } from '../tenants/membership.entity';
import type { Role } from '../tenants/roles';
import { Tenant } from '../tenants/tenant.entity';
import { AccessTokens } from './tokens/access-tokens';
import type { LoginDto, MeView, RegisterDto, SignedInView, TokensView } from './auth.dto';
import { PasswordPolicy } from './sign-in/password-policy';
import { hashPassword, verifyPassword } from './sign-in/passwords';
import { SessionStates } from './sessions/session-states';
import { touchMembership } from './sessions/sessions.queries';
import { Sessions } from './sessions/sessions';
import { SignInLimits } from './sign-in/sign-in-limits';
import { User } from '../users/user.entity';

/** Registers companies, signs people in and out. */
@Injectable()
export class AuthService {
  constructor(
    private readonly signInDatabase: SignInDatabase,
    private readonly database: TenantDatabase,
    private readonly sessions: Sessions,
    private readonly states: SessionStates,
    private readonly limits: SignInLimits,
    private readonly tokens: AccessTokens,
    private readonly passwords: PasswordPolicy,
  ) {}

  /** Makes a user, a tenant and its owner, and signs the owner in. @throws Conflict when the e-mail address is known */
  async register(input: RegisterDto): Promise<SignedInView> {
    this.passwords.check(input.password, { email: input.email, tenantName: input.tenant_name });
    const now = new Date();
    const user: User = {
      id: uuidv7(),
      email: input.email,
      name: input.name ?? null,
      passwordHash: await hashPassword(input.password),
      createdAt: now,
    };
    const tenant: Tenant = { id: uuidv7(), name: input.tenant_name, createdAt: now, suspendedAt: null };
    try {
      await this.signInDatabase.transaction({ tenantId: tenant.id }, async (tx) => {
        await tx.repository(User).insert(user);
        await tx.repository(Tenant).insert(tenant);
        await tx.repository(Membership).insert({
          tenantId: tenant.id,
          userId: user.id,
          role: 'owner',
          createdAt: now,
          lastUsedAt: now,
        });
      });
    } catch (error) {
      if (isUniqueViolation(error, 'users_email_key')) throw new Conflict('This e-mail address is already registered.');
      throw error;
    }
    return this.beginSession(user, tenant, 'owner');
  }

  /**
   * Signs a person in: to the tenant named, else to the one last used.
   * @throws Unauthorized, the same for an unknown address, a wrong password and a tenant that is not theirs
   * @throws RateLimited after too many failures
   */
  async login(input: LoginDto, address: string): Promise<SignedInView> {
    const found = await this.limits.guard(input.email, address, async () => {
      const user = await this.findUser(input.email);
      if (!(await verifyPassword(user?.passwordHash, input.password)) || !user) return undefined;
      const place = await this.findPlace(user.id, input.tenant_id);
      return place && { user, ...place };
    });
    if (!found) throw new Unauthorized('The e-mail address or the password is wrong.');
    return this.beginSession(found.user, found.tenant, found.role);
  }

  /** Exchanges a refresh token for a new pair. @throws Unauthorized */
  async refresh(refreshToken: string): Promise<TokensView> {
    const session = await this.sessions.refresh(refreshToken);
    return this.pair(session.userId, session.tenantId, session.role, session.sessionId, session.refreshToken);
  }

  /** Ends the session of a refresh token. @throws Unauthorized for a token that was never given out */
  async logout(refreshToken: string): Promise<void> {
    const { tenantId, sessionId } = await this.sessions.end(refreshToken);
    this.states.forget(tenantId, sessionId);
  }

  /** Who the caller is. */
  async me(caller: Caller): Promise<MeView> {
    const [user, tenant] = await Promise.all([
      this.signInDatabase.transaction({ userId: caller.actor.id }, (tx) =>
        tx.repository(User).findOneByOrFail({ id: caller.actor.id }),
      ),
      this.database.transaction(caller, (tx) => tx.repository(Tenant).findOneByOrFail({ id: caller.tenantId })),
    ]);
    return {
      user: userView(user),
      tenant: tenantView(tenant),
      role: caller.role,
      permissions: [...caller.permissions],
    };
  }

  private findUser(email: string): Promise<User | null> {
    return this.signInDatabase.transaction({}, (tx) =>
      tx.repository(User).createQueryBuilder('user').where('lower(user.email) = lower(:email)', { email }).getOne(),
    );
  }

  /** The tenant to sign in to, with the user's role there; undefined where there is none, or it is suspended. */
  private async findPlace(userId: string, tenantId?: string): Promise<{ tenant: Tenant; role: Role } | undefined> {
    const memberships = await this.signInDatabase.transaction({ userId }, (tx) =>
      tx.repository(Membership).find({
        where: { userId, ...(tenantId ? { tenantId } : {}) },
        order: { lastUsedAt: 'DESC', tenantId: 'DESC' },
        take: 100,
      }),
    );
    for (const membership of memberships) {
      const tenant = await this.database.transaction(membership, (tx) =>
        tx.repository(Tenant).findOneBy({ id: membership.tenantId }),
      );
      if (tenant && !tenant.suspendedAt) return { tenant, role: membership.role };
    }
    return undefined;
  }

  private async beginSession(user: User, tenant: Tenant, role: Role): Promise<SignedInView> {
    const { sessionId, refreshToken } = await this.database.transaction({ tenantId: tenant.id }, async (tx) => {
      tx.defer(touchMembership(tenant.id, user.id, new Date()));
      return this.sessions.begin(tx, user.id);
    });
    return {
      user: userView(user),
      tenant: tenantView(tenant),
      ...this.pair(user.id, tenant.id, role, sessionId, refreshToken),
    };
  }

  private pair(userId: string, tenantId: string, role: string, sessionId: string, refreshToken: string): TokensView {
    return {
      access_token: this.tokens.sign({ userId, tenantId, role, sessionId }),
      refresh_token: refreshToken,
      token_type: 'Bearer',
      expires_in: this.tokens.lifetime,
    };
  }
}

function userView(user: User): SignedInView['user'] {
  return { id: user.id, email: user.email, name: user.name, created_at: user.createdAt.toISOString() };
}

function tenantView(tenant: Tenant): SignedInView['tenant'] {
  return { id: tenant.id, name: tenant.name, created_at: tenant.createdAt.toISOString() };
}
