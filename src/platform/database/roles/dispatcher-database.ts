import { Injectable } from '@nestjs/common';
import { ConnectionManager } from '../connections/connection-manager';
import { DB_ROLES } from '../sql/db-roles';
import type { Row, Statement } from '../sql/statement';
import { BACKLOG_TIMEOUT } from '../sql/timeouts';
import { queryEveryServer } from '../connections/every-server';

/**
 * For dispatchers: of every tenant, their role sees only the columns that the policies name, such as due times of
 * waiting rows.
 */
@Injectable()
export class DispatcherDatabase {
  constructor(private readonly connections: ConnectionManager) {}

  /** Whether Citus distributes the tables: it allows no recursion over several servers. */
  get isDistributed(): boolean {
    return this.connections.isDistributed;
  }

  /** Runs one statement that reads, in one round trip. Where a server of Citus is away, it reads the others. */
  query<R extends Row>(statement: Statement): Promise<R[]> {
    const settings = this.connections.transactionSettings(DB_ROLES.dispatcher, [], true);
    return queryEveryServer<R>(this.connections, settings, statement);
  }

  /** The same for a measurement: on the isolated connection, with a short timeout. */
  measure<R extends Row>(statement: Statement): Promise<R[]> {
    const settings = this.connections.transactionSettings(DB_ROLES.dispatcher, [BACKLOG_TIMEOUT], true);
    return this.connections.queryIsolated<R>(settings, statement);
  }

  /** Runs one statement that writes, and commits it. */
  async write(statement: Statement): Promise<void> {
    await this.connections.write(this.connections.transactionSettings(DB_ROLES.dispatcher, []), [statement]);
  }

  /** Closes every connection of the process. */
  close(): Promise<void> {
    return this.connections.close();
  }
}
