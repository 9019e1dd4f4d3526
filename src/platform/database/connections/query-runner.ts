import type { PoolClient } from 'pg';
import type { PostgresDriver } from 'typeorm/driver/postgres/PostgresDriver';
import { PostgresQueryRunner } from 'typeorm/driver/postgres/PostgresQueryRunner';
import type { StatementSpans } from './statement-spans';

/**
 * TypeORM's query runner on a connection with a transaction of the service: TypeORM neither begins nor ends it, and
 * does not release the connection. A transaction that TypeORM opens itself (`save`) becomes a savepoint.
 */
export class BoundQueryRunner extends PostgresQueryRunner {
  constructor(
    driver: PostgresDriver,
    private readonly open: () => Promise<PoolClient>,
    private readonly spans: StatementSpans,
  ) {
    super(driver, 'master');
    this.isTransactionActive = true;
    this.transactionDepth = 1;
  }

  override connect(): Promise<PoolClient> {
    return this.open();
  }

  // Its declared overloads are narrower than the real ones.
  override query(text: string, values?: unknown[], structured?: boolean): Promise<never> {
    const name = /^\s*(?:SELECT\b[^]*?\bFROM|INSERT INTO|UPDATE|DELETE FROM)\s+"(\w+)"/.exec(text)?.[1];
    const verb = /^\s*(\w+)/.exec(text)?.[1] ?? 'query';
    return this.spans.around([{ name: name === undefined ? verb : `${verb} ${name}` }], () =>
      super.query(text, values, structured as true),
    ) as Promise<never>;
  }

  override release(): Promise<void> {
    return Promise.resolve();
  }
}
