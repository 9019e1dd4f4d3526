import { Inject, Injectable } from '@nestjs/common';
import type { Logger } from 'pino';
import { KeyExpiryDatabase } from '../platform/database/roles/key-expiry-database';
import { TenantDatabase } from '../platform/database/tenant-database';
import { Mailer } from '../platform/mail/mailer';
import { LOGGER } from '../platform/observability/logger.module';
import { findExpiring, markNotified, type NotifiedKeyRow } from './api-keys.queries';

const KEYS_AT_ONCE = 200;

/** Has members told of API keys that expire soon, once for each end. */
@Injectable()
export class KeyExpiry {
  private running = false;

  constructor(
    private readonly keys: KeyExpiryDatabase,
    private readonly database: TenantDatabase,
    private readonly mailer: Mailer,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** One round; a second call meanwhile does nothing. Never throws. */
  async run(): Promise<void> {
    if (this.running || !this.mailer.isConfigured) return;
    this.running = true;
    try {
      const now = new Date();
      const found = await this.keys.query<{ tenant_id: string; id: string }>(findExpiring(now, KEYS_AT_ONCE));
      for (const { tenant_id: tenantId, id } of found) await this.notify(tenantId, id, now);
    } catch (error) {
      this.logger.warn({ reason: (error as Error).message }, 'notices of expiring API keys could not be sent');
    } finally {
      this.running = false;
    }
  }

  /** The mark and the notice commit together: of two workers one sends it. */
  private async notify(tenantId: string, id: string, now: Date): Promise<void> {
    await this.database.transaction({ tenantId }, async (tx) => {
      const [key] = await tx.query<NotifiedKeyRow>(markNotified(tenantId, id, now));
      if (!key) return;
      this.mailer.notify(tx, {
        audience: key.user_id === null ? { permission: 'api_keys:manage' } : { userId: key.user_id },
        template: 'api_key_expiring',
        data: { keyName: key.name, expiresAt: key.expires_at.toISOString() },
      });
    });
  }
}
