import { DELIVERIES_A_TURN, type DueDelivery, newTurn, type Turn } from '../notifications/delivery-job';
import type { ConcurrencyLimiter } from './concurrency-limiter';
import type { EndpointQueue } from './endpoint-queue';
import type { TenantQueue, TenantQueues } from './tenant-queues';

/** Deliveries in one add to the queue. */
const DELIVERIES_AT_ONCE = 6 * DELIVERIES_A_TURN;
/** After this time without an admission, a delivery no longer waits for a whole turn. */
const IDLE_MS = 25;
/** The longest time that a busy tenant waits for the permits of a whole turn. */
const MAX_WAIT_MS = 100;

/** A delivery of a turn, with its endpoint. */
export interface Admitted extends DueDelivery {
  endpoint: EndpointQueue;
}

/**
 * Chooses the next deliveries, round-robin by tenant, until the limiter or the queues are exhausted. A tenant with
 * deliveries in flight waits until a whole turn is ready or some time has passed, so that turns do not fragment in the
 * queue and in the database; an idle tenant is admitted at once.
 */
export class Admission {
  private lastAdmittedAt = -Infinity;
  private checkAt = Infinity;

  /**
   * @param refill reads more of an endpoint's deliveries when its head is empty
   * @param collectMs the time to collect deliveries of a busy tenant
   */
  constructor(
    private readonly tenants: TenantQueues,
    private readonly limiter: ConcurrencyLimiter,
    private readonly refill: (endpoint: EndpointQueue, now: number) => void,
    private readonly collectMs: number,
  ) {}

  /** The next turns; none if nothing may be sent now. @param isTimer whether no event is the cause */
  next(now: number, isTimer: boolean): Turn<Admitted>[] {
    this.limiter.recount(now);
    this.checkAt = now + IDLE_MS;
    const isIdle = isTimer && now - this.lastAdmittedAt >= IDLE_MS;
    const turns: Turn<Admitted>[] = [];
    let left = DELIVERIES_AT_ONCE;
    let hasAdmitted = true;
    while (hasAdmitted && left > 0 && this.limiter.free > 0) {
      hasAdmitted = false;
      for (const [tenantId, tenant] of this.tenants.active.round()) {
        if (left <= 0 || this.limiter.free <= 0) break;
        const deliveries = this.collectTurn(tenantId, tenant, Math.min(left, DELIVERIES_A_TURN), now, isIdle);
        if (deliveries.length === 0) continue;
        turns.push(newTurn(tenantId, deliveries));
        tenant.lastTurnAt = now;
        this.tenants.active.moveToEnd(tenantId);
        left -= deliveries.length;
        hasAdmitted = true;
      }
    }
    if (turns.length > 0) this.lastAdmittedAt = now;
    return turns;
  }

  /** The time of the next admission. */
  get nextCheckAt(): number {
    return this.checkAt;
  }

  /** The deliveries of a tenant's turn; its endpoints share it evenly, the longest waiting first. */
  private collectTurn(tenantId: string, tenant: TenantQueue, most: number, now: number, isIdle: boolean): Admitted[] {
    const deliveries: Admitted[] = [];
    const mayAdmit = isIdle || this.mayAdmit(tenantId, tenant, now);
    const share = Math.ceil(DELIVERIES_A_TURN / tenant.active.size);
    for (let before = -1; before < deliveries.length && deliveries.length < most;) {
      before = deliveries.length;
      for (const [endpointId, endpoint] of tenant.active.round()) {
        if (deliveries.length >= most || this.limiter.free <= 0) return deliveries;
        this.refill(endpoint, now);
        const taken = mayAdmit ? this.acquire(endpoint, Math.min(share, most - deliveries.length), now) : [];
        deliveries.push(...taken);
        if (taken.length > 0) tenant.active.moveToEnd(endpointId);
        else if (endpoint.isInactive(now)) this.tenants.deactivate(tenant, endpoint);
      }
    }
    return deliveries;
  }

  private acquire(endpoint: EndpointQueue, most: number, now: number): Admitted[] {
    const taken: Admitted[] = [];
    while (taken.length < most) {
      const due = this.limiter.acquire(endpoint, now);
      if (!due) break;
      taken.push({ ...due, endpoint });
    }
    return taken;
  }

  private mayAdmit(tenantId: string, tenant: TenantQueue, now: number): boolean {
    if (!this.limiter.isBusy(tenantId)) return true;
    const waited = now - tenant.lastTurnAt;
    if (waited >= MAX_WAIT_MS) return true;
    if (!this.limiter.hasFree(DELIVERIES_A_TURN)) return false;
    if (waited >= this.collectMs || isWholeTurnReady(tenant, now)) return true;
    this.checkAt = Math.min(this.checkAt, tenant.lastTurnAt + this.collectMs);
    return false;
  }
}

function isWholeTurnReady(tenant: TenantQueue, now: number): boolean {
  let ready = 0;
  for (const endpoint of tenant.active.values()) {
    ready += endpoint.readyCount(now);
    if (ready >= DELIVERIES_A_TURN) return true;
  }
  return false;
}
