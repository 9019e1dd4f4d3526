import { Inject, Injectable } from '@nestjs/common';
import type { ConnectionManager } from '../connections/connection-manager';
import { SIGN_IN_CONNECTIONS } from '../connections/sign-in-connections';
import { idSetting, type Setting } from '../connections/transaction-settings';
import { DB_ROLES } from '../sql/db-roles';
import { runTransaction } from '../tenant-database';
import { Transaction } from '../transaction';

/** The scope of a sign-in: empty at first, then with the user, then with the tenant. */
export interface SignInScope {
  userId?: string;
  tenantId?: string;
}

/**
 * For work before a tenant is known: finding a user by e-mail address, listing the memberships of that user, creating a
 * tenant. Its role has policies of its own and cannot see the rows of a feature.
 */
@Injectable()
export class SignInDatabase {
  constructor(@Inject(SIGN_IN_CONNECTIONS) private readonly connections: ConnectionManager) {}

  transaction<T>(scope: SignInScope, work: (tx: Transaction) => Promise<T>): Promise<T> {
    const settings: Setting[] = [];
    if (scope.userId !== undefined) settings.push(idSetting('app.user_id', scope.userId));
    if (scope.tenantId !== undefined) settings.push(idSetting('app.tenant_id', scope.tenantId));
    return runTransaction(
      new Transaction(this.connections, this.connections.transactionSettings(DB_ROLES.signIn, settings)),
      work,
    );
  }
}
