/**
 * Limits the requests with large bodies that a tenant has in flight in a process, and their bytes, so that no tenant
 * takes the capacity of others.
 */

/**
 * Bodies up to this size need no slot: they cost less than the work of the request, and the tenant's rate bounds them.
 */
export const FREE_BYTES = 16 * 1024;
/** Requests of a tenant with a larger body, from their credential to the end of their response. */
const MAX_RUNNING = 16;
/** Requests of a tenant that wait, and of all tenants together. */
const MAX_WAITING = 1_024;
const MAX_WAITING_IN_ALL = 4_096;
/** Smaller bodies never wait for the bytes of other tenants: slots bound them. */
const SMALL_BYTES = 64 * 1024;
/** The time after which a slow large body must make way for a waiting one. */
const SLOW_BODY_MS = 2_000;
const CHECK_INTERVAL_MS = 100;

/** The reason of a refusal: the tenant's own requests, or the bodies of all. */
export type SlotRefusal = 'tenant' | 'process';

/** The data of a request that the slots need. */
export interface SlotRequest {
  tenantId: string;
  bodyBytes: number;
  /** Whether its body is still on its way. */
  isArriving(): boolean;
  /** Ends a request whose body is too slow for the memory that it takes. */
  drop(): void;
}

interface Waiting {
  settle(refusal?: SlotRefusal): void;
}

interface TenantRequests {
  running: number;
  bytes: number;
  waiting: Map<SlotRequest, Waiting>;
}

/** Admits requests by tenant; those without a slot wait in order, for a while. */
export class RequestSlots {
  private readonly tenants = new Map<string, TenantRequests>();
  private readonly admitted = new Set<SlotRequest>();
  /** Large bodies, the oldest first, with the time of their admission. */
  private readonly large = new Map<SlotRequest, number>();
  private bytes = 0;
  private waiting = 0;
  private slowBodyTimer?: NodeJS.Timeout;

  /**
   * @param budget bytes of bodies in the process; a tenant has half of them
   * @param timeout how long a request waits for a slot, milliseconds
   */
  constructor(
    private readonly budget: number,
    private readonly timeout: number,
  ) {}

  /** How many requests wait. */
  get size(): number {
    return this.waiting;
  }

  /**
   * Takes a slot; undefined if it was available immediately, otherwise the result of the wait. {@link release} ends
   * both.
   */
  acquire(request: SlotRequest): Promise<SlotRefusal | undefined> | undefined {
    const tenant = this.tenantOf(request.tenantId);
    if (tenant.waiting.size === 0 && this.refusalFor(tenant, request) === undefined) {
      this.admit(tenant, request);
      return undefined;
    }
    // The fewer free slots there are, the smaller the part of them that a tenant gets: so some are always left.
    const limit = Math.min(MAX_WAITING, (MAX_WAITING_IN_ALL - this.waiting) / 2);
    if (tenant.waiting.size >= limit) return Promise.resolve('tenant');
    return this.wait(tenant, request);
  }

  /** Returns the slot of a request, or ends its wait. */
  release(request: SlotRequest): void {
    const tenant = this.tenants.get(request.tenantId);
    tenant?.waiting.get(request)?.settle('tenant');
    if (!tenant || !this.admitted.delete(request)) return;
    const { bodyBytes: bytes } = request;
    tenant.running--;
    tenant.bytes -= bytes;
    this.bytes -= bytes;
    this.large.delete(request);
    this.pump(tenant);
    this.forget(request.tenantId, tenant);
    if (bytes > SMALL_BYTES && this.waiting > 0) for (const other of this.tenants.values()) this.pump(other);
  }

  private admit(tenant: TenantRequests, request: SlotRequest): void {
    const { bodyBytes: bytes } = request;
    this.admitted.add(request);
    tenant.running++;
    tenant.bytes += bytes;
    this.bytes += bytes;
    if (bytes > SMALL_BYTES) this.large.set(request, performance.now());
  }

  private refusalFor(tenant: TenantRequests, { bodyBytes }: SlotRequest): SlotRefusal | undefined {
    if (tenant.running >= MAX_RUNNING) return 'tenant';
    if (tenant.bytes > 0 && tenant.bytes + bodyBytes > this.budget / 2) return 'tenant';
    if (bodyBytes > SMALL_BYTES && this.bytes > 0 && this.bytes + bodyBytes > this.budget) return 'process';
    return undefined;
  }

  private wait(tenant: TenantRequests, request: SlotRequest): Promise<SlotRefusal | undefined> {
    return new Promise((resolve) => {
      const waiting: Waiting = {
        settle: (refusal) => {
          clearTimeout(timer);
          tenant.waiting.delete(request);
          this.waiting--;
          this.forget(request.tenantId, tenant);
          resolve(refusal);
        },
      };
      const timer = setTimeout(() => {
        waiting.settle(this.refusalFor(tenant, request) ?? 'tenant');
      }, this.timeout);
      tenant.waiting.set(request, waiting);
      this.waiting++;
      this.slowBodyTimer ??= setInterval(() => this.dropSlow(), CHECK_INTERVAL_MS).unref();
    });
  }

  /** Admits waiting requests of a tenant, in order, while there are slots. */
  private pump(tenant: TenantRequests): void {
    for (const [request, waiting] of tenant.waiting) {
      if (this.refusalFor(tenant, request) !== undefined) return;
      this.admit(tenant, request);
      waiting.settle();
    }
  }

  /**
   * While bodies wait for those of other tenants, ends the oldest that does not arrive, of the tenant with the most
   * bytes.
   */
  private dropSlow(): void {
    if (this.waiting === 0) {
      clearInterval(this.slowBodyTimer);
      this.slowBodyTimer = undefined;
      return;
    }
    const isNeeded = [...this.tenants.values()].some((tenant) => {
      const [first] = tenant.waiting.keys();
      return first !== undefined && this.refusalFor(tenant, first) === 'process';
    });
    if (!isNeeded) return;
    const before = performance.now() - SLOW_BODY_MS;
    const slow = [...this.large].filter(([request, since]) => since < before && request.isArriving());
    const bytesOf = ([request]: [SlotRequest, number]): number => this.tenants.get(request.tenantId)?.bytes ?? 0;
    slow.sort((a, b) => bytesOf(b) - bytesOf(a))[0]?.[0].drop();
  }

  private tenantOf(tenantId: string): TenantRequests {
    let tenant = this.tenants.get(tenantId);
    if (!tenant) this.tenants.set(tenantId, (tenant = { running: 0, bytes: 0, waiting: new Map() }));
    return tenant;
  }

  private forget(tenantId: string, tenant: TenantRequests): void {
    if (tenant.running === 0 && tenant.waiting.size === 0) this.tenants.delete(tenantId);
  }
}
