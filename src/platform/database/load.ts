import { Injectable } from '@nestjs/common';
import { Core } from './core';

/** How busy the way to PostgreSQL is, for who decides what is let in. */
@Injectable()
export class DatabaseLoad {
  constructor(private readonly core: Core) {}

  /** Whether there is no room for what another request would read, or write. */
  isFull(reads: boolean): boolean {
    return this.core.isFull(reads);
  }

  /**
   * How long a statement that is sent now will stand behind others, milliseconds; where it might go either way (a write in
   * one flight, or in a transaction that holds a connection), the longer.
   */
  expectedWait(reads: boolean): number {
    return reads ? this.core.expectedReadWait() : this.core.expectedWriteWait();
  }
}
