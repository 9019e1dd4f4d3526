import type { DueDelivery } from '../notifications/delivery-job';
import type { EndpointQueue } from './endpoint-queue';

/** Deliveries of one tenant in flight at once. */
export const TENANT_SLOTS = 320;
/** Shares of all permits: of endpoints that have not responded, of endpoints that hang, of one tenant. */
const UNPROVEN_SHARE = 0.75;
const SLOW_SHARE = 0.25;
const TENANT_UNPROVEN_SHARE = 0.125;
/** The share of all permits that deliveries of a previous owner may hold. */
const LEFTOVERS_SHARE = 0.5;
/** With few permits, this share of them is enough for a turn. */
const FREE_SHARE = 0.0625;
const HANGS_AFTER_MS = 2_000;
const RECOUNT_INTERVAL_MS = 10;

/** The deliveries of one tenant in flight. */
interface TenantCount {
  inFlight: number;
  /** Of these, to endpoints that have not responded. */
  unproven: number;
  /** Its endpoints with permits. */
  endpoints: Set<EndpointQueue>;
}

/**
 * The permits of one dispatcher. They are limited in total and by tenant. Endpoints that hang or have not responded yet
 * share a part of them, so that healthy ones always have permits.
 */
export class ConcurrencyLimiter {
  private inFlight = 0;
  /** Deliveries of a previous owner that are still in the queue. */
  private leftovers = 0;
  private unproven = 0;
  private slow = 0;
  /** The tenants with permits. */
  private readonly tenants = new Map<string, TenantCount>();
  /** A moving average of the time of a success from admission to outcome, milliseconds. */
  private roundTrip = 0;
  private countedAt = 0;

  /** @param capacity deliveries in flight of all workers together */
  constructor(private capacity: number) {}

  /** Sets the number of permits. It may be smaller than the number of those in use. */
  resize(capacity: number): void {
    this.capacity = capacity;
  }

  /** Sets the number of deliveries that a previous owner has left in the queue: they occupy workers, too. */
  setLeftovers(leftovers: number): void {
    this.leftovers = leftovers;
  }

  /** The number of free permits; negative after a resize to less than is in use. */
  get free(): number {
    return this.capacity - this.used;
  }

  /** The number of permits in use. Leftovers use a part of them at most: a dead worker's jobs return after seconds. */
  get used(): number {
    return this.inFlight + Math.min(this.leftovers, this.capacity * LEFTOVERS_SHARE);
  }

  /** Whether a tenant has deliveries in flight. */
  isBusy(tenantId: string): boolean {
    return this.tenants.has(tenantId);
  }

  /** Whether so many permits are free; with few permits in all, a share of them is enough. */
  hasFree(deliveries: number): boolean {
    return this.free >= Math.min(deliveries, this.capacity * FREE_SHARE);
  }

  /**
   * Acquires a permit for the next delivery of an endpoint; undefined without a free permit or an admissible delivery.
   */
  acquire(endpoint: EndpointQueue, now: number): DueDelivery | undefined {
    const tenant = this.tenants.get(endpoint.tenantId) ?? { inFlight: 0, unproven: 0, endpoints: new Set() };
    if (tenant.inFlight >= TENANT_SLOTS || this.free <= 0) return undefined;
    const health = endpoint.healthAt(now, this.hangsAfter);
    if (health !== 'proven') {
      if (tenant.unproven >= this.capacity * TENANT_UNPROVEN_SHARE) return undefined;
      if (this.unproven >= this.capacity * UNPROVEN_SHARE) return undefined;
    }
    if (health === 'slow' && this.slow >= this.capacity * SLOW_SHARE) return undefined;
    const due = endpoint.take(now, health);
    if (!due) return undefined;
    this.inFlight++;
    tenant.inFlight++;
    tenant.endpoints.add(endpoint);
    this.tenants.set(endpoint.tenantId, tenant);
    if (health !== 'proven') {
      tenant.unproven++;
      this.unproven++;
    }
    if (health === 'slow') this.slow++;
    return due;
  }

  /**
   * Releases a permit of the endpoint, whose delivery has ended. @param took how long it was held, milliseconds; left
   * out if nothing was delivered
   */
  release(endpoint: EndpointQueue, took?: number): void {
    const tenant = this.tenants.get(endpoint.tenantId);
    if (!tenant) return;
    if (took !== undefined) this.roundTrip += (took - this.roundTrip) / 50;
    this.inFlight--;
    if (endpoint.inFlightCount === 0) tenant.endpoints.delete(endpoint);
    if (--tenant.inFlight === 0) this.tenants.delete(endpoint.tenantId);
  }

  /** Drops the permits of a tenant. */
  dropTenant(tenantId: string): void {
    this.inFlight -= this.tenants.get(tenantId)?.inFlight ?? 0;
    this.tenants.delete(tenantId);
  }

  /** Recounts the deliveries in flight by health: an endpoint becomes slow by waiting, which is no event. */
  recount(now: number): void {
    if (now - this.countedAt < RECOUNT_INTERVAL_MS) return;
    this.countedAt = now;
    this.unproven = 0;
    this.slow = 0;
    for (const tenant of this.tenants.values()) {
      tenant.unproven = 0;
      for (const endpoint of tenant.endpoints) {
        const health = endpoint.healthAt(now, this.hangsAfter);
        if (health === 'slow') this.slow += endpoint.inFlightCount;
        if (health !== 'proven') tenant.unproven += endpoint.inFlightCount;
      }
      this.unproven += tenant.unproven;
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
