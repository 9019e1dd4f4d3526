import { DataSource, type EntityTarget, type ObjectLiteral } from 'typeorm';
import type { PostgresDriver } from 'typeorm/driver/postgres/PostgresDriver';
import type { ClientConfig, QueryConfig, QueryResult } from 'pg';
import { Counter } from 'prom-client';
import { type Config, required } from '../../config/config';
import { SERVICE_NAME } from '../../config/service-name';
import type { Metrics } from '../../observability/metrics';
import type { Tracing } from '../../observability/tracing';
import { forCitus, HAS_CITUS } from '../sql/citus';
import { isReadOnlyServer, isStaleStatement, translateDatabaseError } from '../sql/errors';
import { Pipeline } from './pipeline';
import { poolOptions } from './pool-options';
import { beginText, isReadOnly, type TransactionSettings, READ_ONLY, type Setting } from './transaction-settings';
import { areTenantsWrites, isOnlyServer, runHere } from './rows-here';
import { Replica } from './replica';
import { type RoleName, DB_ROLES } from '../sql/db-roles';
import { retireAllConnections } from '../sql/service-client';
import { type Row, type Statement, toQuery } from '../sql/statement';
import { sessionCorrections, timeoutSettings } from './session-corrections';
import { StatementSpans } from './statement-spans';
import { type AcquiredConnection, TransactionPool } from './transaction-pool';

const READ_CONNECTIONS = 2;
/** Connections to the replica. They do not count against `DB_POOL_SIZE`, which is for the primary. */
const REPLICA_CONNECTIONS = 2;
const WRITE_CONNECTIONS = 6;
/** A smaller allowance has no separate connection for {@link ConnectionManager.queryIsolated}. */
const MIN_POOL_SIZE_FOR_ISOLATED = 8;

/**
 * Owns every connection of a process: a few pipelined ones for single-round-trip reads and writes, and TypeORM's pool
 * for transactions that hold a connection between statements. Only `platform/database` sees it; features get
 * transactions that are bound to a tenant.
 */
export class ConnectionManager {
  readonly dataSource: DataSource;
  private readonly reads: Pipeline;
  private readonly writes: Pipeline;
  private readonly isolated?: Pipeline;
  private readonly replica?: Replica;
  private readonly pool: TransactionPool;
  /** Spans of statements that belong to a traced request. */
  readonly spans: StatementSpans;
  private readonly preparedStatements: boolean;
  private readonly statementTimeout: number;
  private readonly maxConnections: number;
  /** Milliseconds; see `DB_LIST_TIMEOUT`. */
  readonly listTimeout: number;
  private loggedInAs = '';
  private citus = false;
  /** Whether the rows of reads are on this server of Citus. */
  private readsHere = false;
  /** Whether this is the only server of Citus, so that the rows of writes are here. */
  private writesHere = false;
  /** Session settings with a value that the service cannot work with; each transaction sets them. */
  private corrections: readonly Setting[] = [];

