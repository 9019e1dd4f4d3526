import { Injectable } from '@nestjs/common';
import { Core } from '../connections/connection-manager';
import { ROLES } from '../sql/db-roles';
import type { Row, Statement } from '../sql/statement';

/** For comparing epochs of credentials, of every tenant: its role sees the counters and nothing else. */
@Injectable()
export class EpochDatabase {
  constructor(private readonly core: Core) {}

  /** Runs one statement that reads, in one round trip. */
  read<R extends Row>(statement: Statement): Promise<R[]> {
    return this.core.read<R>(this.core.prologue(ROLES.epochs, [], true), statement);
  }
}
