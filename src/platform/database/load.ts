import { Injectable } from '@nestjs/common';
import { ConnectionManager } from './connections/connection-manager';

/** The load on the connections to PostgreSQL, for the admission of requests. */
@Injectable()
export class DatabaseLoad {
  constructor(private readonly connections: ConnectionManager) {}

  /**
   * The number of further reading or writing requests whose statements would wait for at most `longestWait`
   * milliseconds.
   */
  capacity(reads: boolean, longestWait: number): number {
    return reads ? this.connections.readCapacity(longestWait) : this.connections.writeCapacity(longestWait);
  }
}
