import { Injectable } from '@nestjs/common';
import { ConnectionManager } from '../connections/connection-manager';
import { DB_ROLES } from '../sql/db-roles';
import type { Row, Statement } from '../sql/statement';

/** For finding credentials that expire soon: its role sees their ids and times, of every tenant. */
@Injectable()
export class KeyExpiryDatabase {
  constructor(private readonly connections: ConnectionManager) {}

  /** Runs one statement that reads, in one round trip. */
  query<R extends Row>(statement: Statement): Promise<R[]> {
    return this.connections.query<R>(this.connections.transactionSettings(DB_ROLES.keyExpiry, [], true), statement);
  }
}
