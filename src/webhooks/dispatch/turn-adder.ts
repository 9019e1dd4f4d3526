import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Turn } from '../notifications/delivery-job';
import type { DeliveryQueue } from './delivery-queue';

/** The pause after the queue has taken no jobs. */
const PAUSE_MS = 500;

/** What a process decides for. */
export interface Ownership {
  /** Whether it decides for a tenant. The result for a tenant changes while it runs; it is notified of the change. */
  isOwned: (tenantId: string) => boolean;
  /** Whether its ownership was confirmed a moment ago. Without that, it admits nothing. */
  isConfirmed: () => boolean;
}

/**
 * Adds turns to the queue until it has taken them. They are added again as they are, since a queue that has not
 * responded may have taken them all the same: in another turn, their deliveries would be queued twice. Turns of a
 * tenant that another process dispatches meanwhile are left out.
 */
export class TurnAdder {
  private stopped = false;
  /** The current attempt. */
  private attempt: Promise<unknown> = Promise.resolve();

  /** @param onRefused is called each time that the queue has not taken turns */
  constructor(
    private readonly queue: Pick<DeliveryQueue, 'add'>,
    private readonly ownership: Ownership,
    private readonly onRefused: () => void,
    private readonly logger: Logger,
  ) {}

  /** Resolves when the queue has taken the turns, or after {@link stop}. */
  async add(turns: readonly Turn[]): Promise<void> {
    while (!(await this.tryAdd(turns)) && !this.stopped) {
      this.onRefused();
      await delay(PAUSE_MS);
    }
  }

  /** Resolves at the end of the current attempt: what another process owns is not added after that. */
  async settled(): Promise<void> {
    await this.attempt;
  }

  private async tryAdd(turns: readonly Turn[]): Promise<boolean> {
    if (!this.ownership.isConfirmed()) return false;
    const owned = turns.filter(({ tenantId }) => this.ownership.isOwned(tenantId));
    if (owned.length === 0) return true;
    try {
      const attempt = this.queue.add(owned);
      this.attempt = attempt.catch(() => undefined);
      await attempt;
      return true;
    } catch (error) {
      this.logger.warn({ reason: (error as Error).message, jobs: owned.length }, 'the queue did not accept jobs');
      return false;
    }
  }

  stop(): void {
    this.stopped = true;
  }
}
