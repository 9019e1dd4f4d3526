import { Unavailable } from '../../errors';
import { connectionFault } from '../../net/connection-fault';
import type { PoolState } from '../../observability/metrics';
import type { PooledClient } from '../sql/service-client';
import type { Row, Statement } from '../sql/statement';
import { ConnectionManager } from './connection-manager';
import { TenantServer } from './tenant-server';
import type { TransactionSettings } from './transaction-settings';

/** A wait for a connection that ended by timeout means a busy pool if another got one so recently, milliseconds. */
const BUSY_MS = 5_000;
/** The error of a pipeline whose connections are all closed and cannot be opened. */
const NOT_CONNECTED = /no pipelined connection/;
const POOL_TIMEOUT = /timeout exceeded when trying to connect/;
/** Least time between two attempts to connect to a server, milliseconds. */
const RETRY_MS = 1_000;

/** The arguments of a {@link ConnectionManager} for one server. */
export type ConnectionArguments = ConstructorParameters<typeof ConnectionManager>;

/** Options of a {@link NodeServer}. */
export interface NodeServerOptions {
  /** Its name and port in `pg_dist_node`. */
  name: string;
  /** The address of its connections. */
  address: string;
  /** The arguments of its connections. The state of each of their pools goes to `onPool`. */
  connectionArguments: (onPool: (state: () => PoolState) => void) => ConnectionArguments;
  /** The result of {@link IDENTITY} on this server, as one text. */
  identity: () => string;
  /** Called when a statement failed that may work on another server, or later. */
  onFailure: () => void;
  /** Called when the server became unreachable, and when it is reachable again. */
  onChange: (fault: string | undefined) => void;
}

/**
 * The cluster in the metadata of a server, as one text: its own number, and the name of each server. It detects a wrong
 * address, which leads to a server of another installation.
 */
export const IDENTITY: Statement = {
  name: 'node_identity',
  text: `select (select groupid from pg_dist_local_group)::int as "group",
                (select string_agg(groupid || ' ' || nodename || ':' || nodeport, ', ' order by groupid, nodeid)
                   from pg_dist_node where noderole = 'primary') as servers`,
  values: [],
};

/** The row of {@link IDENTITY}. */
export interface Identity extends Row {
  group: number;
  servers: string;
}

/** One server of Citus and the connections of this process to it, which are opened when it is reachable. */
export class NodeServer {
  /** The server once it was reached. */
  private reached?: TenantServer;
  private attempt?: Promise<void>;
  private attemptedAt = -Infinity;
  private fault?: string;
  private pools: (() => PoolState)[] = [];
  private isClosed = false;

  constructor(private readonly options: NodeServerOptions) {}

  get name(): string {
    return this.options.name;
  }

  /** Whether its last connection was made. */
  get isUp(): boolean {
    return this.reached !== undefined && this.fault === undefined;
  }

  get state(): PoolState {
    const sum = { used: 0, idle: 0, waiting: 0 };
    for (const pool of this.pools) {
      const { used, idle, waiting } = pool();
      sum.used += used;
      sum.idle += idle;
      sum.waiting += waiting;
    }
    return sum;
  }

  /** @throws Unavailable while it was not reached yet: another server does not have its rows */
  get server(): TenantServer {
    if (this.reached) return this.reached;
    void this.connect();
    throw new Unavailable(`database: the server ${this.options.name} cannot be reached: ${this.fault ?? 'not yet'}`);
  }

  /** As that of its {@link TenantServer}; none while it was not reached yet. */
  capacity(reads: boolean, longestWait: number): number {
    return this.reached?.capacity(reads, longestWait) ?? 0;
  }

  private get connections(): ConnectionManager | undefined {
    return this.reached?.connections;
  }

  /** Connects, unless it is connected, or did not succeed a moment ago. Never rejects. */
  connect(): Promise<void> {
    if (this.reached || this.isClosed) return Promise.resolve();
    if (!this.attempt && performance.now() - this.attemptedAt >= RETRY_MS) {
      this.attemptedAt = performance.now();
      this.attempt = this.tryConnect().finally(() => (this.attempt = undefined));
    }
    return this.attempt ?? Promise.resolve();
  }

