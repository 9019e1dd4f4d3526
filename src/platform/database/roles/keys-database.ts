import { Injectable } from '@nestjs/common';
import { ConnectionManager } from '../connections/connection-manager';
import { DB_ROLES } from '../sql/db-roles';
import type { Row, Statement } from '../sql/statement';

/**
 * For comparing the encryption keys with the values that they have encrypted: its role sees one value of each key, and
 * encrypted secrets of every tenant, which it cannot change.
 */
@Injectable()
export class KeysDatabase {
  constructor(private readonly connections: ConnectionManager) {}

  /** Runs one statement that reads, in one round trip. */
  query<R extends Row>(statement: Statement): Promise<R[]> {
    return this.connections.query<R>(this.connections.transactionSettings(DB_ROLES.keys, [], true), statement);
  }

  /** Runs one statement that writes, and commits it. */
  async write(statement: Statement): Promise<void> {
    await this.connections.write(this.connections.transactionSettings(DB_ROLES.keys, []), [statement]);
  }

  /** Closes every connection of the process. */
  close(): Promise<void> {
    return this.connections.close();
  }
}
