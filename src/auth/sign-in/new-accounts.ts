import { Injectable } from '@nestjs/common';
import { uuidv7 } from 'uuidv7';
import { AuditLog } from '../../platform/audit/audit-log';
import { SignInDatabase } from '../../platform/database/roles/sign-in-database';
import { isUniqueViolation } from '../../platform/database/sql/errors';
import type { Transaction } from '../../platform/database/transaction';
import { ValidationFailed } from '../../platform/errors';
import { newMembership } from '../../tenants/membership.entity';
import { beginMembership } from '../../tenants/memberships';
import { newTenantId } from '../../tenants/new-tenant-id';
import { newTenant, Tenant } from '../../tenants/tenant.entity';
import { emailKey, isPlainAddress } from '../../platform/net/email-key';
import { User } from '../../users/user.entity';
import { Users } from '../../users/users';
import { PasswordPolicy } from './password-policy';
import { hashPassword } from './passwords';

/** Creates a new person, with a company if one is named. */
export interface NewAccount {
  email: string;
  password: string;
  name?: string | null;
  tenantName?: string;
  /** Whether the mailbox was proved already. */
  isVerified: boolean;
}

/** The address has an account, or is reserved for one. */
export class AddressTaken extends Error {}

/** Makes accounts: a person, and a tenant that the person owns. */
@Injectable()
export class NewAccounts {
  constructor(
    private readonly database: SignInDatabase,
    private readonly users: Users,
    private readonly passwords: PasswordPolicy,
    private readonly audit: AuditLog,
  ) {}

  /**
   * Makes an account in one transaction of the sign-in role. `first` and `last` run in it, bound to the subject given,
   * else to the person.
   * @throws AddressTaken; ValidationFailed for an address or a password that no account may have
   */
  async create(
    input: NewAccount,
    steps: {
      subjectId?: string;
      first?: (tx: Transaction) => Promise<void>;
      last?: (tx: Transaction, user: User) => void;
    } = {},
  ): Promise<{ user: User; tenant: Tenant | null }> {
    assertPlain(input.email);
    this.passwords.check(input.password, { email: input.email, tenantName: input.tenantName });
    const now = new Date();
    const user: User = {
      id: uuidv7(),
      email: input.email,
      emailKey: emailKey(input.email),
      emailVerifiedAt: input.isVerified ? now : null,
      name: input.name ?? null,
      passwordHash: await hashPassword(input.password),
      createdAt: now,
      eraseAt: null,
      factorResetAt: null,
    };
    const tenant = input.tenantName === undefined ? null : newTenant(newTenantId(), input.tenantName, now);
    const scope = { userId: steps.subjectId ?? user.id, ...(tenant ? { tenantId: tenant.id } : {}) };
    try {
      await this.database.transaction(scope, async (tx) => {
        await steps.first?.(tx);
        if (await this.users.isTaken(tx, input.email)) throw new AddressTaken();
        await tx.repository(User).insert(user);
        if (tenant) {
          await tx.repository(Tenant).insert(tenant);
          await beginMembership(tx, newMembership(tenant.id, user.id, 'owner', now));
          const caller = { tenantId: tenant.id, actor: { type: 'user', id: user.id } };
          this.audit.record(tx, caller, { action: 'tenant.created', target: { type: 'tenant', id: tenant.id } });
        }
        steps.last?.(tx, user);
      });
    } catch (error) {
      if (isUniqueViolation(error, 'users_email_key') || isUniqueViolation(error, 'users_email_key_unique')) {
        throw new AddressTaken();
      }
      throw error;
    }
    return { user, tenant };
  }
}

/** @throws ValidationFailed for an address that no new account may have */
export function assertPlain(email: string, field = 'email'): void {
  if (isPlainAddress(email)) return;
  throw new ValidationFailed([{ field, message: 'must not have letters that only look like others', code: 'email' }]);
}
