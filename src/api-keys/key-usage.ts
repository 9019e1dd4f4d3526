import { Inject, Injectable, type BeforeApplicationShutdown } from '@nestjs/common';
import type { Logger } from 'pino';
import { TenantDatabase } from '../platform/database/tenant-database';
import { LOGGER } from '../platform/observability/logger.module';
import { noteUses } from './api-keys.queries';

/** How often uses that are due are written. */
const TICK_MS = 2_000;
/** The least time between two writes of one key: with a tick it keeps the contract's minute. */
const WRITE_EVERY_MS = 57_000;
/** Keys whose use is cached; others are recorded at their next use. */
const MAX_KEYS = 100_000;
const KEYS_AT_ONCE = 1_000;

interface Use {
  tenantId: string;
  keyId: string;
  at: number;
  /** Monotonic; when the key's row was written last. */
  writtenAt: number;
  isWritten: boolean;
}

/** When keys were last used: kept in memory and written once a minute and key, never in the request. */
@Injectable()
export class KeyUsage implements BeforeApplicationShutdown {
  private readonly uses = new Map<string, Use>();
  private timer?: NodeJS.Timeout;
  private writing?: Promise<void>;

  constructor(
    private readonly database: TenantDatabase,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** Notes a use; costs no query. */
  note(tenantId: string, keyId: string): void {
    const use = this.uses.get(keyId);
    if (use) {
      use.at = new Date().getTime();
      use.isWritten = false;
    } else if (this.uses.size < MAX_KEYS) {
      this.uses.set(keyId, { tenantId, keyId, at: new Date().getTime(), writtenAt: -Infinity, isWritten: false });
    }
    this.timer ??= setInterval(() => void this.write(false), TICK_MS).unref();
  }

  async beforeApplicationShutdown(): Promise<void> {
    clearInterval(this.timer);
    await this.writing;
    await this.write(true);
  }

  private write(everything: boolean): Promise<void> {
    this.writing ??= this.writeDue(everything).finally(() => (this.writing = undefined));
    return this.writing;
  }

  private async writeDue(everything: boolean): Promise<void> {
    const now = performance.now();
    const byTenant = new Map<string, Use[]>();
    for (const [keyId, use] of this.uses) {
      if (!everything && now - use.writtenAt < WRITE_EVERY_MS) continue;
      if (use.isWritten) this.uses.delete(keyId);
      else byTenant.set(use.tenantId, appended(byTenant.get(use.tenantId), use));
    }
    for (const [tenantId, uses] of byTenant) {
      for (let at = 0; at < uses.length; at += KEYS_AT_ONCE)
        await this.writeSome(tenantId, uses.slice(at, at + KEYS_AT_ONCE));
    }
  }

  private async writeSome(tenantId: string, uses: Use[]): Promise<void> {
    const noted = uses.map((use) => ({ keyId: use.keyId, at: new Date(use.at) }));
    for (const use of uses) {
      use.isWritten = true;
      use.writtenAt = performance.now();
    }
    try {
      await this.database.transaction({ tenantId }, async (tx) => tx.defer(noteUses(tenantId, noted)));
    } catch (error) {
      for (const use of uses) use.isWritten = false;
      this.logger.warn({ reason: (error as Error).message }, 'last uses of API keys could not be written');
    }
  }
}

function appended(uses: Use[] = [], use: Use): Use[] {
  uses.push(use);
  return uses;
}
