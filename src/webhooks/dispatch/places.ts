import type { EndpointQueue, Ready } from './endpoint-queue';

/** Deliveries of one tenant that are under way at once. */
const TENANT_SLOTS = 320;
/** Shares of all places: of all endpoints that are not seen to answer, of those that hang, of one tenant's. */
const UNPROVEN_SHARE = 0.75;
const SLOW_SHARE = 0.25;
const TENANT_UNPROVEN_SHARE = 0.125;
/** Where there are few places, so much of them counts as room. */
const ROOM_SHARE = 0.0625;
const HANGS_AFTER_MS = 2_000;
const STOCK_INTERVAL_MS = 10;

/** What a tenant has under way. */
export interface TenantPlaces {
  underWay: number;
  /** Of these, to endpoints that are not seen to answer. */
  unproven: number;
}

/**
 * The places of all workers, and who may have one: at most so many are under way in all and of a tenant, and endpoints
 * that hang, or were not seen to answer yet, share a part of them. So what hangs leaves room for what does not.
 */
export class Places {
  private underWay = 0;
  private unproven = 0;
  private slow = 0;
  /** The endpoints that have places, and whose they are. */
  private readonly taken = new Map<EndpointQueue, TenantPlaces>();
  /** A moving average of what a success takes from admission to outcome, milliseconds. */
  private roundTrip = 0;
  private countedAt = 0;

  /** @param capacity deliveries that all workers together can have under way */
  constructor(private capacity: number) {}

  /** Some workers came, or went. */
  resize(capacity: number): void {
    this.capacity = capacity;
  }

  /** How many are free; less than none where workers went. */
  get free(): number {
    return this.capacity - this.underWay;
  }

  /** Whether there is room for so many, or for a good part of all where there are few. */
  hasRoomFor(deliveries: number): boolean {
    return this.free >= Math.min(deliveries, this.capacity * ROOM_SHARE);
  }

  /** Forgets what is under way. */
  clear(): void {
    this.underWay = 0;
    this.unproven = 0;
    this.slow = 0;
    this.taken.clear();
  }

  /** Gives a place to the next delivery of an endpoint; undefined where there is none, or nothing that may have it. */
  take(tenant: TenantPlaces, endpoint: EndpointQueue, now: number): Ready | undefined {
    if (tenant.underWay >= TENANT_SLOTS || this.free <= 0) return undefined;
    const standing = endpoint.standing(now, this.hangsAfter);
    if (standing !== 'proven') {
      if (tenant.unproven >= this.capacity * TENANT_UNPROVEN_SHARE) return undefined;
      if (this.unproven >= this.capacity * UNPROVEN_SHARE) return undefined;
    }
    if (standing === 'slow' && this.slow >= this.capacity * SLOW_SHARE) return undefined;
    const ready = endpoint.take(now, standing);
    if (!ready) return undefined;
    tenant.underWay++;
    this.underWay++;
    this.taken.set(endpoint, tenant);
    if (standing !== 'proven') {
      tenant.unproven++;
      this.unproven++;
    }
    if (standing === 'slow') this.slow++;
    return ready;
  }

  /**
   * Takes a place of the endpoint's back. @param took how long it was taken, milliseconds; left out where nothing was
   * delivered
   */
  giveBack(endpoint: EndpointQueue, took?: number): void {
    const tenant = this.taken.get(endpoint);
    if (!tenant) return;
    if (took !== undefined) this.roundTrip += (took - this.roundTrip) / 50;
    this.underWay--;
    tenant.underWay--;
    if (endpoint.underWay.size === 0) this.taken.delete(endpoint);
    // Stock is taken of those that have places: what a tenant without one had would stand for ever.
    if (tenant.underWay === 0) tenant.unproven = 0;
  }

  /** Counts anew what each standing has under way: endpoints become slow by waiting, which is no event. */
  takeStock(now: number): void {
    if (now - this.countedAt < STOCK_INTERVAL_MS) return;
    this.countedAt = now;
    this.unproven = 0;
    this.slow = 0;
    for (const tenant of this.taken.values()) tenant.unproven = 0;
    for (const [endpoint, tenant] of this.taken) {
      const { size } = endpoint.underWay;
      const standing = endpoint.standing(now, this.hangsAfter);
      if (standing === 'slow') this.slow += size;
      if (standing === 'proven') continue;
      tenant.unproven += size;
      this.unproven += size;
    }
  }

  /**
   * From admission to outcome for longer than this, a delivery counts as hanging: well above what the queue takes now.
   */
  private get hangsAfter(): number {
    return Math.max(HANGS_AFTER_MS, 4 * this.roundTrip);
  }
}
