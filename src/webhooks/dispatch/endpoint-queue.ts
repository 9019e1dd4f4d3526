import { CircuitBreaker, type BreakerState } from './circuit-breaker';
import type { DueDelivery } from '../notifications/delivery-job';
import type { AttemptEnd } from '../notifications/attempt-ended';
import type { SubscriberRow, WaitingRow, WaitingStatus } from './dispatch.queries';
import { dueTime } from './due-time';
import { EndpointHealth, type Health } from './endpoint-health';
import { InFlight, type SlotName } from './in-flight';
import { WaitingQueue } from './waiting-queue';

/**
 * Waiting deliveries of a status that are kept by id, plus two for each in flight; all others wait in PostgreSQL. So a
 * busy endpoint is read in large portions, and others take little memory.
 */
const MIN_READY = 64;
/** Maximum deliveries in flight of an endpoint that has not responded. */
const SLOTS_BY_HEALTH: Readonly<Record<Health, number>> = { proven: Infinity, unknown: 2, slow: 2 };
/** How far a rate limit may catch up after a late dispatcher. */
const CATCH_UP_MS = 25;
/** Additional rows to read, since the rows of the previous leader’s jobs are skipped. */
const MAX_LEFTOVERS = 1_000;
const NO_LEFTOVERS: Leftovers = { isLeftover: () => false, leftovers: 0 };

const PENDING_FIRST: readonly WaitingStatus[] = ['pending', 'retrying'];
const RETRYING_FIRST: readonly WaitingStatus[] = ['retrying', 'pending'];

/** Deliveries that the queue holds since the time of the previous leader. */
export interface Leftovers {
  isLeftover(deliveryId: string): boolean;
  readonly leftovers: number;
}

/** A read of the head of one status, as it was begun. */
export interface Reading {
  status: WaitingStatus;
  ordered: boolean;
  limit: number;
}

/** The settings of an endpoint; all null if it was removed. */
type Settings = { [K in 'enabled' | 'rate_limit' | 'ordering']: SubscriberRow[K] | null };

/**
 * The dispatcher's state of one endpoint: the heads of its queues, the deliveries in flight, and its limits (slots,
 * rate limit, breaker). All of it can be lost and read again; its size does not grow with the backlog.
 */
export class EndpointQueue {
  private readonly waiting: Readonly<Record<WaitingStatus, WaitingQueue>> = {
    pending: new WaitingQueue(),
    retrying: new WaitingQueue(),
  };
  /** Manual requests: sent first, past the breaker. */
  private readonly requested: DueDelivery[] = [];
  private readonly inFlight = new InFlight();
  private readonly breaker = new CircuitBreaker();
  private readonly health = new EndpointHealth();
  private enabled = true;
  private ordered = false;
  private rateLimit: number | null = null;
  private nextSendAt = 0;
  private lastStatus: WaitingStatus = 'retrying';

  constructor(
    readonly tenantId: string,
    readonly endpointId: string,
    private readonly audit: Leftovers = NO_LEFTOVERS,
  ) {}

  /** Takes the endpoint's settings from a row. */
  applySettings(row: Settings): void {
    this.enabled = row.enabled ?? false;
    this.rateLimit = row.rate_limit;
    this.ordered = row.ordering === 'by_aggregate';
  }

  get isEnabled(): boolean {
    return this.enabled;
  }

  /** Whether the end of one delivery may release another. */
  get isOrdered(): boolean {
    return this.ordered;
  }

  get breakerState(): BreakerState {
    return this.breaker.state;
  }

  /** The number of deliveries in flight. */
  get inFlightCount(): number {
    return this.inFlight.size;
  }

  /** Disregards the deliveries in flight: a part of them was lost with a worker. */
  disregardInFlight(now: number): void {
    this.health.disregardInFlight(now);
  }

  /** @param hangsAfter longest time of a delivery in flight, milliseconds */
  healthAt(now: number, hangsAfter: number): Health {
    return this.health.evaluate(this.inFlight.starts(), now, hangsAfter);
  }

  /** Adds a new delivery, if the head has room for it; otherwise records that the database has more. */
  offer(deliveryId: string): void {
    const { pending } = this.waiting;
    if (this.ordered || !pending.isComplete || pending.size >= this.readyLimit) pending.expectMore();
    else if (!this.isKnown(deliveryId)) pending.add({ deliveryId, attempt: 1 });
  }

  /** Puts a manual request before all others, unless it is in flight. */
  requestNow(due: DueDelivery): void {
    if (this.inFlight.has(due.deliveryId)) return;
    for (const queue of Object.values(this.waiting)) queue.delete(due.deliveryId);
    if (!this.isKnown(due.deliveryId)) this.requested.push(due);
  }

  /** A delivery must be tracked once: a duplicate would leak a permit, and might be sent twice. */
  private isKnown(deliveryId: string): boolean {
    return (
      this.inFlight.has(deliveryId) ||
      this.audit.isLeftover(deliveryId) ||
      this.requested.some((due) => due.deliveryId === deliveryId) ||
      this.waiting.pending.has(deliveryId) ||
      this.waiting.retrying.has(deliveryId)
    );
  }

