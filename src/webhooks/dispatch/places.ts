import type { EndpointQueue, Ready } from './endpoint-queue';

/** Deliveries of one tenant in flight at once. */
const TENANT_SLOTS = 320;
/** Shares of all permits: of endpoints that have not responded, of endpoints that hang, of one tenant. */
const UNPROVEN_SHARE = 0.75;
const SLOW_SHARE = 0.25;
const TENANT_UNPROVEN_SHARE = 0.125;
/** With few permits, this share of them counts as room. */
const ROOM_SHARE = 0.0625;
const HANGS_AFTER_MS = 2_000;
const STOCK_INTERVAL_MS = 10;

/** The tenant's deliveries in flight. */
export interface TenantPlaces {
  underWay: number;
  /** Of these, to endpoints that have not responded. */
  unproven: number;
}

/**
 * The permits of all workers. They are limited in total and by tenant. Endpoints that hang or have not responded yet
 * share a part of them, so that they leave room for healthy ones.
 */
export class Places {
  private underWay = 0;
  private unproven = 0;
  private slow = 0;
  /** The endpoints with permits, and their tenants. */
  private readonly taken = new Map<EndpointQueue, TenantPlaces>();
  /** A moving average of the time of a success from admission to outcome, milliseconds. */
  private roundTrip = 0;
  private countedAt = 0;

  /** @param capacity deliveries in flight of all workers together */
  constructor(private capacity: number) {}

  /** Sets the capacity after workers came or went; gives whether it is smaller now. */
  resize(capacity: number): boolean {
    const isSmaller = capacity < this.capacity;
    this.capacity = capacity;
    return isSmaller;
  }

  /** The number of free permits; negative after workers went. */
  get free(): number {
    return this.capacity - this.underWay;
  }

  /** Whether there is room for so many, or for a good part of all permits if there are few. */
  hasRoomFor(deliveries: number): boolean {
    return this.free >= Math.min(deliveries, this.capacity * ROOM_SHARE);
  }

  /** Drops all permits. */
  clear(): void {
    this.underWay = 0;
    this.unproven = 0;
    this.slow = 0;
    this.taken.clear();
  }

  /**
   * Acquires a permit for the next delivery of an endpoint; undefined without a free permit or an admissible delivery.
   */
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
   * Releases a permit of the endpoint. @param took how long it was held, milliseconds; left out if nothing was
   * delivered
   */
  giveBack(endpoint: EndpointQueue, took?: number): void {
    const tenant = this.taken.get(endpoint);
    if (!tenant) return;
    if (took !== undefined) this.roundTrip += (took - this.roundTrip) / 50;
    this.underWay--;
    tenant.underWay--;
    if (endpoint.underWay.size === 0) this.taken.delete(endpoint);
    // The recount covers tenants with permits only: the count of a tenant without permits would stay forever.
    if (tenant.underWay === 0) tenant.unproven = 0;
  }

  /** Recounts the deliveries in flight by health: an endpoint becomes slow by waiting, which is no event. */
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
   * A delivery that takes longer than this from admission to outcome counts as hanging: well above the current time in
   * the queue.
   */
  private get hangsAfter(): number {
    return Math.max(HANGS_AFTER_MS, 4 * this.roundTrip);
  }
}