  async close(): Promise<void> {
    this.isClosed = true;
    await this.attempt;
    await this.reached?.connections.close();
  }

  private async tryConnect(): Promise<void> {
    const pools: (() => PoolState)[] = [];
    const args = this.options.connectionArguments((state) => pools.push(state));
    const connections: NodeConnections = new NodeConnections(args, {
      onConnected: () => this.connections === connections && this.changeTo(undefined),
      onLost: (error) => this.connections === connections && this.changeTo(connectionFault(error, 'sslrootcert')),
      onFailure: this.options.onFailure,
    });
    try {
      await connections.connect();
      await this.assertIdentity(connections);
    } catch (error) {
      await connections.close();
      this.changeTo(error instanceof WrongServer ? error.message : connectionFault(error, 'sslrootcert'));
      return;
    }
    this.pools = pools;
    this.reached = new TenantServer(connections);
    this.changeTo(undefined);
  }

  private async assertIdentity(connections: ConnectionManager): Promise<void> {
    const { address, identity } = this.options;
    if (!connections.isDistributed) throw new WrongServer(`${address} is no server of Citus`);
    const [row] = await connections.query<Identity>({ settings: [] }, IDENTITY);
    if (!row || identityText(row) !== identity()) throw new WrongServer(`${address} is another server`);
  }

  private changeTo(fault: string | undefined): void {
    if (this.isClosed || fault === this.fault) return;
    const isNews = (fault === undefined) !== (this.fault === undefined);
    this.fault = fault;
    if (isNews) this.options.onChange(fault);
  }
}

/** An identity as one text. */
export function identityText({ group, servers }: Identity): string {
  return `${group} of ${servers}`;
}

/** The address leads to another server than that of this name. */
class WrongServer extends Error {}

interface NodeEvents {
  onConnected: () => unknown;
  onLost: (error: unknown) => unknown;
  onFailure: () => void;
}

/**
 * The connections to one server, which usually has the rows of its statements. They report its loss, and temporary
 * failures of statements.
 */
class NodeConnections extends ConnectionManager {
  private acquiredAt = -Infinity;

  constructor(
    args: ConnectionArguments,
    private readonly events: NodeEvents,
  ) {
    super(...args);
  }

  protected override get hasRows(): boolean {
    return true;
  }

  override async queryAll(txSettings: TransactionSettings, statements: readonly Statement[]): Promise<Row[][]> {
    try {
      const rows = await super.queryAll(txSettings, statements);
      this.events.onConnected();
      return rows;
    } catch (error) {
      if (error instanceof Unavailable) {
        // The errors of a server have a severity.
        const isAnswer = (error.cause as { severity?: unknown } | undefined)?.severity !== undefined;
        if (NOT_CONNECTED.test(String(error.internal)) || (!isAnswer && this.isLost(error))) this.events.onLost(error);
        this.events.onFailure();
      }
      throw error;
    }
  }

  override async acquire(tenantId?: string): Promise<[PooledClient, (error?: Error | boolean) => void]> {
    try {
      const acquired = await super.acquire(tenantId);
      this.acquiredAt = performance.now();
      this.events.onConnected();
      return acquired;
    } catch (error) {
      if (this.isLost(error)) {
        this.events.onLost(error);
        this.events.onFailure();
      }
      throw error;
    }
  }

  /** Whether the server cannot be reached. Otherwise the pool, or the tenant's share of it, was in use. */
  private isLost(error: unknown): boolean {
    if (!(error instanceof Unavailable) || error.cause === undefined) return false;
    return !POOL_TIMEOUT.test(String(error.internal)) || performance.now() - this.acquiredAt > BUSY_MS;
  }

  override translate(error: unknown, txSettings: TransactionSettings): unknown {
    const translated = super.translate(error, txSettings);
    if (translated instanceof Unavailable) this.events.onFailure();
    return translated;
  }
}