  /** Deliveries that could be sent now, but for the limits of health. */
  readyCount(now: number): number {
    const requested = Math.min(this.requested.length, this.inFlight.freeSlots('requested'));
    if (!this.enabled || now < this.nextSendAt || this.breaker.retryAt > now) return requested;
    const ready = (status: WaitingStatus) => Math.min(this.waiting[status].size, this.inFlight.freeSlots(status));
    const waiting = ready('pending') + ready('retrying');
    return requested + (this.rateLimit === null ? waiting : Math.min(waiting, 1));
  }

  /** Takes the next delivery to send; undefined without one, or if a limit holds it back. */
  take(now: number, health: Health): DueDelivery | undefined {
    const requested = this.inFlight.freeSlots('requested') > 0 ? this.requested.shift() : undefined;
    if (requested) return this.begin(requested, 'requested', now);
    if (!this.enabled || now < this.nextSendAt) return undefined;
    if (this.inFlight.size >= SLOTS_BY_HEALTH[health]) return undefined;
    // The two alternate, so that under a rate limit neither waits for the other's backlog.
    const status = (this.lastStatus === 'pending' ? RETRYING_FIRST : PENDING_FIRST).find(
      (candidate) => this.waiting[candidate].size > 0 && this.inFlight.freeSlots(candidate) > 0,
    );
    if (!status || !this.breaker.admit(now)) return undefined;
    if (this.rateLimit !== null) this.nextSendAt = Math.max(this.nextSendAt, now - CATCH_UP_MS) + 1000 / this.rateLimit;
    this.lastStatus = status;
    return this.begin(this.waiting[status].shift() as DueDelivery, status, now);
  }

  private begin(due: DueDelivery, slot: SlotName, now: number): DueDelivery {
    this.inFlight.begin(due, slot, now);
    return due;
  }

  /** Records the end of an attempt. @returns its start, or undefined if it was not in flight */
  complete(end: Omit<AttemptEnd, 'tenantId' | 'endpointId'>, now: number): number | undefined {
    const { deliveryId, attempt, ok, durationMs = 0 } = end;
    const since = this.inFlight.end(deliveryId, attempt);
    if (since === undefined) return undefined;
    if (ok === undefined) this.breaker.recordSkip();
    else {
      if (ok) this.breaker.recordSuccess();
      else this.breaker.recordFailure(now);
      this.health.recordResponse(ok, durationMs, now);
    }
    return since;
  }

  /** Records that the database may have more. @param anew whether the known ids may be out of date, too */
  refresh(anew = false): void {
    for (const queue of Object.values(this.waiting)) {
      if (anew) queue.clear();
      else queue.expectMore();
    }
  }

  /** Records when a waiting delivery becomes due. */
  expect(status: WaitingStatus, dueAt: number, now: number): void {
    if (dueAt <= now) this.waiting[status].expectMore();
    else this.waiting[status].expectAt(dueAt);
  }

  /** The earliest time at which an inactive endpoint may have a due delivery. */
  get nextDueAt(): number {
    return Math.min(this.waiting.pending.nextDueAt, this.waiting.retrying.nextDueAt);
  }

  needsReading(status: WaitingStatus, now: number): boolean {
    return this.waiting[status].needsReading(now);
  }

  /** Begins to read the head of a status: enough rows to reach beyond the known ones. */
  beginReading(status: WaitingStatus): Reading {
    this.waiting[status].beginReading();
    const known = this.inFlight.size + this.requested.length;
    const limit = this.readyLimit + known + Math.min(this.audit.leftovers, MAX_LEFTOVERS);
    return { status, ordered: this.ordered, limit };
  }

  /** Takes the rows of a read, and the settings in them. */
  applyRows({ status, ordered, limit }: Reading, rows: readonly WaitingRow[], now: number): void {
    if (rows[0]) this.applySettings(rows[0]);
    const queue = this.waiting[status];
    // Read without the order of an ordered endpoint: the rows are not to be used.
    if (this.ordered && !ordered) return queue.clear();
    for (const row of rows) {
      if (row.id === null) return;
      const dueAt = dueTime(row.next_attempt_at.getTime());
      if (dueAt > now) return queue.expectAt(dueAt);
      if (this.isKnown(row.id)) continue;
      const due = { deliveryId: row.id, attempt: row.attempt_count + 1 };
      if (row.requested_at) this.requested.push(due);
      else if (this.enabled) queue.add(due);
    }
    if (rows.length >= limit) queue.expectMore();
  }

  /** Ends a read. @param failed whether its rows never came */
  endReading({ status }: Reading, failed: boolean): void {
    this.waiting[status].endReading();
    if (failed) this.waiting[status].expectMore();
  }

  private get readyLimit(): number {
    return MIN_READY + 2 * this.inFlight.size;
  }

  /** Whether there is nothing to send or to read until a delivery is offered, ends or becomes due. */
  isInactive(now: number): boolean {
    return this.requested.length === 0 && this.waiting.pending.isInactive(now) && this.waiting.retrying.isInactive(now);
  }

  /** Whether the state can be dropped: health is worth keeping for a while, too. */
  isIdle(now: number): boolean {
    const hasWork = this.inFlight.size > 0 || this.requested.length > 0 || this.breaker.isOpen;
    return !hasWork && this.waiting.pending.isEmpty && this.waiting.retrying.isEmpty && !this.health.isProven(now);
  }
}
