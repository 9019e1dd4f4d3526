import { Inject, Injectable } from '@nestjs/common';
import type { ConnectionManager } from '../connections/connection-manager';
import { SIGN_IN_CONNECTIONS } from '../connections/sign-in-connections';
import { idSetting, type Setting } from '../connections/transaction-settings';
import { Unavailable } from '../../errors';
import { DB_ROLES } from '../sql/db-roles';
import type { Row, Statement } from '../sql/statement';
import { runTransaction } from '../tenant-database';
import { Transaction } from '../transaction';

/** How many homes are asked at once while a server is away: each takes a connection. */
const HOMES_AT_ONCE = 4;

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

  /**
   * Reads rows of a person in several tenants. Where a server of Citus is away, the rows of the tenants on the others:
   * then unsorted.
   * @param homesOf the homes of such rows; null if a statement finds them without
   * @throws Unavailable if no home can be read
   */
  async readHomes<R extends Row>(
    userId: string,
    homesOf: (tx: Transaction) => Promise<readonly string[] | null>,
    statement: (homes: readonly string[] | null) => Statement,
  ): Promise<R[]> {
    let homes: readonly string[] | null = null;
    try {
      return await this.transaction({ userId }, async (tx) => {
        homes = await homesOf(tx);
        return tx.query<R>(statement(homes));
      });
    } catch (error) {
      if (homes === null || !(error instanceof Unavailable)) throw error;
      return this.readEach(userId, homes, statement, error);
    }
  }

  /** Asks each home by itself. @throws the given error if none answers */
  private async readEach<R extends Row>(
    userId: string,
    homes: readonly string[],
    statement: (homes: readonly string[]) => Statement,
    failure: Error,
  ): Promise<R[]> {
    const answered: R[][] = [];
    for (let at = 0; at < homes.length; at += HOMES_AT_ONCE) {
      const asked = homes
        .slice(at, at + HOMES_AT_ONCE)
        .map((home) => this.transaction({ userId }, (tx) => tx.query<R>(statement([home]))));
      for (const result of await Promise.allSettled(asked)) {
        if (result.status === 'fulfilled') answered.push(result.value);
        else if (!(result.reason instanceof Unavailable)) throw result.reason;
      }
    }
    if (answered.length === 0) throw failure;
    return answered.flat();
  }
}
