import { Injectable } from '@nestjs/common';
import { ConnectionManager } from './connections/connection-manager';
import { DB_ROLES } from './sql/db-roles';

/** For NOTIFY: needs no tenant and sees no row. */
@Injectable()
export class NotificationDatabase {
  constructor(private readonly connections: ConnectionManager) {}

  async notify(channel: string, message: string): Promise<void> {
    // A notifying transaction gets an id and would wait for the WAL to reach the disk, on which nothing here depends.
    await this.connections.query(
      this.connections.transactionSettings(DB_ROLES.service, [['synchronous_commit', 'off']], true),
      {
        name: 'notify',
        text: 'select pg_notify($1, $2)',
        values: [channel, message],
      },
    );
  }
}
