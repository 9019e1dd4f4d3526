import { Injectable } from '@nestjs/common';
import { Core } from './core';
import { ROLES } from './roles';
import { uuidLiteral } from './statement';
import { runTransaction } from './tenant-database';
import { Transaction } from './transaction';

/** What is known of the one who signs in: nothing yet, then the user, then the tenant. */
export interface SignInScope {
  userId?: string;
  tenantId?: string;
}

/**
 * For what runs before a tenant is known: finding a user by e-mail address, listing that user's memberships, making
 * a tenant. Its role has policies of its own and cannot see an order.
 */
@Injectable()
export class SignInDatabase {
  constructor(private readonly core: Core) {}

  transaction<T>(scope: SignInScope, work: (tx: Transaction) => Promise<T>): Promise<T> {
    const settings: string[] = [];
    if (scope.userId !== undefined) settings.push(`SET LOCAL app.user_id=${uuidLiteral(scope.userId)}`);
    if (scope.tenantId !== undefined) settings.push(`SET LOCAL app.tenant_id=${uuidLiteral(scope.tenantId)}`);
    return runTransaction(new Transaction(this.core, this.core.prologue(ROLES.signIn, settings)), work);
  }
}

/** For deleting what has expired, of every tenant: its role sees expired rows only, and may only delete them. */
@Injectable()
export class JanitorDatabase {
  constructor(private readonly core: Core) {}

  transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    return runTransaction(new Transaction(this.core, this.core.prologue(ROLES.janitor, [])), work);
  }
}
