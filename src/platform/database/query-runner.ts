import type { PoolClient } from 'pg';
import type { PostgresDriver } from 'typeorm/driver/postgres/PostgresDriver';
import { PostgresQueryRunner } from 'typeorm/driver/postgres/PostgresQueryRunner';

/**
 * TypeORM's query runner on a connection whose transaction is ours: TypeORM neither begins nor ends it, nor gives the
 * connection back. What TypeORM runs as a transaction of its own (`save`) becomes a savepoint inside it.
 */
export class BoundQueryRunner extends PostgresQueryRunner {
  constructor(
    driver: PostgresDriver,
    private readonly open: () => Promise<PoolClient>,
  ) {
    super(driver, 'master');
    this.isTransactionActive = true;
    this.transactionDepth = 1;
  }

  override connect(): Promise<PoolClient> {
    return this.open();
  }

  override release(): Promise<void> {
    return Promise.resolve();
  }
}
