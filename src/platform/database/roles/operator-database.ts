import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { Config, required } from '../../config/config';
import { SERVICE_NAME } from '../../config/service-name';
import { Unavailable } from '../../errors';
import { connectionFault } from '../../net/connection-fault';
import { beginText } from '../connections/transaction-settings';
import { translateDatabaseError } from '../sql/errors';
import { OPERATOR_ROLE } from '../sql/db-roles';
import { inTransaction } from '../sql/in-transaction';
import { ServiceClient } from '../sql/service-client';
import { sessionSettings } from '../sql/session-settings';
import { type Row, type Statement, toQuery } from '../sql/statement';

/**
 * For the operator's commands only: one connection of the tables' owner, with a role that sees the list of tenants and
 * none of their rows. One statement at a time, each in its own transaction.
 */
@Injectable()
export class OperatorDatabase implements OnApplicationShutdown {
  private connection?: Promise<ServiceClient>;

  constructor(private readonly config: Config) {}

  /** Runs a statement as the operator's role. @throws Unavailable when the database cannot be reached */
  async query<R extends Row>(statement: Statement): Promise<R[]> {
    try {
      this.connection ??= this.connect();
      const client = await this.connection;
      const begin = beginText({ settings: [...sessionSettings(), ['role', OPERATOR_ROLE]] });
      const { rows } = await inTransaction(client, () => client.query<R>(toQuery(statement, false)), begin);
      return rows;
    } catch (error) {
      throw translateDatabaseError(error);
    }
  }

  async onApplicationShutdown(): Promise<void> {
    const client = await this.connection?.catch(() => undefined);
    await client?.end();
  }

  private async connect(): Promise<ServiceClient> {
    const { MIGRATION_DATABASE_URL, DIRECT_DATABASE_URL, DB_STATEMENT_TIMEOUT } = this.config;
    const variable = MIGRATION_DATABASE_URL
      ? 'MIGRATION_DATABASE_URL'
      : DIRECT_DATABASE_URL
        ? 'DIRECT_DATABASE_URL'
        : 'DATABASE_URL';
    const connectionString = required(this.config, variable);
    const client = new ServiceClient({
      connectionString,
      application_name: `${SERVICE_NAME} admin`,
      connectionTimeoutMillis: 5_000,
      query_timeout: DB_STATEMENT_TIMEOUT + 5_000,
    });
    await client.connect().catch((error: unknown) => {
      const reason = connectionFault(error, 'sslrootcert');
      throw new Unavailable(`${variable}: cannot connect to ${new URL(connectionString).host} (${reason})`);
    });
    return client;
  }
}