  constructor(
    config: Config,
    entities: EntityTarget<ObjectLiteral>[],
    metrics: Pick<Metrics, 'addPool' | 'registry'>,
    tracing: Tracing,
    onError: (error: Error) => void,
  ) {
    const connectionString = required(config, 'DATABASE_URL');
    const connection: ClientConfig = { connectionString, application_name: SERVICE_NAME };
    const shared = {
      connection,
      preparedStatements: config.DB_PREPARED_STATEMENTS,
      deadline: config.DB_STATEMENT_TIMEOUT + 5_000,
      onError,
    };
    // A small allowance is divided in the same proportions; the pool gets at least two connections.
    const writeConnections = Math.max(1, Math.min(WRITE_CONNECTIONS, config.DB_POOL_SIZE - READ_CONNECTIONS - 4));
    const readConnections = Math.min(READ_CONNECTIONS, config.DB_POOL_SIZE - writeConnections - 2);
    const isolatedConnections = config.DB_POOL_SIZE >= MIN_POOL_SIZE_FOR_ISOLATED ? 1 : 0;
    this.spans = new StatementSpans(tracing, new URL(connectionString).pathname.slice(1));
    this.preparedStatements = config.DB_PREPARED_STATEMENTS;
    this.statementTimeout = config.DB_STATEMENT_TIMEOUT;
    this.maxConnections = config.DB_POOL_SIZE;
    this.listTimeout = Math.min(config.DB_LIST_TIMEOUT, config.DB_STATEMENT_TIMEOUT);
    const pipeline = (name: string, size: number, to = connection): Pipeline => {
      const onWait = metrics.addPool(name, () => created.state());
      const created = new Pipeline({ ...shared, connection: to, connections: size, onWait });
      return created;
    };
    this.reads = pipeline('read', readConnections);
    this.writes = pipeline('write', writeConnections);
    if (isolatedConnections > 0) this.isolated = pipeline('export', isolatedConnections);
    if (config.DATABASE_REPLICA_URL) {
      this.replica = new Replica({
        pipeline: pipeline('replica', REPLICA_CONNECTIONS, {
          ...connection,
          connectionString: config.DATABASE_REPLICA_URL,
        }),
        server: new URL(config.DATABASE_REPLICA_URL).host,
        primaryPosition: () => this.position(),
        timeout: config.DATABASE_REPLICA_TIMEOUT,
        reads: new Counter({
          name: 'db_replica_reads_total',
          help: 'Reads that the replica may serve, by the server that served them.',
          labelNames: ['served_by'],
          registers: [metrics.registry],
        }),
        onError,
      });
    }
    const poolSize = config.DB_POOL_SIZE - writeConnections - readConnections - isolatedConnections;
    this.dataSource = new DataSource({
      type: 'postgres',
      url: connectionString,
      entities: entities as never,
      synchronize: false,
      installExtensions: false,
      logging: false,
      poolErrorHandler: onError,
      extra: poolOptions(poolSize, config.DB_STATEMENT_TIMEOUT),
    });
    const onPoolWait = metrics.addPool('transaction', () => this.pool.state());
    this.pool = new TransactionPool(this.dataSource, poolSize, onPoolWait, onError);
  }

  get driver(): PostgresDriver {
    return this.dataSource.driver as PostgresDriver;
  }

  /**
   * Opens the connections.
   * @throws Unavailable when the database cannot be reached; Error when the service's role bypasses row-level security
   */
  async connect(): Promise<void> {
    try {
      await this.dataSource.initialize();
      const rows = await this.dataSource.query<{ name: string; bypasses: boolean; citus: boolean }[]>(
        `select session_user as name, ${HAS_CITUS} as citus,
                coalesce((select rolsuper or rolbypassrls from pg_roles where rolname = $1), false) as bypasses`,
        [DB_ROLES.service],
      );
      if (rows[0]?.bypasses) throw new Error(`${DB_ROLES.service} is a superuser or bypasses row-level security`);
      this.loggedInAs = rows[0]?.name ?? '';
      this.citus = rows[0]?.citus ?? false;
      this.corrections = await sessionCorrections(this.dataSource, this.citus);
      if (this.citus && this.failsClosed) {
        const isAlone = await isOnlyServer(this.dataSource);
        this.readsHere = isAlone || this.hasRows;
        this.writesHere = isAlone && this.loggedInAs === DB_ROLES.service;
      }
      if (!this.isPipelined) this.widenPool();
      await Promise.all([
        this.isPipelined || this.readsHere ? this.reads.connect() : undefined,
        this.isPipelined || this.writesHere ? this.writes.connect() : undefined,
        this.isPipelined ? this.isolated?.connect() : undefined,
        this.citus ? undefined : this.replica?.connect(),
      ]);
    } catch (error) {
      await this.close();
      throw translateDatabaseError(error);
    }
  }

  /** Whether this server of Citus, which is one of several, has the rows of the statements that it is sent. */
  protected get hasRows(): boolean {
    return false;
  }

  /** Gives the pool all connections of the process but those that are pipelined. */
  private widenPool(): void {
    const reads = this.readsHere ? this.reads.size : 0;
    this.pool.resize(this.maxConnections - reads - (this.writesHere ? this.writes.size : 0));
  }

