import { Injectable } from '@nestjs/common';
import { ConnectionManager } from '../connections/connection-manager';
import { DB_ROLES } from '../sql/db-roles';
import { runTransaction } from '../tenant-database';
import { Transaction } from '../transaction';

/** For deleting expired rows of every tenant: its role sees expired rows only, and may only delete them. */
@Injectable()
export class RetentionDatabase {
  constructor(private readonly connections: ConnectionManager) {}

  transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    return runTransaction(
      new Transaction(this.connections, this.connections.transactionSettings(DB_ROLES.janitor, [])),
      work,
    );
  }
}
