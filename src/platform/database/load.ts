import { Injectable } from '@nestjs/common';
import { ConnectionManager } from './connections/connection-manager';

/** How busy the way to PostgreSQL is, for who decides what is let in. */
@Injectable()
export class DatabaseLoad {
  constructor(private readonly connections: ConnectionManager) {}

  /**
   * For how many more requests that read, or that write, there is room: a statement of theirs would stand behind others for
   * no longer than `longestWait`, milliseconds.
   */
  room(reads: boolean, longestWait: number): number {
    return reads ? this.connections.roomForReads(longestWait) : this.connections.roomForWrites(longestWait);
  }
}
