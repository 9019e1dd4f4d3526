import { Inject, Injectable } from '@nestjs/common';
import type { Logger } from 'pino';
import { AuditLog } from '../platform/audit/audit-log';
import { KeyExpiryDatabase } from '../platform/database/roles/key-expiry-database';
import type { Statement } from '../platform/database/sql/statement';
import { TenantDatabase } from '../platform/database/tenant-database';
import { Mailer } from '../platform/mail/mailer';
import { LOGGER } from '../platform/observability/logger.module';
import {
  deleteExpired,
  deleteKeyEpoch,
  findExpired,
  findExpiring,
  markNotified,
  type NotifiedKeyRow,
} from './api-keys.queries';

const KEYS_AT_ONCE = 200;
/** The time for which an expired key is listed and can be extended; the policy of the role has the same time. */
const KEPT_MS = 90 * 24 * 60 * 60 * 1000;

/** Has members told of API keys that expire soon, once for each end, and deletes those that expired long ago. */
@Injectable()
export class KeyExpiry {
  private running = false;

  constructor(
    private readonly keys: KeyExpiryDatabase,
    private readonly database: TenantDatabase,
    private readonly mailer: Mailer,
    private readonly audit: AuditLog,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** One round; a second call meanwhile does nothing. Never throws. */
  async run(now = new Date()): Promise<void> {
    if (this.running) return;
    this.running = true;
    try {
      if (this.mailer.isConfigured) {
        for (const { tenant_id: tenantId, id } of await this.find(findExpiring(now, KEYS_AT_ONCE))) {
          await this.notify(tenantId, id, now);
        }
      }
      const before = new Date(now.getTime() - KEPT_MS);
      for (const { tenant_id: tenantId, id } of await this.find(findExpired(before, KEYS_AT_ONCE))) {
        await this.delete(tenantId, id, before);
      }
    } catch (error) {
      this.logger.warn({ reason: (error as Error).message }, 'the ends of API keys could not be processed');
    } finally {
      this.running = false;
    }
  }

  private find(statement: Statement): Promise<{ tenant_id: string; id: string }[]> {
    return this.keys.query(statement);
  }

  /** It has not counted since its end: no credential changes by this. */
  private async delete(tenantId: string, id: string, before: Date): Promise<void> {
    await this.database.transaction({ tenantId }, async (tx) => {
      const [key] = await tx.query<{ name: string; expires_at: Date }>(deleteExpired(tenantId, id, before));
      if (!key) return;
      tx.defer(deleteKeyEpoch(tenantId, id));
      this.audit.record(
        tx,
        { tenantId, actor: { type: 'system', id: null } },
        {
          action: 'api_key.deleted',
          target: { type: 'api_key', id },
          changes: { name: [key.name, null], expires_at: [key.expires_at, null] },
        },
      );
    });
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
