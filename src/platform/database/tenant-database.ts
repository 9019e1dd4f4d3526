import { Injectable } from '@nestjs/common';
import { ConnectionManager } from './connections/connection-manager';
import { idSetting, type TransactionSettings } from './connections/transaction-settings';
import { DB_ROLES } from './sql/db-roles';
import type { Row, Statement } from './sql/statement';
import { Transaction } from './transaction';

/** Whose rows may be touched. A `Caller` is one. */
export interface TenantScope {
  readonly tenantId: string;
}

/** What a service needs to run a transaction: the database, or a transaction already under way. */
export interface TransactionRunner {
  transaction<T>(scope: TenantScope, work: (tx: TenantTransaction) => Promise<T>): Promise<T>;
}

/**
 * A transaction that sees one tenant's rows and no others: its BEGIN sets `app.tenant_id`, and the policies of every
 * table compare with it. Statements name the tenant as well, for the planner (and for Citus, to find the shard).
 */
export class TenantTransaction extends Transaction implements TransactionRunner {
  constructor(
    connections: ConnectionManager,
    txSettings: TransactionSettings,
    readonly tenantId: string,
  ) {
    super(connections, txSettings);
  }

  /** Joins this transaction. @throws for another tenant: one transaction never serves two. */
  transaction<T>(scope: TenantScope, work: (tx: TenantTransaction) => Promise<T>): Promise<T> {
    if (scope.tenantId !== this.tenantId) {
      return Promise.reject(new Error('a transaction of one tenant cannot contain one of another'));
    }
    return work(this);
  }
}

/** The only way from a feature to a tenant's rows. */
@Injectable()
export class TenantDatabase implements TransactionRunner {
  constructor(private readonly connections: ConnectionManager) {}

  /** One statement that reads, in one round trip, on a shared connection: for hot reads that are bounded and indexed. */
  query<R extends Row = Row>(scope: TenantScope, statement: Statement): Promise<R[]> {
    return this.connections.query<R>(this.prologue(scope, true), statement);
  }

  /** One statement that reads a page of many rows, on a replica where there is one; nothing acknowledged before is missing. */
  async queryReplica<R extends Row = Row>(scope: TenantScope, statement: Statement): Promise<R[]> {
    const txSettings = this.prologue(scope, true);
    return (
      (await this.connections.queryReplica<R>(txSettings, statement)) ??
      this.connections.query<R>(txSettings, statement)
    );
  }

  /** The same for what reads one page after another: else on a connection for that alone, in turn with others. */
  async queryIsolated<R extends Row = Row>(scope: TenantScope, statement: Statement): Promise<R[]> {
    const txSettings = this.prologue(scope, true);
    return (
      (await this.connections.queryReplica<R>(txSettings, statement)) ??
      this.connections.queryIsolated<R>(txSettings, statement)
    );
  }

  /** One statement that writes and gives rows, in one round trip, on a shared connection. They are committed. */
  async write<R extends Row = Row>(scope: TenantScope, statement: Statement): Promise<R[]> {
    const [rows] = await this.connections.write(this.prologue(scope, false), [statement], true);
    return rows as R[];
  }

  /**
   * Runs `work` in a transaction and commits when it resolves; everything is undone when it rejects.
   * @throws Unavailable when the database cannot be reached or refuses for now
   */
  async transaction<T>(scope: TenantScope, work: (tx: TenantTransaction) => Promise<T>): Promise<T> {
    return runTransaction(new TenantTransaction(this.connections, this.prologue(scope, false), scope.tenantId), work);
  }

  private prologue(scope: TenantScope, readOnly: boolean): TransactionSettings {
    return this.connections.transactionSettings(
      DB_ROLES.service,
      [idSetting('app.tenant_id', scope.tenantId)],
      readOnly,
    );
  }
}

/** Commits what `work` did when it resolves, undoes it when it rejects. */
export async function runTransaction<X extends Transaction, T>(tx: X, work: (tx: X) => Promise<T>): Promise<T> {
  let result: T;
  try {
    result = await work(tx);
  } catch (error) {
    await tx.rollback();
    throw tx.causeOf(error);
  }
  await tx.commit();
  return result;
}
