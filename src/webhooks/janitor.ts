import { Inject, Injectable } from '@nestjs/common';
import type { Logger } from 'pino';
import type { Config } from '../platform/config/config';
import { CONFIG } from '../platform/config/config.module';
import { JanitorDatabase } from '../platform/database/role-databases';
import type { Statement } from '../platform/database/statement';
import { LOGGER } from '../platform/observability/logger.module';

const ROWS_AT_ONCE = 1_000;
/** So many batches a run, so that a backlog is worked off over minutes and never as one huge delete. */
const BATCHES_A_RUN = 200;
const DAY_MS = 24 * 60 * 60 * 1000;

/** Deletes what has expired, in small batches: ended sessions, stored answers, old failures, and events past retention. */
@Injectable()
export class Janitor {
  private running = false;

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    private readonly database: JanitorDatabase,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** One round; a second call meanwhile does nothing. Never throws. */
  async run(now: Date = new Date()): Promise<void> {
    if (this.running) return;
    this.running = true;
    try {
      const retained = new Date(now.getTime() - this.config.WEBHOOK_RETENTION_DAYS * DAY_MS);
      await this.clear(expired('sessions', 'tenant_id, id', 'expires_at', now));
      await this.clear(expired('sign_in_failures', 'key', 'expires_at', now));
      await this.clear(expired('idempotency_keys', 'tenant_id, caller, key', 'expires_at', now));
      await this.clear(expired('events', 'tenant_id, id', 'created_at', retained));
    } catch (error) {
      this.logger.warn({ reason: (error as Error).message }, 'cleaning up failed');
    } finally {
      this.running = false;
    }
  }

  private async clear(statement: Statement): Promise<void> {
    for (let batch = 0; batch < BATCHES_A_RUN; batch++) {
      const rows = await this.database.transaction((tx) => tx.query(statement));
      if (rows.length < ROWS_AT_ONCE) return;
    }
  }
}

function expired(table: string, key: string, column: string, before: Date): Statement {
  return {
    name: `janitor_${table}`,
    text: `delete from ${table} where (${key}) in
             (select ${key} from ${table} where ${column} < $1 order by ${column} limit ${ROWS_AT_ONCE}) returning 1`,
    values: [before],
  };
}