  /** Replaces the connections that the failed query shows to be stale; its own connection closes by itself. */
  private replaceStaleConnections(error: unknown, txSettings: TransactionSettings): void {
    if (isStaleStatement(error)) this.pool.renew();
    else if (!isReadOnly(txSettings) && isReadOnlyServer(error)) retireAllConnections();
  }

  /** An error of a transaction on a connection of the pool, in the service's terms. */
  translate(error: unknown, txSettings: TransactionSettings): unknown {
    this.replaceStaleConnections(error, txSettings);
    return translateDatabaseError(error, isReadOnly(txSettings));
  }

  async close(): Promise<void> {
    await Promise.all([this.reads.close(), this.writes.close(), this.isolated?.close(), this.replica?.close()]);
    if (this.dataSource.isInitialized) await this.dataSource.destroy();
  }

  /**
   * The settings of a transaction as `role`. The role is set unless the login is that role: a login that owns the
   * tables or bypasses row-level security must not keep its powers here.
   */
  transactionSettings(role: RoleName, settings: readonly Setting[], readOnly = false): TransactionSettings {
    const all: Setting[] = [];
    all.push(...this.corrections);
    if (this.loggedInAs !== DB_ROLES.service) all.push(...timeoutSettings(this.statementTimeout));
    if (this.loggedInAs !== role) all.push(['role', role]);
    all.push(...settings);
    if (readOnly) all.push(READ_ONLY);
    return { settings: all };
  }

  /**
   * Whether a statement is harmless after its settings failed: then the login is a role that sees nothing without a
   * tenant, or a person. With one URL of an owner or superuser, no statement is sent before the settings have
   * succeeded.
   */
  get failsClosed(): boolean {
    return this.loggedInAs === DB_ROLES.service || this.loggedInAs === DB_ROLES.signIn;
  }

  /** Whether Citus distributes the tables over several servers. */
  get isDistributed(): boolean {
    return this.citus;
  }

  /** Whether a transaction may be pipelined. Citus propagates only a SET LOCAL after a BEGIN, so there it may not. */
  private get isPipelined(): boolean {
    return this.failsClosed && !this.citus;
  }

  /** One read-only statement in one round trip. */
  query<R extends Row>(txSettings: TransactionSettings, statement: Statement): Promise<R[]> {
    return this.queryAll(txSettings, [statement]).then(([rows]) => rows as R[]);
  }

  /** Read-only statements in one round trip. @returns the rows of each */
  queryAll(txSettings: TransactionSettings, statements: readonly Statement[]): Promise<Row[][]> {
    return this.spans.around(statements, () => {
      if (this.isPipelined) return this.reads.run(txSettings, statements);
      const onPool = (): Promise<Row[][]> => this.runOnPool(txSettings, statements);
      return this.readsHere ? runHere(this.reads, txSettings, statements, onPool) : onPool();
    });
  }

  /** As {@link query}, on a separate connection: a long read must not delay the short reads behind it. */
  async queryIsolated<R extends Row>(txSettings: TransactionSettings, statement: Statement): Promise<R[]> {
    const { isolated } = this;
    if (!isolated && this.isPipelined) return this.query(txSettings, statement);
    const [rows] = await this.spans.around([statement], () =>
      isolated && this.isPipelined ? isolated.run(txSettings, [statement]) : this.runOnPool(txSettings, [statement]),
    );
    return rows as R[];
  }

  /**
   * As {@link query}, on the replica; `undefined` if no replica has replayed all acknowledged writes of this moment.
   * The login there changes to the service's role first, in the same round trip, so that row-level security holds as on
   * the primary.
   */
  async queryReplica<R extends Row>(txSettings: TransactionSettings, statement: Statement): Promise<R[] | undefined> {
    if (!this.replica || this.citus) return undefined;
    const settings: Setting[] = [
      ...timeoutSettings(this.statementTimeout),
      ...this.corrections,
      ['role', DB_ROLES.service],
      ...txSettings.settings,
    ];
    const { replica } = this;
    return this.spans.around([statement], () => replica.read<R>({ settings }, statement));
  }

