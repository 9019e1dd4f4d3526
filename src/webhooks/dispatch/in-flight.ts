import type { DueDelivery } from '../notifications/delivery-job';
import type { WaitingStatus } from './dispatch.queries';

/** Deliveries of one endpoint in flight at once: first attempts, retries, and manual requests. */
const SLOTS: Readonly<Record<SlotName, number>> = { pending: 320, retrying: 8, requested: 8 };

/** The reason of an attempt: its delivery's status, or a manual request. */
export type SlotName = WaitingStatus | 'requested';

interface Entry {
  slot: SlotName;
  startedAt: number;
  attempt: number;
}

/** The attempts of one endpoint between their admission and their outcome, within its slots. */
export class InFlight {
  private readonly entries = new Map<string, Entry>();
  private readonly used: Record<SlotName, number> = { pending: 0, retrying: 0, requested: 0 };

  get size(): number {
    return this.entries.size;
  }

  has(deliveryId: string): boolean {
    return this.entries.has(deliveryId);
  }

  /** The free slots of this kind. */
  freeSlots(slot: SlotName): number {
    return SLOTS[slot] - this.used[slot];
  }

  begin(due: DueDelivery, slot: SlotName, now: number): void {
    this.entries.set(due.deliveryId, { slot, startedAt: now, attempt: due.attempt });
    this.used[slot]++;
  }

  /**
   * Ends an attempt; undefined means any. The end of another attempt than the one in flight comes from a job that has
   * returned after a crash, and counts for nothing.
   * @returns the start of the attempt, or undefined if it was not in flight
   */
  end(deliveryId: string, attempt: number | undefined): number | undefined {
    const entry = this.entries.get(deliveryId);
    if (!entry || (attempt !== undefined && attempt !== entry.attempt)) return undefined;
    this.entries.delete(deliveryId);
    this.used[entry.slot]--;
    return entry.startedAt;
  }

  /** The starts of the attempts, the oldest first. */
  starts(): Iterable<{ startedAt: number }> {
    return this.entries.values();
  }
}
