import type { EntityManager, EntityTarget, ObjectLiteral, Repository } from 'typeorm';
import type { PoolClient, QueryResult } from 'pg';
import { AppError } from '../errors';
import { isStaleStatement, translateDatabaseError } from './sql/errors';
import type { ConnectionManager } from './connections/connection-manager';
import type { TransactionSettings } from './connections/transaction-settings';
import { BoundQueryRunner } from './connections/query-runner';
import { assertSound, joinWrites, type Row, type Statement } from './sql/statement';

/** As it is called in a trace. */
const COMMIT = { name: 'commit' };

/**
 * One transaction, bound to a scope (a tenant, or one of the narrow roles) by the settings that its BEGIN carries.
 *
 * It opens when it is first asked something, with its BEGIN in the same round trip as the question. Statements given
 * to {@link defer} and {@link insert} are sent together with the COMMIT; a transaction of nothing else never holds a connection of its
 * own: it is written to a shared one in a single flight.
 */
export class Transaction {
  private client?: PoolClient;
  private release?: (error?: Error | boolean) => void;
  private opening?: Promise<PoolClient>;
  private beginFailure?: unknown;
  /** The connection has prepared what no longer fits: it is not used again. */
  private stale = false;
  private manager?: EntityManager;
  private readonly deferred: Statement[] = [];
  private readonly writes: Statement[] = [];
  private readonly committed: (() => void)[] = [];
  private ended = false;

  constructor(
    private readonly connections: ConnectionManager,
    private readonly txSettings: TransactionSettings,
  ) {}

  /** Runs a statement now and gives its rows. */
  async query<R extends Row = Row>(statement: Statement): Promise<R[]> {
    // Its connection may be another tenant's by then.
    if (this.ended) throw new Error('the transaction has ended');
    assertSound(statement);
    try {
      const result = await this.connections.spans.around([statement], async () =>
        (this.client ?? (await this.open())).query<R>(this.connections.toQuery(statement)),
      );
      return result.rows;
    } catch (error) {
      this.stale ||= isStaleStatement(error);
      throw this.causeOf(error);
    }
  }

  /**
   * Leaves a statement to be sent with the COMMIT, in the order given. Its rows are not seen; if it fails, the whole
   * transaction fails with its error and nothing of it is kept.
   */
  defer(statement: Statement): void {
    if (this.ended) throw new Error('the transaction has ended');
    assertSound(statement);
    this.deferred.push(statement);
  }

  /**
   * Leaves an INSERT to be sent with the COMMIT, behind all that was deferred, as one statement with the others: none
   * of them sees what another one writes. `name` stands for the text and the number of parameters.
   */
  insert(...writes: readonly Statement[]): void {
    if (this.ended) throw new Error('the transaction has ended');
    writes.forEach(assertSound);
    this.writes.push(...writes);
  }

  /** The repository of an entity on this transaction's connection. */
  repository<E extends ObjectLiteral>(entity: EntityTarget<E>): Repository<E> {
    this.manager ??= this.connections.dataSource.createEntityManager(
      new BoundQueryRunner(this.connections.driver, () => this.open(), this.connections.spans),
    );
    return this.manager.getRepository(entity);
  }

  /** Leaves something to be done once the transaction has committed; it must not throw. */
  afterCommit(action: () => void): void {
    this.committed.push(action);
  }

  /** For the runner alone: sends what was deferred and commits. */
  async commit(): Promise<void> {
    this.ended = true;
    await this.sendCommit();
    for (const action of this.committed) action();
  }

  private async sendCommit(): Promise<void> {
    if (this.writes.length > 0)
      this.deferred.push(...(this.connections.isDistributed ? this.writes : [joinWrites(this.writes)]));
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

  private async commitOn(client: PoolClient): Promise<void> {
    const answers = await Promise.allSettled([
      ...this.deferred.map((statement) => client.query(this.connections.toQuery(statement))),
      client.query('COMMIT') as Promise<QueryResult>,
    ]);
    const failed = answers.find((answer) => answer.status === 'rejected');
    const last = answers[answers.length - 1];
    const command = last?.status === 'fulfilled' ? (last.value as QueryResult).command : undefined;
    const error = failed?.reason ?? (command === 'COMMIT' ? undefined : new Error('the transaction was rolled back'));
    // Without an answer to COMMIT the connection's state is unknown: it is not used again.
    this.release?.(command === undefined || isStaleStatement(failed?.reason) ? true : undefined);
    if (error) throw this.causeOf(error);
  }

  /** For the runner alone: undoes everything. Never throws. */
  async rollback(): Promise<void> {
    this.ended = true;
    if (!this.opening) return;
    try {
      // Where BEGIN itself was refused, the connection is asked to roll back all the same, or given up.
      const client = await this.opening;
      await client.query('ROLLBACK');
      this.release?.(this.stale ? true : undefined);
    } catch {
      this.release?.(true);
    }
  }

  /** For the runner alone: an error of this transaction in the service's terms. If BEGIN failed, that is why. */
  causeOf(error: unknown): unknown {
    return error instanceof AppError ? error : translateDatabaseError(this.beginFailure ?? error);
  }

  private open(): Promise<PoolClient> {
    if (this.ended) return Promise.reject(new Error('the transaction has ended'));
    this.opening ??= this.begin();
    return this.opening;
  }

  private async begin(): Promise<PoolClient> {
    const [client, release] = await this.connections.acquire();
    const begun = Promise.all(this.connections.beginTexts(this.txSettings).map((text) => client.query(text)));
    // The connection is pipelined: the next statement goes out behind the BEGIN without waiting for it. If the BEGIN
    // fails, that statement fails too, with an error that says less: hence this one is kept.
    begun.catch((error: unknown) => {
      this.beginFailure = error;
    });
    this.release = release;
    if (!this.connections.failsClosed) await begun;
    this.client = client;
    return client;
  }
}
