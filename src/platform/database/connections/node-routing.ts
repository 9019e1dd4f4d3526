import { Gauge } from 'prom-client';
import type { EntityTarget, ObjectLiteral } from 'typeorm';
import type { Logger } from 'pino';
import { type Config, required } from '../../config/config';
import { readNodeAddresses } from '../../config/node-addresses';
import { Unavailable } from '../../errors';
import type { Metrics, PoolState } from '../../observability/metrics';
import type { Tracing } from '../../observability/tracing';
import { DB_ROLES } from '../sql/db-roles';
import type { Row, Statement } from '../sql/statement';
import type { ConnectionManager } from './connection-manager';
import { NodeMap } from './node-map';
import { type ConnectionArguments, type Identity, IDENTITY, identityText, NodeServer } from './node-server';
import { TenantServer, type TenantServers } from './tenant-server';

/** Interval of reading the placements of the shards, milliseconds. After a failed statement they are read sooner. */
const REFRESH_MS = 5_000;
const REFRESH_AFTER_FAILURE_MS = 500;

/** Options of {@link NodeRouting}. */
export interface NodeRoutingOptions {
  config: Config;
  /** The connections of `DATABASE_URL`. */
  coordinator: ConnectionManager;
  entities: EntityTarget<ObjectLiteral>[];
  metrics: Metrics;
  tracing: Tracing;
  logger: Logger;
}

/** A shard's range of hash values and its server. */
interface PlacementRow extends Row {
  min: number;
  max: number;
  host: string;
  port: number;
  group: number;
  /** Whether the server has the metadata and so can plan statements. */
  knows: boolean;
}

/** The shards of one table represent those of all, which are co-located. */
const PLACEMENTS: Statement = {
  name: 'node_map',
  text: `select s.shardminvalue::int as min, s.shardmaxvalue::int as max, n.nodename as host, n.nodeport as port,
                n.groupid as "group", n.isactive and n.hasmetadata and n.metadatasynced as knows
           from pg_dist_shard s join pg_dist_placement p on p.shardid = s.shardid and p.shardstate = 1
           join pg_dist_node n on n.groupid = p.groupid and n.noderole = 'primary'
          where s.logicalrelid = (select min(logicalrelid::oid) from pg_dist_partition where partmethod = 'h')`,
  values: [],
};

const COORDINATOR_GROUP = 0;

/**
 * `DATABASE_ROUTING=node`: the transactions of a tenant run on the server of Citus that has its rows. Each server has
 * the metadata, so that a statement on another one is right as well and only costs more: the map may be out of date.
 * All other work runs on the coordinator: the narrow roles, its local tables, notifications.
 */
export class NodeRouting implements TenantServers {
  readonly isDistributed = true;
  private map = new NodeMap<NodeServer | undefined>([]);
  private readonly coordinator: TenantServer;
  private readonly servers = new Map<string, NodeServer>();
  private readonly addresses: ReadonlyMap<string, string>;
  private timer?: NodeJS.Timeout;
  private refreshing?: Promise<void>;
  private isClosed = false;
  private isStale = false;
  /** Whether a failed statement has brought the next reading forward. */
  private refreshesSoon = false;
  /** The names of all servers in the metadata of the coordinator. */
  private cluster = '';

  private constructor(private readonly options: NodeRoutingOptions) {
    const { DATABASE_NODE_ADDRESSES: addresses } = options.config;
    this.addresses = addresses === undefined ? new Map<string, string>() : readNodeAddresses(addresses);
    this.coordinator = new TenantServer(options.coordinator);
    const { servers } = this;
    new Gauge({
      name: 'db_node_up',
      help: 'Whether the last connection of this process to a server of Citus was made: 1, or 0.',
      labelNames: ['node'],
      registers: [options.metrics.registry],
      collect() {
        for (const { name, isUp } of servers.values()) this.set({ node: name }, Number(isUp));
      },
    });
  }

  /**
   * Reads the map and connects to the servers. An unavailable one does not delay the others.
   * @throws Unavailable if `DATABASE_URL` is not the coordinator of a distributed database
   */
  static async start(options: NodeRoutingOptions): Promise<NodeRouting> {
    await assertCoordinator(options.coordinator);
    const routing = new NodeRouting(options);
    await routing.load();
    await Promise.all([...routing.servers.values()].map((server) => server.connect()));
    routing.refreshIn(REFRESH_MS);
    return routing;
  }

  of(tenantId: string, central = false): TenantServer {
    return (central ? undefined : this.map.find(tenantId)?.server) ?? this.coordinator;
  }

  capacity(reads: boolean, longestWait: number): number {
    let most = this.coordinator.capacity(reads, longestWait);
    for (const server of this.servers.values()) most = Math.max(most, server.capacity(reads, longestWait));
    return most;
  }

