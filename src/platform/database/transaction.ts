import type { EntityManager, EntityTarget, ObjectLiteral, Repository } from 'typeorm';
import type { QueryResult } from 'pg';
import type { PooledClient } from './sql/service-client';
import { AppError } from '../errors';
import { assertConnected, type ClientConnection } from '../net/client-connection';
import { isStaleStatement } from './sql/errors';
import type { ConnectionManager } from './connections/connection-manager';
import type { TransactionSettings } from './connections/transaction-settings';
import { BoundQueryRunner } from './connections/query-runner';
import { assertSound, distributedForm, joinWrites, type Row, type Statement } from './sql/statement';

/** The name in traces. */
const COMMIT = { name: 'commit' };

/**
 * One transaction, bound to a scope (a tenant, or one of the narrow roles) by its first settings.
 *
 * It opens with its first query, with BEGIN in the same round trip. Statements given to {@link defer} and {@link
 * insert} are sent together with the COMMIT. A transaction of such statements alone holds no connection: it is written
 * to a shared one in a single round trip.
 */
export class Transaction {
  private client?: PooledClient;
  private release?: (error?: Error | boolean) => void;
  private opening?: Promise<PooledClient>;
  private beginFailure?: unknown;
  /** The number of statements so far. */
  private queryCount = 0;
  private manager?: EntityManager;
  private readonly deferred: Statement[] = [];
  private readonly writes: Statement[] = [];
  private readonly committed: (() => void)[] = [];
  private ended = false;

  constructor(
    private readonly connections: ConnectionManager,
    private readonly txSettings: TransactionSettings,
    private readonly shareOf?: string,
    private readonly connection?: ClientConnection,
  ) {}

  /** Whether Citus distributes the tables over several servers. */
  get isDistributed(): boolean {
    return this.connections.isDistributed;
  }

  /** Runs a statement now and returns its rows. */
  async query<R extends Row = Row>(statement: Statement): Promise<R[]> {
    // Its connection may belong to another tenant by then.
    if (this.ended) throw new Error('the transaction has ended');
    assertSound(statement);
    this.queryCount++;
    try {
      return await this.attempt<R>(statement);
    } catch (error) {
      const cause = this.causeOf(error);
      // The first statement of a transaction can run again on a new connection.
      if (this.queryCount > 1 || !isStaleStatement(cause)) throw cause;
      this.release?.(true);
      this.client = this.release = this.opening = this.beginFailure = undefined;
      return this.attempt<R>(statement).catch((again: unknown) => {
        throw this.causeOf(again);
      });
    }
  }

  private async attempt<R extends Row>(statement: Statement): Promise<R[]> {
    const result = await this.connections.spans.around([statement], async () =>
      (this.client ?? (await this.open())).query<R>(this.connections.toQuery(statement)),
    );
    return result.rows;
  }

  /**
   * Defers a statement to the COMMIT, in the given order. Its rows are not returned; if it fails, the whole transaction
   * fails with its error.
   */
  defer(statement: Statement): void {
    if (this.ended) throw new Error('the transaction has ended');
    assertSound(statement);
    this.deferred.push(statement);
  }

  /**
   * Defers an INSERT to the COMMIT, behind all deferred statements, joined with the other inserts into one statement:
   * none of them sees the rows of another. `name` identifies the text and the number of parameters.
   */
  insert(...writes: readonly Statement[]): void {
    if (this.ended) throw new Error('the transaction has ended');
    writes.forEach(assertSound);
    this.writes.push(...writes);
  }

  /** The repository of an entity on this transaction's connection. */
  repository<E extends ObjectLiteral>(entity: EntityTarget<E>): Repository<E> {
    this.manager ??= this.connections.dataSource.createEntityManager(
      new BoundQueryRunner(this.connections.driver, () => this.openForRepository(), this.connections.spans),
    );
    return this.manager.getRepository(entity);
  }

  /** Defers a callback until the transaction has committed; it must not throw. */
  afterCommit(action: () => void): void {
    this.committed.push(action);
  }

  /** Only for the runner: sends the deferred statements and commits. */
  async commit(): Promise<void> {
    this.ended = true;
    await this.sendCommit();
    for (const action of this.committed) action();
  }

  private async sendCommit(): Promise<void> {
    this.settleDeferred();
    if (!this.opening) {
      if (this.deferred.length > 0) await this.connections.write(this.txSettings, this.deferred);
      return;
    }
    const client = await this.opening.catch((error: unknown) => {
      this.release?.(true);
      throw this.causeOf(error);
    });
    await this.connections.spans.around([...this.deferred, COMMIT], () => this.commitOn(client));
  }

  /** Gives the deferred statements the form in which they are sent. */
  private settleDeferred(): void {
    if (this.connections.isDistributed) {
      this.deferred.push(...distributedForm([...this.deferred.splice(0), ...this.writes]));
    } else if (this.writes.length > 0) this.deferred.push(joinWrites(this.writes));
  }

  private async commitOn(client: PooledClient): Promise<void> {
    client.join();
    const results = await Promise.allSettled([
      ...this.deferred.map((statement) => client.query(this.connections.toQuery(statement))),
      client.query('COMMIT') as Promise<QueryResult>,
    ]);
    const failed = results.find((result) => result.status === 'rejected');
    const last = results[results.length - 1];
    const command = last?.status === 'fulfilled' ? (last.value as QueryResult).command : undefined;
    const error = failed?.reason ?? (command === 'COMMIT' ? undefined : new Error('the transaction was rolled back'));
    // Without a reply to COMMIT the connection's state is unknown: it is not used again.
    this.release?.(command === undefined ? true : undefined);
    if (error) throw this.causeOf(error);
  }

  /** Only for the runner: rolls back. Never throws. */
  async rollback(): Promise<void> {
    this.ended = true;
    if (!this.opening) return;
    try {
      // If BEGIN itself was refused, the connection is still rolled back, or closed.
      const client = await this.opening;
      await client.query('ROLLBACK');
      this.release?.();
    } catch {
      this.release?.(true);
    }
  }

  /**
   * Only for the runner: an error of this transaction in the service's terms. If BEGIN failed, its error is the cause.
   */
  causeOf(error: unknown): unknown {
    return error instanceof AppError ? error : this.connections.translate(this.beginFailure ?? error, this.txSettings);
  }

  private openForRepository(): Promise<PooledClient> {
    this.queryCount++;
    return this.open();
  }

  private open(): Promise<PooledClient> {
    if (this.ended) return Promise.reject(new Error('the transaction has ended'));
    this.opening ??= this.begin();
    return this.opening;
  }

  private async begin(): Promise<PooledClient> {
    const [client, release] = await this.connections.acquire(this.shareOf);
    try {
      assertConnected(this.connection);
    } catch (error) {
      release();
      throw error;
    }
    client.join();
    const begun = Promise.all(this.connections.beginTexts(this.txSettings).map((text) => client.query(text)));
    // The connection is pipelined: the next statement leaves behind the BEGIN without waiting for it. If the BEGIN
    // fails, that statement fails too, with a less useful error: so this one is kept.
    begun.catch((error: unknown) => {
      this.beginFailure = error;
    });
    this.release = release;
    if (!this.connections.failsClosed) await begun;
    this.client = client;
    return client;
  }
}
