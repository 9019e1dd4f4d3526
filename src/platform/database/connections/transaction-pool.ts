import type { Pool } from 'pg';
import type { DataSource } from 'typeorm';
import type { PostgresDriver } from 'typeorm/driver/postgres/PostgresDriver';
import type { PoolState } from '../../observability/metrics';
import { translateDatabaseError } from '../sql/errors';
import type { PooledClient } from '../sql/service-client';
import { TenantShares } from './tenant-shares';

/** The number of transactions in the moving average of the hold time. */
const HOLD_TIME_WINDOW = 20;

/** A connection of the pool, and the function that releases it (with an error or `true`: closes it). */
export type AcquiredConnection = [PooledClient, (error?: Error | boolean) => void];

/** TypeORM's pool for transactions that hold a connection between statements, with a share for each tenant. */
export class TransactionPool {
  private shares: TenantShares;
  /** A moving average of the time that a transaction holds a connection of the pool, milliseconds. */
  private holdTime = 0;
  /** Connections made before this time (`performance.now()`) are closed instead of used. */
  private renewedAt = 0;

  /** @param onWait called with the seconds that each transaction has waited for its connection */
  constructor(
    private readonly dataSource: DataSource,
    size: number,
    private readonly onWait: (seconds: number) => void,
    private readonly onError: (error: Error) => void,
  ) {
    this.shares = new TenantShares(size);
  }

  private get driver(): PostgresDriver {
    return this.dataSource.driver as PostgresDriver;
  }

  /** Sets the number of connections, before the first one is used. */
  resize(size: number): void {
    (this.driver.master as Pool).options.max = size;
    this.shares = new TenantShares(size);
  }

  /** Replaces all present connections, each at its next use. */
  renew(): void {
    this.renewedAt = performance.now();
  }

  /**
   * A connection of the pool, and the function that releases it (with an error or `true`: closes it).
   * @param tenantId the tenant whose share of the pool it uses
   */
  async acquire(tenantId?: string): Promise<AcquiredConnection> {
    const requestedAt = performance.now();
    const wait = tenantId === undefined ? undefined : this.shares.acquire(tenantId);
    if (wait) await wait;
    try {
      const [client, release] = await this.acquireUsable();
      const acquiredAt = performance.now();
      this.onWait((acquiredAt - requestedAt) / 1000);
      // The pool handles errors only while it owns the connection.
      client.on('error', this.onError);
      const releaseShare = (error?: Error | boolean): void => {
        release(error);
        this.holdTime += (performance.now() - acquiredAt - this.holdTime) / HOLD_TIME_WINDOW;
        client.off('error', this.onError);
        if (tenantId !== undefined) this.shares.release(tenantId);
      };
      return [client, releaseShare];
    } catch (error) {
      if (tenantId !== undefined) this.shares.release(tenantId);
      throw translateDatabaseError(error);
    }
  }

  /** A usable connection of the pool. Each unusable one is closed and replaced, so the loop ends. */
  private async acquireUsable(): Promise<AcquiredConnection> {
    for (;;) {
      const [client, release] = (await this.driver.obtainMasterConnection()) as AcquiredConnection;
      if (!client.isRetired && client.madeAt >= this.renewedAt) return [client, release];
      release(true);
    }
  }

  /** The expected wait for a connection, milliseconds. */
  expectedWait(): number {
    const { waiting, used } = this.state();
    return waiting === 0 ? 0 : (waiting * this.holdTime) / Math.max(1, used);
  }

  /** The number of connections by state, and of transactions that wait. */
  state(): PoolState {
    if (!this.dataSource.isInitialized) return { used: 0, idle: 0, waiting: 0 };
    const { totalCount, idleCount, waitingCount } = this.driver.master as Pool;
    return { used: totalCount - idleCount, idle: idleCount, waiting: waitingCount };
  }
}
