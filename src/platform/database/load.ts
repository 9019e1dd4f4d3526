import { Inject, Injectable } from '@nestjs/common';
import { TENANT_SERVERS, type TenantServers } from './connections/tenant-server';

/** The load on the connections to PostgreSQL, for the admission of requests. */
@Injectable()
export class DatabaseLoad {
  constructor(@Inject(TENANT_SERVERS) private readonly servers: TenantServers) {}

  /**
   * The number of further reading or writing requests whose statements would wait for at most `longestWait`
   * milliseconds.
   */
  capacity(reads: boolean, longestWait: number): number {
    return this.servers.capacity(reads, longestWait);
  }
}
