import { Breaker, type BreakerState } from './breaker';
import type { LaneName, LaneRow } from './dispatch.queries';
import type { LeftoverJobs } from './leftover-jobs';
import { dueTime } from './due-time';

/** Deliveries of one endpoint in flight at once: first attempts, retries, and manual requests. */
const SLOTS: Readonly<Record<SlotName, number>> = { pending: 320, retrying: 8, requested: 8 };
/**
 * Waiting deliveries of a lane that are kept by id, plus two for each in flight; all others wait in PostgreSQL. So a
 * busy endpoint is read in large portions, and others take little memory.
 */
const READY_AT_LEAST = 64;
/** Maximum deliveries in flight of an endpoint that has not responded. */
const SLOTS_OF_STANDING: Readonly<Record<Standing, number>> = { proven: Infinity, unknown: 2, slow: 2 };
/** A success within this time proves an endpoint. */
const PROVEN_FOR_MS = 10 * 60_000;
/** A response that takes longer makes an endpoint slow. */
const SLOW_MS = 2_000;
/** How far a rate limit may catch up after a late dispatcher. */
const CATCH_UP_MS = 25;

/** After this time other workers have taken the deliveries of a lost worker. */
const DOUBT_MS = 10_000;
/** Additional rows to read, since the jobs of the previous leader are skipped. */
const MOST_LEFTOVERS = 1_000;
const NO_LEFTOVERS = { has: () => false, size: 0 };

const LANES_PENDING_FIRST: readonly LaneName[] = ['pending', 'retrying'];
const LANES_RETRYING_FIRST: readonly LaneName[] = ['retrying', 'pending'];

type SlotName = LaneName | 'requested';

/** The health of an endpoint: a recent good response, none yet (or a bad one), or none in time. */
export type Standing = 'proven' | 'unknown' | 'slow';

/** A delivery that may be sent now, with the number of its next attempt. */
export interface Ready {
  deliveryId: string;
  attempt: number;
}

interface UnderWay {
  slot: SlotName;
  since: number;
  attempt: number;
  /** When the queue was last asked for the job. */
  seenAt: number;
}

/** The waiting deliveries of one status: the head by id, and a summary of the rest. */
export class Lane {
  /** By the delivery's id, in the order of sending. */
  readonly ready = new Map<string, Ready>();
  /** The database may hold more due deliveries. */
  more = false;
  /** When the next delivery becomes due. */
  nextDueAt = Infinity;
  filling = false;

  /** A delivery that is offered during a read may be missing from its rows: the flag is set again. */
  beginFilling(): void {
    this.filling = true;
    this.more = false;
    this.nextDueAt = Infinity;
  }

  needsFilling(now: number): boolean {
    return !this.filling && this.ready.size === 0 && (this.more || this.nextDueAt <= now);
  }

  wantsAttention(now: number): boolean {
    return this.filling || this.more || this.ready.size > 0 || this.nextDueAt <= now;
  }

  /** Removes and returns the first. */
  shift(): Ready | undefined {
    const [first] = this.ready.values();
    if (first) this.ready.delete(first.deliveryId);
    return first;
  }

  get isEmpty(): boolean {
    return this.ready.size === 0 && !this.more && this.nextDueAt === Infinity && !this.filling;
  }
}

/**
 * The dispatcher's state of one endpoint: the heads of its lanes, the deliveries in flight, and its limits (slots, rate
 * limit, breaker). All of it can be lost and read again; its size does not grow with the backlog.
 */
export class EndpointQueue {
  readonly lanes: Readonly<Record<LaneName, Lane>> = { pending: new Lane(), retrying: new Lane() };
  readonly underWay = new Map<string, UnderWay>();
  /** Manual requests: sent first, past the breaker. */
  readonly requested: Ready[] = [];
  enabled = true;
  ordered = false;
  private rateLimit: number | null = null;
  private readonly breaker = new Breaker();
  private readonly used: Record<SlotName, number> = { pending: 0, retrying: 0, requested: 0 };
  private provenUntil = 0;
  /** The last loss of a worker: deliveries in flight at that time do not count against the receiver for a while. */
  private doubted = -Infinity;
  private wasSlow = false;
  private nextSendAt = 0;
  private lastLane: LaneName = 'retrying';

  constructor(
    readonly tenantId: string,
    readonly endpointId: string,
    private readonly leftovers: Pick<LeftoverJobs, 'has' | 'size'> = NO_LEFTOVERS,
  ) {}

  /** Records the loss of a worker with a part of the deliveries in flight. */
  doubt(now: number): void {
    this.doubted = now;
  }

  /** Takes the endpoint's settings from a lane's row. */
  applySettings(row: Pick<LaneRow, 'enabled' | 'rate_limit' | 'ordering'>): void {
    this.enabled = row.enabled ?? false;
    this.rateLimit = row.rate_limit;
    this.ordered = row.ordering === 'by_aggregate';
  }

  get breakerState(): BreakerState {
    return this.breaker.state;
  }

  /** @param hangsAfter longest time of a delivery in flight, milliseconds */
  standing(now: number, hangsAfter: number): Standing {
    for (const { since } of this.underWay.values()) {
      if (since <= this.doubted && now - this.doubted < DOUBT_MS) continue;
      if (now - since >= hangsAfter) return 'slow';
      break; // the oldest is first
    }
    if (this.wasSlow) return 'slow';
    return this.provenUntil > now ? 'proven' : 'unknown';
  }

