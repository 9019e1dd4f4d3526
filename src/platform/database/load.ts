import { Injectable } from '@nestjs/common';
import { Core } from './connections/connection-manager';

/** How busy the way to PostgreSQL is, for who decides what is let in. */
@Injectable()
export class DatabaseLoad {
  constructor(private readonly core: Core) {}

  /**
   * For how many more requests that read, or that write, there is room: a statement of theirs would stand behind others for
   * no longer than `longestWait`, milliseconds.
   */
  room(reads: boolean, longestWait: number): number {
    return reads ? this.core.roomForReads(longestWait) : this.core.roomForWrites(longestWait);
  }
}
