import { Injectable } from '@nestjs/common';
import { ConnectionManager } from '../connections/connection-manager';
import { DB_ROLES } from '../sql/db-roles';
import type { Row, Statement } from '../sql/statement';

/** For comparing epochs of credentials, of every tenant: its role sees the counters and nothing else. */
@Injectable()
export class EpochDatabase {
  constructor(private readonly connections: ConnectionManager) {}

  /** Runs one statement that reads, in one round trip. */
  query<R extends Row>(statement: Statement): Promise<R[]> {
    return this.connections.query<R>(this.connections.transactionSettings(DB_ROLES.epochs, [], true), statement);
  }
}
