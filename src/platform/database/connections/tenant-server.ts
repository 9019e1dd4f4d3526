import { DB_ROLES } from '../sql/db-roles';
import type { ConnectionManager } from './connection-manager';
import { idSetting, type TransactionSettings } from './transaction-settings';

/** Injection token of the {@link TenantServers} of the process. */
export const TENANT_SERVERS = Symbol('TENANT_SERVERS');

const MAX_KNOWN = 10_000;

/** The server on which the transactions of tenants run: its connections, and the settings that begin them there. */
export class TenantServer {
  /** By tenant: the same settings begin each of its transactions. */
  private readonly forReading = new Map<string, TransactionSettings>();
  private readonly forWriting = new Map<string, TransactionSettings>();

  constructor(readonly connections: ConnectionManager) {}

  /** The settings of a transaction of a tenant as the role of the service. */
  txSettings(tenantId: string, readOnly: boolean): TransactionSettings {
    const known = readOnly ? this.forReading : this.forWriting;
    let settings = known.get(tenantId);
    if (!settings) {
      const tenant = idSetting('app.tenant_id', tenantId);
      settings = this.connections.transactionSettings(DB_ROLES.service, [tenant], readOnly);
      if (known.size >= MAX_KNOWN) known.clear();
      known.set(tenantId, settings);
    }
    return settings;
  }

  /** The number of further requests whose statements would wait here for at most `longestWait` milliseconds. */
  capacity(reads: boolean, longestWait: number): number {
    return reads ? this.connections.readCapacity(longestWait) : this.connections.writeCapacity(longestWait);
  }
}

/** Finds the server of a tenant. */
export interface TenantServers {
  /** Whether Citus distributes the tables over several servers. */
  readonly isDistributed: boolean;
  /**
   * @param central the tenant's transaction needs the server of `DATABASE_URL`
   * @throws Unavailable if the server is unreachable
   */
  of(tenantId: string, central?: boolean): TenantServer;
  /** The number of further requests whose statements would wait for at most `longestWait` milliseconds. */
  capacity(reads: boolean, longestWait: number): number;
  /** Closes the connections that it has opened. */
  close(): Promise<void>;
}

/** The server of `DATABASE_URL` for all tenants. */
export class SingleServer implements TenantServers {
  private readonly server: TenantServer;

  constructor(connections: ConnectionManager) {
    this.server = new TenantServer(connections);
  }

  get isDistributed(): boolean {
    return this.server.connections.isDistributed;
  }

  of(): TenantServer {
    return this.server;
  }

  capacity(reads: boolean, longestWait: number): number {
    return this.server.capacity(reads, longestWait);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
