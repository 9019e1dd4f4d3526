import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable } from '@nestjs/common';
import type { Logger } from 'pino';
import { NotificationDatabase } from '../database/notification-database';
import { LOGGER } from '../observability/logger.module';
import { TRACING, type Tracing } from '../observability/tracing';
import { formatTenants } from './tenants-payload';

/** The least time between two notifications of one channel, milliseconds. */
const MIN_INTERVAL_MS = 5;

/**
 * Notifies other processes through NOTIFY. A notification is sent outside of transactions, since PostgreSQL serializes
 * the commits of notifying transactions. At most one per channel is in flight. A lost notification costs one poll
 * interval.
 */
@Injectable()
export class Notifier {
  /** By channel, the tenants to announce once the current notification was sent. */
  private readonly sending = new Map<string, Set<string>>();

  constructor(
    private readonly database: NotificationDatabase,
    @Inject(LOGGER) private readonly logger: Logger,
    @Inject(TRACING) private readonly tracing: Tracing,
  ) {}

  /** Announces work for a tenant to the listeners of a channel; returns immediately, never throws. */
  notify(channel: string, tenantId: string): void {
    const next = this.sending.get(channel);
    if (next) next.add(tenantId);
    // It serves all concurrent callers, so it belongs to no trace.
    else this.tracing.within(undefined, () => void this.send(channel, tenantId));
  }

  /** The same with a message of at most 7,000 bytes. */
  notifyWith(channel: string, message: string): void {
    this.database.notify(channel, message).catch((error: Error) => this.logFailure(error));
  }

  private async send(channel: string, tenantId: string): Promise<void> {
    const next = new Set<string>([tenantId]);
    this.sending.set(channel, next);
    try {
      while (next.size > 0) {
        const payload = formatTenants(next);
        next.clear();
        await this.database.notify(channel, payload);
        await sleep(MIN_INTERVAL_MS, undefined, { ref: false });
      }
    } catch (error) {
      this.logFailure(error as Error);
    } finally {
      this.sending.delete(channel);
    }
  }

  private logFailure(error: Error): void {
    this.logger.debug({ reason: error.message }, 'a notification was not sent');
  }
}