  /**
   * The WAL position up to which commits have been acknowledged: the flush position, or the insert position when
   * `synchronous_commit` is off.
   */
  private async position(): Promise<string> {
    const [row] = await this.query<{ position: string }>(this.transactionSettings(DB_ROLES.service, [], true), {
      name: 'primary_position',
      text: `select (case current_setting('synchronous_commit') when 'off' then pg_current_wal_insert_lsn()
                                                                else pg_current_wal_flush_lsn() end)::text as position`,
      values: [],
    });
    return row?.position ?? '';
  }

  /** Writing statements in one transaction and one round trip. @returns the rows of each, if requested */
  write(txSettings: TransactionSettings, statements: readonly Statement[], wantRows = false): Promise<Row[][]> {
    return this.spans.around(statements, () => {
      if (this.isPipelined) return this.writes.run(txSettings, statements, wantRows);
      const onPool = (): Promise<Row[][]> => this.runOnPool(txSettings, statements);
      if (!this.writesHere || !areTenantsWrites(txSettings, statements)) return onPool();
      return runHere(this.writes, txSettings, statements, onPool, wantRows);
    });
  }

  /**
   * The same between a BEGIN and a COMMIT. Where failed settings do no harm, statements do not wait for earlier
   * replies.
   */
  private async runOnPool(txSettings: TransactionSettings, statements: readonly Statement[]): Promise<Row[][]> {
    try {
      return await this.attemptOnPool(txSettings, statements);
    } catch (error) {
      // The statement was not executed, and connections with stale statements are not used again.
      if (!isStaleStatement(error)) throw error;
      return this.attemptOnPool(txSettings, statements);
    }
  }

  private async attemptOnPool(txSettings: TransactionSettings, statements: readonly Statement[]): Promise<Row[][]> {
    const [client, release] = await this.acquire();
    const results: Promise<QueryResult<Row>>[] = [];
    const queries = [...this.beginTexts(txSettings), ...statements.map((one) => this.toQuery(one)), 'COMMIT'];
    try {
      for (const query of queries) {
        const result = client.query<Row>(query as QueryConfig);
        results.push(result);
        if (!this.failsClosed) await result;
      }
      const settled = await Promise.allSettled(results);
      const failed = settled.find((one) => one.status === 'rejected');
      if (failed) throw failed.reason;
      release();
      return settled
        .slice(-1 - statements.length, -1)
        .map((one) => (one as PromiseFulfilledResult<QueryResult<Row>>).value.rows);
    } catch (error) {
      // The COMMIT of a failed transaction ends it. If it was not sent, a ROLLBACK does.
      const end = results.length === queries.length ? results.at(-1) : client.query('ROLLBACK');
      await end?.then(
        () => release(),
        () => release(true),
      );
      throw this.translate(error, txSettings);
    }
  }

  /** A connection of the pool, and the function that releases it; see {@link TransactionPool.acquire}. */
  acquire(tenantId?: string): Promise<AcquiredConnection> {
    return this.pool.acquire(tenantId);
  }

  /** The number of further reads that would not wait behind others for longer than this, milliseconds. */
  readCapacity(longestWait: number): number {
    // Reads use the pool as well where no transaction is pipelined.
    if (!this.isPipelined && this.pool.expectedWait() > longestWait) return 0;
    return this.reads.capacity(longestWait);
  }

  /** The same for writes, which use a pipelined connection or the pool: 0 if one of the two is full. */
  writeCapacity(longestWait: number): number {
    return this.pool.expectedWait() > longestWait ? 0 : this.writes.capacity(longestWait);
  }

  /**
   * The texts that begin a transaction: one query, but several for Citus, which propagates the whole text of a query
   * for each SET LOCAL in it.
   */
  beginTexts(txSettings: TransactionSettings): string[] {
    const text = beginText(txSettings);
    return this.citus ? text.split(';') : [text];
  }

  /** As {@link toQuery}, with a name where prepared statements are on. */
  toQuery(statement: Statement): QueryConfig {
    return toQuery(this.citus ? forCitus(statement) : statement, this.preparedStatements);
  }
}
