import { DataSource, type EntityTarget, type ObjectLiteral } from 'typeorm';
import type { PostgresDriver } from 'typeorm/driver/postgres/PostgresDriver';
import type { ClientConfig, Pool, PoolClient, QueryConfig, QueryResult } from 'pg';
import { Counter } from 'prom-client';
import { type Config, required } from '../../config/config';
import type { Metrics, PoolState } from '../../observability/metrics';
import type { Tracing } from '../../observability/tracing';
import { forCitus, HAS_CITUS } from '../sql/citus';
import { translateDatabaseError } from '../sql/errors';
import { Pipeline } from './pipeline';
import { beginText, type TransactionSettings, READ_ONLY, type Setting } from './transaction-settings';
import { Replica } from './replica';
import { type RoleName, DB_ROLES } from '../sql/db-roles';
import { type Row, type Statement, toQuery } from '../sql/statement';
import { StatementSpans } from './statement-spans';
import { IDLE_IN_TRANSACTION_TIMEOUT_MS, lockTimeout } from '../sql/timeouts';

const READ_LANES = 2;
/** To the replica, where there is one; they do not count against `DB_POOL_SIZE`, which is the primary's. */
const REPLICA_LANES = 2;
const WRITE_LANES = 6;
/** Of how many transactions the mean time is known. */
const HOLDS_REMEMBERED = 20;
/** An allowance below this has no connection for {@link ConnectionManager.queryIsolated} alone. */
const ROOM_FOR_APART = 8;

/**
 * Owns every connection of a process: a few pipelined ones for one-flight reads and writes, and TypeORM's pool for
 * transactions that hold a connection while they think. Only `platform/database` sees it; features are handed
 * transactions that are bound to a tenant.
 */
export class ConnectionManager {
  readonly dataSource: DataSource;
  private readonly reads: Pipeline;
  private readonly writes: Pipeline;
  private readonly apart?: Pipeline;
  private readonly replica?: Replica;
  private readonly onPoolWait: (seconds: number) => void;
  /** Of what is asked by a request that is traced. */
  readonly spans: StatementSpans;
  private readonly preparedStatements: boolean;
  private readonly statementTimeout: number;
  private loggedInAs = '';
  private citus = false;
  /** A moving average of how long a transaction holds a connection of the pool, milliseconds. */
  private holdTime = 0;

  constructor(
    config: Config,
    entities: EntityTarget<ObjectLiteral>[],
    metrics: Metrics,
    tracing: Tracing,
    private readonly onError: (error: Error) => void,
  ) {
    const connectionString = required(config, 'DATABASE_URL');
    const connection: ClientConfig = { connectionString, application_name: 'orders-saas-api' };
    const shared = {
      connection,
      preparedStatements: config.DB_PREPARED_STATEMENTS,
      deadline: config.DB_STATEMENT_TIMEOUT + 5_000,
      onError,
    };
    // A small allowance is shared out in the same proportions, and at least two are left for the pool.
    const writeLanes = Math.max(1, Math.min(WRITE_LANES, config.DB_POOL_SIZE - READ_LANES - 4));
    const readLanes = Math.min(READ_LANES, config.DB_POOL_SIZE - writeLanes - 2);
    const apartLanes = config.DB_POOL_SIZE >= ROOM_FOR_APART ? 1 : 0;
    this.spans = new StatementSpans(tracing, new URL(connectionString).pathname.slice(1));
    this.preparedStatements = config.DB_PREPARED_STATEMENTS;
    this.statementTimeout = config.DB_STATEMENT_TIMEOUT;
    const pipeline = (name: string, lanes: number, to = connection): Pipeline => {
      const onWait = metrics.addPool(name, () => created.state());
      const created = new Pipeline({ ...shared, connection: to, connections: lanes, onWait });
      return created;
    };
    this.reads = pipeline('read', readLanes);
    this.writes = pipeline('write', writeLanes);
    if (apartLanes > 0) this.apart = pipeline('export', apartLanes);
    if (config.DATABASE_REPLICA_URL) {
      this.replica = new Replica({
        pipeline: pipeline('replica', REPLICA_LANES, { ...connection, connectionString: config.DATABASE_REPLICA_URL }),
        primaryPosition: () => this.position(),
        patience: config.DATABASE_REPLICA_PATIENCE,
        reads: new Counter({
          name: 'db_replica_reads_total',
          help: 'Reads that the replica may answer, by who did.',
          labelNames: ['answered_by'],
          registers: [metrics.registry],
        }),
        onError,
      });
    }
    this.onPoolWait = metrics.addPool('transaction', () => this.poolState());
    this.dataSource = new DataSource({
      type: 'postgres',
      url: connectionString,
      entities: entities as never,
      synchronize: false,
      installExtensions: false,
      logging: false,
      poolErrorHandler: onError,
      extra: {
        max: config.DB_POOL_SIZE - writeLanes - readLanes - apartLanes,
        pipeline: true,
        keepAlive: true,
        connectionTimeoutMillis: 5_000,
        idleTimeoutMillis: 30_000,
        query_timeout: config.DB_STATEMENT_TIMEOUT + 5_000,
        application_name: 'orders-saas-api',
      },
    });
  }

