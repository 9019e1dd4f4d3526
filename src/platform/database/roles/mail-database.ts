import { Injectable } from '@nestjs/common';
import { ConnectionManager } from '../connections/connection-manager';
import { DB_ROLES } from '../sql/db-roles';
import { runTransaction } from '../tenant-database';
import { Transaction } from '../transaction';

/** For sending mails: its role sees the waiting mails of every tenant, and the addresses that bounced. */
@Injectable()
export class MailDatabase {
  constructor(private readonly connections: ConnectionManager) {}

  transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    const settings = this.connections.transactionSettings(DB_ROLES.mail, []);
    return runTransaction(new Transaction(this.connections, settings), work);
  }
}
