import { Inject, Injectable } from '@nestjs/common';
import type { Logger } from 'pino';
import { DispatcherDatabase } from '../../platform/database/roles/dispatcher-database';
import { TenantDatabase } from '../../platform/database/tenant-database';
import { LOGGER } from '../../platform/observability/logger.module';
import { EndpointPartsCipher } from './endpoint-parts';
import { findUnencrypted, lockUnencrypted, replaceParts, type UnencryptedRow } from './endpoints.queries';

const ENDPOINTS_AT_ONCE = 100;
/** The delay after an election: by then the workers of the previous release, which read clear values, have ended. */
const BEGIN_AFTER_MS = 10 * 60_000;
const INTERVAL_MS = 60 * 60_000;

/** Encrypts the URLs and headers of endpoints that a release before this one wrote in clear. */
@Injectable()
export class PartsBackfill {
  private timer?: NodeJS.Timeout;

  constructor(
    private readonly discovery: DispatcherDatabase,
    private readonly database: TenantDatabase,
    private readonly cipher: EndpointPartsCipher,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** Runs after a while, and again until no clear value is left. */
  start(): void {
    this.schedule(BEGIN_AFTER_MS);
  }

  stop(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
  }

  /** Encrypts clear values in small transactions; returns the number of endpoints. Concurrent runs are safe. */
  async run(): Promise<number> {
    for (let total = 0; ;) {
      const found = await this.discovery.query<{ tenant_id: string }>(findUnencrypted(ENDPOINTS_AT_ONCE));
      let encrypted = 0;
      for (const tenantId of new Set(found.map((row) => row.tenant_id))) encrypted += await this.encryptSome(tenantId);
      total += encrypted;
      if (encrypted === 0) return total;
    }
  }

  private encryptSome(tenantId: string): Promise<number> {
    return this.database.transaction({ tenantId }, async (tx) => {
      const rows = await tx.query<UnencryptedRow>(lockUnencrypted(tenantId, ENDPOINTS_AT_ONCE));
      for (const { id, url, headers } of rows) {
        tx.defer(replaceParts(tenantId, id, this.cipher.encrypt({ tenantId, id }, { url, headers })));
      }
      return rows.length;
    });
  }

  private schedule(milliseconds: number): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.run().then(
        (encrypted) => {
          if (encrypted === 0) return;
          this.logger.info({ endpoints: encrypted }, 'headers and URLs of endpoints were encrypted');
          this.schedule(INTERVAL_MS);
        },
        (error: Error) => {
          this.logger.warn({ reason: error.message }, 'headers and URLs of endpoints were not encrypted; trying again');
          this.schedule(INTERVAL_MS);
        },
      );
    }, milliseconds).unref();
  }
}