  get driver(): PostgresDriver {
    return this.dataSource.driver as PostgresDriver;
  }

  /**
   * Opens the connections.
   * @throws Unavailable when the database cannot be reached; Error when the service's role could look past its walls
   */
  async connect(): Promise<void> {
    try {
      await this.dataSource.initialize();
      const rows = await this.dataSource.query<{ name: string; unwalled: boolean; citus: boolean }[]>(
        `select session_user as name, ${HAS_CITUS} as citus,
                coalesce((select rolsuper or rolbypassrls from pg_roles where rolname = $1), false) as unwalled`,
        [DB_ROLES.service],
      );
      if (rows[0]?.unwalled) throw new Error(`${DB_ROLES.service} is a superuser or bypasses row-level security`);
      this.loggedInAs = rows[0]?.name ?? '';
      this.citus = rows[0]?.citus ?? false;
      await Promise.all([this.reads.connect(), this.writes.connect(), this.apart?.connect(), this.replica?.connect()]);
    } catch (error) {
      await this.close();
      throw translateDatabaseError(error);
    }
  }

  async close(): Promise<void> {
    await Promise.all([this.reads.close(), this.writes.close(), this.apart?.close(), this.replica?.close()]);
    if (this.dataSource.isInitialized) await this.dataSource.destroy();
  }

  /**
   * How a transaction begins as `role` with the given settings. The role is set unless the login is that very role: a
   * login that owns the tables or bypasses row-level security must not keep its powers here.
   */
  transactionSettings(role: RoleName, settings: readonly Setting[], readOnly = false): TransactionSettings {
    const all: Setting[] = [];
    // What follows has to reach the servers that have the rows.
    if (this.citus) all.push(['citus.propagate_set_commands', 'local']);
    if (this.loggedInAs !== DB_ROLES.service) all.push(...patience(this.statementTimeout));
    if (this.loggedInAs !== role) all.push(['role', role]);
    all.push(...settings);
    if (readOnly) all.push(READ_ONLY);
    return { settings: all };
  }

  /**
   * Whether a statement whose txSettings failed can do no harm: the login then is a role that sees nothing without a
   * tenant. Otherwise (one URL, of an owner or superuser) nothing is sent before the txSettings was answered.
   */
  get failsClosed(): boolean {
    return this.loggedInAs === DB_ROLES.service;
  }

  /** Whether the tables are spread over several servers by Citus. */
  get isDistributed(): boolean {
    return this.citus;
  }

  /** Whether a transaction may be a flight: Citus passes on what SET LOCAL sets after a BEGIN, and nothing else. */
  private get flies(): boolean {
    return this.failsClosed && !this.citus;
  }

  /** One read-only statement in one round trip. */
  async query<R extends Row>(txSettings: TransactionSettings, statement: Statement): Promise<R[]> {
    const [rows] = await this.spans.around([statement], () =>
      this.flies ? this.reads.run(txSettings, [statement]) : this.stepwise(txSettings, [statement]),
    );
    return rows as R[];
  }

  /** As {@link query}, on a connection for this alone: what takes long must not hold up the short reads behind it. */
  async queryIsolated<R extends Row>(txSettings: TransactionSettings, statement: Statement): Promise<R[]> {
    const { apart } = this;
    if (!apart || !this.flies) return this.query(txSettings, statement);
    const [rows] = await this.spans.around([statement], () => apart.run(txSettings, [statement]));
    return rows as R[];
  }

  /**
   * As {@link query}, by the replica; `undefined` where there is none that has all that the primary had at this moment. Whoever
   * logs in there takes on the service's role first, in the flight of the read: the walls stand as on the primary.
   */
  async queryReplica<R extends Row>(txSettings: TransactionSettings, statement: Statement): Promise<R[] | undefined> {
    if (!this.replica || this.citus) return undefined;
    const settings: Setting[] = [
      ...patience(this.statementTimeout),
      ['role', DB_ROLES.service],
      ...txSettings.settings,
    ];
    const { replica } = this;
    return this.spans.around([statement], () => replica.read<R>({ settings }, statement));
  }