  async close(): Promise<void> {
    this.isClosed = true;
    clearTimeout(this.timer);
    await this.refreshing;
    await Promise.all([...this.servers.values()].map((server) => server.close()));
  }

  /** Reads the placements again. The map is unchanged while the coordinator does not respond. */
  refresh(): Promise<void> {
    this.refreshing ??= this.tryRefresh().finally(() => {
      this.refreshing = undefined;
      this.refreshesSoon = false;
      this.refreshIn(REFRESH_MS);
    });
    return this.refreshing;
  }

  private async tryRefresh(): Promise<void> {
    try {
      await this.load();
      for (const server of this.servers.values()) void server.connect();
      if (this.isStale) this.options.logger.info('the placements of shards are read again');
      this.isStale = false;
    } catch (error) {
      if (!this.isStale) {
        const reason = (error as Error).message;
        this.options.logger.warn({ reason }, 'the placements of shards cannot be read; those read before stay in use');
      }
      this.isStale = true;
    }
  }

  private refreshIn(milliseconds: number): void {
    clearTimeout(this.timer);
    if (this.isClosed) return;
    this.timer = setTimeout(() => void this.refresh(), milliseconds * (0.75 + Math.random() / 2));
    this.timer.unref();
  }

  private async load(): Promise<void> {
    const { coordinator } = this.options;
    const txSettings = coordinator.transactionSettings(DB_ROLES.service, [], true);
    const [rows, [identity]] = await Promise.all([
      coordinator.query<PlacementRow>(txSettings, PLACEMENTS),
      coordinator.query<Identity>(txSettings, IDENTITY),
    ]);
    if (rows.length === 0)
      throw new Unavailable('database: DATABASE_ROUTING=node: no table is distributed yet: run migrate');
    this.cluster = identity?.servers ?? '';
    this.map = new NodeMap(rows.map((row) => ({ min: row.min, max: row.max, node: this.serverOf(row) })));
  }

  /** The server of a placement; undefined for the coordinator, and for a server that it must represent. */
  private serverOf({ host, port, group, knows }: PlacementRow): NodeServer | undefined {
    if (group === COORDINATOR_GROUP || !knows) return undefined;
    const name = addressText(host, port);
    let server = this.servers.get(name);
    if (!server) {
      server = this.newServer(name, group);
      this.servers.set(name, server);
    }
    return server;
  }

  private newServer(name: string, group: number): NodeServer {
    const { config, entities, metrics, tracing, logger } = this.options;
    const address = this.addresses.get(name) ?? name;
    const onWait = metrics.addPool('node', () => server.state, name);
    const ownConfig: Config = {
      ...config,
      DATABASE_URL: urlOf(required(config, 'DATABASE_URL'), address),
      DB_POOL_SIZE: config.DB_NODE_POOL_SIZE,
    };
    const connectionArguments = (onPool: (state: () => PoolState) => void): ConnectionArguments => [
      ownConfig,
      entities,
      {
        registry: metrics.registry,
        addPool(pool, state) {
          // The others are not used where Citus distributes the tables.
          if (pool === 'transaction' || pool === 'read') onPool(state);
          return onWait;
        },
      },
      tracing,
      (error) => {
        logger.warn({ node: name, reason: error.message }, 'database connection lost');
        this.onFailure();
      },
    ];
    const onChange = (fault: string | undefined): void => {
      if (fault === undefined) logger.info({ node: name }, 'the server can be reached again');
      else logger.warn({ node: name, address, reason: fault }, 'a server cannot be reached: its tenants get 503');
    };
    const server = new NodeServer({
      name,
      address,
      connectionArguments,
      identity: () => identityText({ group, servers: this.cluster }),
      onFailure: () => this.onFailure(),
      onChange,
    });
    return server;
  }

  private onFailure(): void {
    if (this.refreshesSoon || this.refreshing) return;
    this.refreshesSoon = true;
    this.refreshIn(REFRESH_AFTER_FAILURE_MS);
  }
}

/** @throws Unavailable if the server does not plan for all others */
async function assertCoordinator(connections: ConnectionManager): Promise<void> {
  const refusal = 'database: DATABASE_ROUTING=node needs the coordinator of a database that Citus distributes';
  if (!connections.isDistributed) throw new Unavailable(`${refusal}; this one has no Citus`);
  const [row] = await connections.query<{ group: number }>(
    connections.transactionSettings(DB_ROLES.service, [], true),
    { name: 'node_group', text: 'select groupid as "group" from pg_dist_local_group', values: [] },
  );
  if (row?.group !== COORDINATOR_GROUP) throw new Unavailable(`${refusal}; this is another of its servers`);
}

/** A host and its port, with an IPv6 address in brackets. */
function addressText(host: string, port: number): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** The URL with the host and port of a server; all else stays: login, database, TLS. */
function urlOf(databaseUrl: string, address: string): string {
  const url = new URL(databaseUrl);
  url.host = address;
  return url.href;
}
