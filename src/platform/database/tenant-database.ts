import { Inject, Injectable } from '@nestjs/common';
import type { ConnectionManager } from './connections/connection-manager';
import { TENANT_SERVERS, type TenantServer, type TenantServers } from './connections/tenant-server';
import { idSetting, type Setting, type TransactionSettings } from './connections/transaction-settings';
import { DB_ROLES } from './sql/db-roles';
import type { Row, Statement } from './sql/statement';
import { assertConnected, type ClientConnection } from '../net/client-connection';
import { Transaction } from './transaction';

/** The tenant of a transaction. A `Caller` is one. */
export interface TenantScope {
  readonly tenantId: string;
  /** The connection of the client that waits for the work: once it has left, no transaction begins. */
  readonly connection?: ClientConnection;
  /**
   * Whether the transaction runs on the server of `DATABASE_URL` wherever the tenant's rows are: for a table that is
   * there alone, and under an advisory lock, which one server holds.
   */
  readonly central?: boolean;
}

/** The value for a transaction without a tenant. */
export const NO_TENANT = '00000000-0000-0000-0000-000000000000';

/** Runs transactions: the database, or a transaction that is already open. */
export interface TransactionRunner {
  transaction<T>(scope: TenantScope, work: (tx: TenantTransaction) => Promise<T>): Promise<T>;
}

/**
 * A transaction that sees the rows of one tenant only: its first setting is `app.tenant_id`, and the policies of every
 * table compare with it. Statements name the tenant as well, for the planner (and for Citus, to find the shard).
 */
export class TenantTransaction extends Transaction implements TransactionRunner {
  constructor(
    connections: ConnectionManager,
    txSettings: TransactionSettings,
    readonly tenantId: string,
    connection?: ClientConnection,
  ) {
    super(connections, txSettings, tenantId, connection);
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
  constructor(@Inject(TENANT_SERVERS) private readonly servers: TenantServers) {}

  /** Whether Citus distributes the tables over several servers. */
  get isDistributed(): boolean {
    return this.servers.isDistributed;
  }

  /** One reading statement in one round trip, on a shared connection: for hot reads that are bounded and indexed. */
  query<R extends Row = Row>(scope: TenantScope, statement: Statement): Promise<R[]> {
    return this.queryAll(scope, [statement]).then(([rows]) => rows as R[]);
  }

  /**
   * The same for several statements in one round trip. Each sees what is committed when it begins.
   * @returns the rows of each
   */
  queryAll(scope: TenantScope, statements: readonly Statement[]): Promise<Row[][]> {
    assertConnected(scope.connection);
    let server: TenantServer;
    try {
      server = this.servers.of(scope.tenantId, scope.central);
    } catch (error) {
      return Promise.reject(error as Error);
    }
    return server.connections.queryAll(server.txSettings(scope.tenantId, true), statements);
  }

  /** One statement that reads a page of many rows, on a replica if there is one; no acknowledged write is missing. */
  async queryReplica<R extends Row = Row>(scope: TenantScope, statement: Statement): Promise<R[]> {
    assertConnected(scope.connection);
    const server = this.servers.of(scope.tenantId, scope.central);
    const txSettings = server.txSettings(scope.tenantId, true);
    return (
      (await server.connections.queryReplica<R>(txSettings, statement)) ??
      server.connections.query<R>(txSettings, statement)
    );
  }

  /** The same for reads of one page after another; without a replica on a separate connection. */
  async queryIsolated<R extends Row = Row>(scope: TenantScope, statement: Statement): Promise<R[]> {
    const server = this.servers.of(scope.tenantId, scope.central);
    const txSettings = server.txSettings(scope.tenantId, true);
    return (
      (await server.connections.queryReplica<R>(txSettings, statement)) ??
      server.connections.queryIsolated<R>(txSettings, statement)
    );
  }

  /**
   * One statement that reads and may examine many rows: on a connection of the tenant's share of the pool, with the
   * timeout of lists. @throws Unavailable if it takes longer
   */
  async queryLong<R extends Row = Row>(scope: TenantScope, statement: Statement): Promise<R[]> {
    const { tenantId } = scope;
    const { connections } = this.servers.of(tenantId, scope.central);
    const timeout: Setting = ['statement_timeout', String(connections.listTimeout)];
    const settings = [idSetting('app.tenant_id', tenantId), timeout];
    const txSettings = connections.transactionSettings(DB_ROLES.service, settings, true);
    const tx = new TenantTransaction(connections, txSettings, tenantId, scope.connection);
    return runTransaction(tx, () => tx.query<R>(statement));
  }

  /** One writing statement that returns rows, in one round trip, on a shared connection. They are committed. */
  async write<R extends Row = Row>(scope: TenantScope, statement: Statement): Promise<R[]> {
    const server = this.servers.of(scope.tenantId, scope.central);
    const [rows] = await server.connections.write(server.txSettings(scope.tenantId, false), [statement], true);
    return rows as R[];
  }

  /**
   * Runs `work` in a transaction: commits when it resolves, rolls back when it rejects.
   * @throws Unavailable when the database cannot be reached or refuses for now; ClientGone
   */
  async transaction<T>(scope: TenantScope, work: (tx: TenantTransaction) => Promise<T>): Promise<T> {
    const { tenantId, connection } = scope;
    assertConnected(connection);
    const server = this.servers.of(tenantId, scope.central);
    const tx = new TenantTransaction(server.connections, server.txSettings(tenantId, false), tenantId, connection);
    return runTransaction(tx, work);
  }
}

/** Commits when `work` resolves, rolls back when it rejects. */
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