  /** Adds a new delivery, if it can be known by id; otherwise notes that there is more to read. */
  offer(deliveryId: string): void {
    const lane = this.lanes.pending;
    if (this.ordered || lane.more || lane.filling || lane.ready.size >= this.readyLimit) lane.more = true;
    else if (!this.knows(deliveryId)) lane.ready.set(deliveryId, { deliveryId, attempt: 1 });
  }

  /** Puts a manual request before all others, unless it is in flight. */
  request(ready: Ready): void {
    if (this.underWay.has(ready.deliveryId)) return;
    for (const lane of Object.values(this.lanes)) lane.ready.delete(ready.deliveryId);
    if (!this.knows(ready.deliveryId)) this.requested.push(ready);
  }

  /** A delivery must be tracked once; a duplicate would leak a permit. */
  private knows(deliveryId: string): boolean {
    return (
      this.underWay.has(deliveryId) ||
      this.requested.some((waiting) => waiting.deliveryId === deliveryId) ||
      this.lanes.pending.ready.has(deliveryId) ||
      this.lanes.retrying.ready.has(deliveryId)
    );
  }

  /** Takes the next delivery to send; undefined without one, or if a limit holds it back. */
  take(now: number, standing: Standing): Ready | undefined {
    const asked = this.used.requested < SLOTS.requested ? this.requested.shift() : undefined;
    if (asked) return this.begin(asked, 'requested', now);
    if (!this.enabled || now < this.nextSendAt) return undefined;
    if (this.underWay.size >= SLOTS_OF_STANDING[standing]) return undefined;
    // Lanes alternate, so that under a rate limit neither waits for the other's backlog.
    const name = (this.lastLane === 'pending' ? LANES_RETRYING_FIRST : LANES_PENDING_FIRST).find(
      (candidate) => this.lanes[candidate].ready.size > 0 && this.used[candidate] < SLOTS[candidate],
    );
    if (!name || !this.breaker.admit(now)) return undefined;
    if (this.rateLimit !== null) this.nextSendAt = Math.max(this.nextSendAt, now - CATCH_UP_MS) + 1000 / this.rateLimit;
    this.lastLane = name;
    return this.begin(this.lanes[name].shift() as Ready, name, now);
  }

  /**
   * Records the end of an attempt after `durationMs`. `ok` is undefined if nothing was sent.
   * @returns the start of the attempt, or undefined if it was not in flight
   */
  ended(deliveryId: string, ok: boolean | undefined, durationMs: number, now: number): number | undefined {
    const entry = this.underWay.get(deliveryId);
    if (!entry) return undefined;
    this.underWay.delete(deliveryId);
    this.used[entry.slot]--;
    if (ok === undefined) {
      this.breaker.skipped();
      return entry.since;
    }
    this.wasSlow = durationMs >= SLOW_MS;
    if (ok) this.breaker.succeeded();
    else this.breaker.failed(now);
    if (this.wasSlow) this.provenUntil = 0;
    else if (ok) this.provenUntil = now + PROVEN_FOR_MS;
    return entry.since;
  }

  /** Marks that there may be more to read. @param anew whether the known ids are doubtful, too */
  lookAgain(anew = false): void {
    for (const lane of Object.values(this.lanes)) {
      if (anew) lane.ready.clear();
      lane.more = true;
    }
  }

  /** The number of rows to read: enough to reach beyond the known ones. */
  get readLimit(): number {
    const known = this.underWay.size + this.requested.length;
    return this.readyLimit + known + Math.min(this.leftovers.size, MOST_LEFTOVERS);
  }

  private get readyLimit(): number {
    return READY_AT_LEAST + 2 * this.underWay.size;
  }

  /** Takes the rows of a lane. */
  fill(name: LaneName, rows: readonly LaneRow[], limit: number, now: number): void {
    const lane = this.lanes[name];
    for (const row of rows) {
      if (row.id === null) return;
      const dueAt = dueTime(row.next_attempt_at.getTime());
      if (dueAt > now) {
        lane.nextDueAt = Math.min(lane.nextDueAt, dueAt);
        return;
      }
      if (this.knows(row.id) || this.leftovers.has(row.id)) continue;
      const ready = { deliveryId: row.id, attempt: row.attempt_count + 1 };
      if (row.requested_at) this.requested.push(ready);
      else if (this.enabled) lane.ready.set(row.id, ready);
    }
    if (rows.length >= limit) lane.more = true;
  }

  /** Whether there is nothing to send or to read until a delivery is offered, ends or becomes due. */
  isQuiet(now: number): boolean {
    const { pending, retrying } = this.lanes;
    return this.requested.length === 0 && !pending.wantsAttention(now) && !retrying.wantsAttention(now);
  }

  /** Whether the state can be dropped: health is worth keeping for a while, too. */
  isIdle(now: number): boolean {
    return (
      this.provenUntil <= now &&
      this.underWay.size === 0 &&
      this.requested.length === 0 &&
      this.lanes.pending.isEmpty &&
      this.lanes.retrying.isEmpty &&
      !this.breaker.isOpen
    );
  }

  private begin(ready: Ready, slot: SlotName, now: number): Ready {
    this.underWay.set(ready.deliveryId, { slot, since: now, attempt: ready.attempt, seenAt: now });
    this.used[slot]++;
    return ready;
  }
}
