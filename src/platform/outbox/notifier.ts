import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable } from '@nestjs/common';
import type { Logger } from 'pino';
import { NotificationDatabase } from '../database/notification-database';
import { LOGGER } from '../observability/logger.module';
import { TRACING, type Tracing } from '../observability/tracing';

/** The least time between two notifications of one channel, milliseconds. */
const MIN_INTERVAL_MS = 5;

/**
 * Wakes other processes through NOTIFY. It is sent outside of transactions, since PostgreSQL serializes the commits of
 * notifying transactions. At most one per channel is in flight. A lost notification costs one poll interval.
 */
@Injectable()
export class Notifier {
  private readonly sending = new Map<string, { again: boolean }>();

  constructor(
    private readonly database: NotificationDatabase,
    @Inject(LOGGER) private readonly logger: Logger,
    @Inject(TRACING) private readonly tracing: Tracing,
  ) {}

  /** Announces work to the listeners of a channel; returns immediately, never throws. */
  notify(channel: string): void {
    const current = this.sending.get(channel);
    if (current) current.again = true;
    // It serves all concurrent callers, so it belongs to no trace.
    else this.tracing.within(undefined, () => void this.send(channel));
  }

  /** The same with a message of at most 7,000 bytes. */
  notifyWith(channel: string, message: string): void {
    this.database.notify(channel, message).catch((error: Error) => this.failed(error));
  }

  private async send(channel: string): Promise<void> {
    const state = { again: false };
    this.sending.set(channel, state);
    try {
      do {
        state.again = false;
        await this.database.notify(channel, '');
        await sleep(MIN_INTERVAL_MS, undefined, { ref: false });
      } while (state.again);
    } catch (error) {
      this.failed(error as Error);
    } finally {
      this.sending.delete(channel);
    }
  }

  private failed(error: Error): void {
    this.logger.debug({ reason: error.message }, 'a notification was not sent');
  }
}