  /** Up to where everything is written that anybody was told of: what is flushed, unless commits are told of before that. */
  private async position(): Promise<string> {
    const [row] = await this.query<{ position: string }>(this.transactionSettings(DB_ROLES.service, [], true), {
      name: 'primary_position',
      text: `select (case current_setting('synchronous_commit') when 'off' then pg_current_wal_insert_lsn()
                                                                else pg_current_wal_flush_lsn() end)::text as position`,
      values: [],
    });
    return row?.position ?? '';
  }

  /** Statements that write, in one transaction and one round trip. @returns the rows of each, where they are wanted */
  write(txSettings: TransactionSettings, statements: readonly Statement[], wantRows = false): Promise<Row[][]> {
    return this.spans.around(statements, () =>
      this.flies ? this.writes.run(txSettings, statements, wantRows) : this.stepwise(txSettings, statements),
    );
  }

  /** The same between a BEGIN and a COMMIT; where a txSettings that failed does no harm, nothing waits for the answer before. */
  private async stepwise(txSettings: TransactionSettings, statements: readonly Statement[]): Promise<Row[][]> {
    const [client, release] = await this.acquire();
    try {
      const answers: Promise<QueryResult<Row>>[] = [];
      const queries = [...this.beginTexts(txSettings), ...statements.map((one) => this.toQuery(one)), 'COMMIT'];
      for (const query of queries) {
        const answer = client.query<Row>(query as QueryConfig);
        answers.push(answer);
        if (!this.failsClosed) await answer;
      }
      const settled = await Promise.allSettled(answers);
      const failed = settled.find((one) => one.status === 'rejected');
      if (failed) throw failed.reason;
      release();
      return settled
        .slice(-1 - statements.length, -1)
        .map((one) => (one as PromiseFulfilledResult<QueryResult<Row>>).value.rows);
    } catch (error) {
      await client.query('ROLLBACK').then(
        () => release(),
        () => release(true),
      );
      throw translateDatabaseError(error);
    }
  }

  /** A connection of the pool, and the function that gives it back (with an error or `true`: closes it). */
  async acquire(): Promise<[PoolClient, (error?: Error | boolean) => void]> {
    const askedAt = performance.now();
    try {
      const [client, release] = (await this.driver.obtainMasterConnection()) as [
        PoolClient,
        (error?: Error | boolean) => void,
      ];
      const givenAt = performance.now();
      this.onPoolWait((givenAt - askedAt) / 1000);
      // The pool listens only while the connection is its own; a loss that nobody listens to would end the process.
      client.on('error', this.onError);
      const giveBack = (error?: Error | boolean): void => {
        release(error);
        this.holdTime += (performance.now() - givenAt - this.holdTime) / HOLDS_REMEMBERED;
        client.off('error', this.onError);
      };
      return [client, giveBack];
    } catch (error) {
      throw translateDatabaseError(error);
    }
  }

  /** For how many more reads there is room, none of which would stand behind others for longer than this, milliseconds. */
  roomForReads(longestWait: number): number {
    return this.reads.room(longestWait);
  }

  /** The same of writes, which may go in one flight or on a connection of the pool: none where one of the two has no room. */
  roomForWrites(longestWait: number): number {
    return this.expectedPoolWait() > longestWait ? 0 : this.writes.room(longestWait);
  }

  private expectedPoolWait(): number {
    const { waiting, used } = this.poolState();
    return waiting === 0 ? 0 : (waiting * this.holdTime) / Math.max(1, used);
  }

  private poolState(): PoolState {
    if (!this.dataSource.isInitialized) return { used: 0, idle: 0, waiting: 0 };
    const { totalCount, idleCount, waitingCount } = this.driver.master as Pool;
    return { used: totalCount - idleCount, idle: idleCount, waiting: waitingCount };
  }

  /** What begins a transaction: one query, but for Citus, which passes the whole text of a query on for each SET LOCAL in it. */
  beginTexts(txSettings: TransactionSettings): string[] {
    const text = beginText(txSettings);
    return this.citus ? text.split(';') : [text];
  }

  /** As {@link toQuery}, by name where prepared statements are on. */
  toQuery(statement: Statement): QueryConfig {
    return toQuery(this.citus ? forCitus(statement) : statement, this.preparedStatements);
  }
}

/** What `migrate` sets for the service's own login, for one that it leaves alone. */
function patience(statementTimeout: number): Setting[] {
  return [
    ['statement_timeout', String(statementTimeout)],
    ['lock_timeout', String(lockTimeout(statementTimeout))],
    ['idle_in_transaction_session_timeout', String(IDLE_IN_TRANSACTION_TIMEOUT_MS)],
  ];
}
