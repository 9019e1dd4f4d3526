import type { BreakerState } from './circuit-breaker';
import type { SubscriberRow } from './dispatch.queries';
import { EndpointQueue, type Leftovers } from './endpoint-queue';
import { RoundRobin } from './round-robin';

/** A delivery that fan-out has just made. */
export interface Offer {
  tenantId: string;
  deliveryId: string;
  /** Its endpoint at the time of the delivery's creation. */
  endpoint: SubscriberRow;
}

/** A known tenant. */
export interface TenantQueue {
  readonly endpoints: Map<string, EndpointQueue>;
  /** Its endpoints with something to send or to read. */
  readonly active: RoundRobin<EndpointQueue>;
  /** The time of its last turn. */
  lastTurnAt: number;
}

/**
 * The known endpoints of all tenants. Those with something to send or to read are active, so that the cost of a
 * decision does not grow with the others.
 */
export class TenantQueues {
  private readonly tenants = new Map<string, TenantQueue>();
  /** Tenants with active endpoints. */
  readonly active = new RoundRobin<TenantQueue>();
  /** No inactive endpoint has a delivery that becomes due before this time. */
  private dueAt = Infinity;

  constructor(private readonly leftovers: Leftovers) {}

  /** The queue of an endpoint, which is known from now on. */
  endpoint(tenantId: string, endpointId: string): EndpointQueue {
    let tenant = this.tenants.get(tenantId);
    if (!tenant) {
      tenant = { endpoints: new Map(), active: new RoundRobin(), lastTurnAt: -Infinity };
      this.tenants.set(tenantId, tenant);
    }
    let endpoint = tenant.endpoints.get(endpointId);
    if (!endpoint) {
      endpoint = new EndpointQueue(tenantId, endpointId, this.leftovers);
      tenant.endpoints.set(endpointId, endpoint);
    }
    return endpoint;
  }

  /** Takes a new delivery. */
  offer({ tenantId, deliveryId, endpoint: settings }: Offer): void {
    const endpoint = this.endpoint(tenantId, settings.id);
    endpoint.applySettings(settings);
    endpoint.offer(deliveryId);
    this.activate(endpoint);
  }

  /** The number of known deliveries that could be sent now. */
  readyCount(now: number): number {
    let ready = 0;
    for (const tenant of this.active.values()) {
      for (const endpoint of tenant.active.values()) ready += endpoint.readyCount(now);
    }
    return ready;
  }

  /** All known endpoints. */
  *endpoints(): Generator<EndpointQueue> {
    for (const tenant of this.tenants.values()) yield* tenant.endpoints.values();
  }

  /** Adds an endpoint to the round robin. */
  activate(endpoint: EndpointQueue): void {
    const { tenantId, endpointId } = endpoint;
    const tenant = this.tenants.get(tenantId);
    if (tenant?.endpoints.get(endpointId) !== endpoint) return;
    if (!tenant.active.get(endpointId)) tenant.active.set(endpointId, endpoint);
    if (!this.active.get(tenantId)) this.active.set(tenantId, tenant);
  }

  /** Takes a quiet endpoint out of the round robin until it is activated or its next delivery becomes due. */
  deactivate(tenant: TenantQueue, endpoint: EndpointQueue): void {
    tenant.active.delete(endpoint.endpointId);
    if (tenant.active.size === 0) this.active.delete(endpoint.tenantId);
    this.dueAt = Math.min(this.dueAt, endpoint.nextDueAt);
  }

  /** The earliest time at which an inactive endpoint may have something to send. */
  get nextDueAt(): number {
    return this.dueAt;
  }

  /** Activates the endpoints whose deliveries have become due. */
  activateDue(now: number): void {
    if (now < this.dueAt) return;
    this.dueAt = Infinity;
    for (const endpoint of this.endpoints()) {
      if (!endpoint.isInactive(now)) this.activate(endpoint);
      else this.dueAt = Math.min(this.dueAt, endpoint.nextDueAt);
    }
  }

  /** Drops the endpoints that have neither work nor a state worth keeping. */
  dropIdle(now: number): void {
    for (const [tenantId, tenant] of this.tenants) {
      for (const [endpointId, endpoint] of tenant.endpoints) {
        if (!endpoint.isIdle(now)) continue;
        tenant.endpoints.delete(endpointId);
        tenant.active.delete(endpointId);
      }
      if (tenant.active.size === 0) this.active.delete(tenantId);
      if (tenant.endpoints.size === 0) this.tenants.delete(tenantId);
    }
  }

  /** Drops the tenants that another process dispatches. @returns their ids */
  dropTenants(isOwned: (tenantId: string) => boolean): string[] {
    const dropped = [...this.tenants.keys()].filter((tenantId) => !isOwned(tenantId));
    for (const tenantId of dropped) {
      this.tenants.delete(tenantId);
      this.active.delete(tenantId);
    }
    return dropped;
  }

  /** The number of known endpoints by state of the breaker. */
  breakerStates(): Record<BreakerState, number> {
    const counts = { closed: 0, half_open: 0, open: 0 };
    for (const endpoint of this.endpoints()) counts[endpoint.breakerState]++;
    return counts;
  }
}
