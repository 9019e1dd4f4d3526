import type { DueDelivery } from '../notifications/delivery-job';

/**
 * The waiting deliveries of an endpoint in one status: the head by id, in the order of sending, and a summary of the
 * rest, which waits in PostgreSQL.
 */
export class WaitingQueue {
  private readonly head = new Map<string, DueDelivery>();
  /** The database may hold more due deliveries. */
  private hasMore = false;
  private dueAt = Infinity;
  private reading = false;

  get size(): number {
    return this.head.size;
  }

  /** When the next delivery beyond the head becomes due. */
  get nextDueAt(): number {
    return this.dueAt;
  }

  /** Whether the head is all that is due. */
  get isComplete(): boolean {
    return !this.hasMore && !this.reading;
  }

  /** Whether nothing waits, now or later. */
  get isEmpty(): boolean {
    return this.head.size === 0 && this.dueAt === Infinity && this.isComplete;
  }

  has(deliveryId: string): boolean {
    return this.head.has(deliveryId);
  }

  add(due: DueDelivery): void {
    this.head.set(due.deliveryId, due);
  }

  delete(deliveryId: string): void {
    this.head.delete(deliveryId);
  }

  /** Forgets the head: it is read again. */
  clear(): void {
    this.head.clear();
    this.hasMore = true;
  }

  /** Removes and returns the first. */
  shift(): DueDelivery | undefined {
    const [first] = this.head.values();
    if (first) this.head.delete(first.deliveryId);
    return first;
  }

  /** There is more to read. */
  expectMore(): void {
    this.hasMore = true;
  }

  /** There is more to read at this time. */
  expectAt(at: number): void {
    this.dueAt = Math.min(this.dueAt, at);
  }

  /** A delivery that is offered during a read may be missing from its rows: then {@link expectMore} is called again. */
  beginReading(): void {
    this.reading = true;
    this.hasMore = false;
    this.dueAt = Infinity;
  }

  endReading(): void {
    this.reading = false;
  }

  /** Whether the head is used up, and the database has more. */
  needsReading(now: number): boolean {
    return !this.reading && this.head.size === 0 && (this.hasMore || this.dueAt <= now);
  }

  /** Whether there is nothing to send or to read. */
  isInactive(now: number): boolean {
    return this.isComplete && this.head.size === 0 && this.dueAt > now;
  }
}
